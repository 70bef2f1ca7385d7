"""Clients of Carillon that do what the load generator has no scenario for: many channels on each connection, and
subscribing without end. Blocking sockets, frames masked with zeros, so that text goes out as it is."""
import base64
import hashlib
import hmac
import json
import socket
import threading
import time

ANSWER_S = 30


def token(secret, user):
    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")
    claims = {"sub": user, "exp": int(time.time()) + 3600}
    text = b".".join(part(json.dumps(piece).encode()) for piece in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (text + b"." + part(hmac.digest(secret.encode(), text, hashlib.sha256))).decode()


def frame(text):
    """A text frame of the client of up to 65,535 bytes, RFC 6455, 5.2."""
    length = bytes([0x80 | len(text)]) if len(text) < 126 else bytes([0x80 | 126]) + len(text).to_bytes(2, "big")
    return b"\x81" + length + bytes(4) + text


def command(kind, channel):
    return frame(json.dumps({"type": kind, "data": {"channel": channel}}).encode())


class Client:
    def __init__(self, server, number, tls=None, path="/ws", receive_bytes=None, send_bytes=None):
        """tls: an ssl.SSLContext. The last two: of the kernel's buffers for this connection."""
        self.socket = socket.socket()
        for which, size in ((socket.SO_RCVBUF, receive_bytes), (socket.SO_SNDBUF, send_bytes)):
            if size:
                self.socket.setsockopt(socket.SOL_SOCKET, which, size)
        self.socket.settimeout(ANSWER_S)
        self.socket.connect(("127.0.0.1", server.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket)
        bearer = token(server.secret, f"crowd-{number}")
        self.socket.sendall((f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                             f"Authorization: Bearer {bearer}\r\n\r\n").encode())
        self.wait_for(b'"session_init"', 1)

    def wait_for(self, text, count):
        """Until so many frames of that type have come; what an event holds is not looked at."""
        got = b""
        while count > 0:
            piece = self.socket.recv(1 << 16)
            if not piece:
                raise ConnectionError("the server closed a connection of the crowd")
            got += piece
            count -= got.count(text)
            got = got[-len(text) + 1:] if text in got else got[-(len(text) - 1):]

    def say(self, text):
        self.socket.sendall(frame(text.encode()))

    def subscribe(self, channels):
        self.socket.sendall(b"".join(command("subscribe", channel) for channel in channels))
        self.wait_for(b'"subscribed"', len(channels))

    def unsubscribe(self, channels):
        self.socket.sendall(b"".join(command("unsubscribe", channel) for channel in channels))
        self.wait_for(b'"unsubscribed"', len(channels))


class Crowd:
    """Connections that stay while something else is measured; each subscribes to channels_each channels of its own."""

    def __init__(self, server, connections, channels_each):
        self.clients = [Client(server, number) for number in range(connections)]
        for number, client in enumerate(self.clients):
            client.subscribe([f"bench:other:{number}:{i}" for i in range(channels_each)])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.socket.close()


class Churn:
    """One connection after the other joins and leaves the channel, pairs_per_second of them, until the end of the block.
    done is how many did. A member that has just joined may see events; they are read and dropped."""

    def __init__(self, server, channel, connections, pairs_per_second):
        self.clients = [Client(server, number) for number in range(connections)]
        self.channel = channel
        self.pause_s = 1 / pairs_per_second
        self.done = 0
        self.failed = None
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.turn)

    def turn(self):
        due = time.monotonic()
        try:
            while not self.ending.is_set():
                client = self.clients[self.done % len(self.clients)]
                client.socket.sendall(command("subscribe", self.channel) + command("unsubscribe", self.channel))
                client.wait_for(b'"unsubscribed"', 1)
                self.done += 1
                due += self.pause_s
                time.sleep(max(0, due - time.monotonic()))
        except OSError as error:
            self.failed = error

    def __enter__(self):
        self.started = time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()
        self.per_second = self.done / (time.monotonic() - self.started)
        for client in self.clients:
            client.socket.close()
        if self.failed:
            raise self.failed
