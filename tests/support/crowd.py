"""Strangers: a process with many connections that send nothing, or the same few bytes, in plaintext or behind a TLS handshake. They come
back whenever they are closed. By hand: python3 tests/support/crowd.py HOST PORT COUNT SOURCES SECONDS"""
import resource
import select
import signal
import socket
import ssl
import subprocess
import sys
import time


IP_BIND_ADDRESS_NO_PORT = 24
CONNECTS_AT_ONCE = 200


class Crowd:
    """count connections from that many of the addresses 127.1.x.y. Opened and closed as a context. Inside, all connections have been opened
    once."""

    def __init__(self, address, count, sources=1, says=b"", shakes_hands=False):
        how = "tls" if shakes_hands else "plain"
        self.process = subprocess.Popen([sys.executable, __file__, *map(str, address), str(count), str(sources), "0", how, says.hex()],
                                        stdout=subprocess.PIPE, text=True)
        self.opened = 0

    def __enter__(self):
        assert self.process.stdout.readline() == "all have come\n"
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.opened = int(self.process.stdout.read().split()[0])
        self.process.stdout.close()
        assert self.process.wait(120) == 0


def source(number):
    return f"127.1.{number // 250}.{number % 250 + 1}"


def handshakes():
    """Of TLS 1.2 without tickets, so that nothing comes after the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET
    return context


class Stranger:
    def __init__(self, address, number, says, tls):
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.setsockopt(socket.SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        self.socket.bind((source(number), 0))
        self.socket.connect_ex(address)
        self.says, self.tls, self.shaking = says, tls, False

    def act(self, events):
        """The events that it waits for next; 0 when it has been sent away."""
        try:
            if self.tls:
                self.socket = self.tls.wrap_socket(self.socket, do_handshake_on_connect=False)
                self.tls, self.shaking = None, True
            if self.shaking:
                self.socket.do_handshake()
                self.shaking = False
            elif events & ~select.EPOLLOUT:
                return 0
            self.socket.send(self.says)
        except ssl.SSLWantReadError:
            pass
        except OSError:
            return 0
        return select.EPOLLIN


def stay(address, count, sources, seconds, says, tls):
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(count + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    poll, here, opened, told = select.epoll(), {}, 0, False
    end = time.monotonic() + seconds if seconds else float("inf")
    while not stopping and time.monotonic() < end:
        for _ in range(min(CONNECTS_AT_ONCE, count - len(here))):
            stranger = Stranger(address, opened % sources, says, tls)
            here[stranger.socket.fileno()] = stranger
            poll.register(stranger.socket.fileno(), select.EPOLLIN | (select.EPOLLOUT if says or tls else 0))
            opened += 1
        if not told and opened >= count:
            told = True
            print("all have come", flush=True)
        for fd, events in poll.poll(0.01, 1000):
            wanted = here[fd].act(events)
            if wanted:
                poll.modify(fd, wanted)
            else:
                here.pop(fd).socket.close()
    print(opened, "connections opened,", len(here), "there at the end", flush=True)


if __name__ == "__main__":
    host, port, count, sources, seconds, *how = sys.argv[1:]
    stay((host, int(port)), int(count), int(sources), float(seconds), bytes.fromhex("".join(how[1:])),
         handshakes() if how[:1] == ["tls"] else None)
