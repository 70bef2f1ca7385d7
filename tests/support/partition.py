"""A node on a machine of its own, as far as its network goes: a network namespace with one wire to clients and one to
Redis, which can be cut. Needs root and iproute2. And, where those are not to be had, a relay that falls silent."""
import collections
import itertools
import os
import selectors
import shutil
import socket
import subprocess
import threading
import time

_numbers = itertools.count(1)


def why_not():
    """Why there can be no namespace here, or ""."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not shutil.which("ip"):
        return "there is no ip (iproute2)"
    probe = f"carillon-{os.getpid()}-probe"
    if subprocess.run(["ip", "netns", "add", probe], capture_output=True).returncode:
        return "this machine lets nobody make network namespaces"
    ip("netns", "del", probe)
    return ""


def ip(*arguments):
    subprocess.run(["ip", *map(str, arguments)], check=True, capture_output=True)


class Machine:
    """address: where a node in it listens; prefix: what a command is started with to run in it; redis_address: under
    which it reaches the host's Redis."""

    def __init__(self):
        number = next(_numbers)
        self.name = f"carillon-{os.getpid()}-{number}"
        net = f"10.{os.getpid() % 200 + 20}.{number}"
        self.wires = [f"cw{os.getpid() % 100000}-{number}c", f"cw{os.getpid() % 100000}-{number}r"]
        self.address, self.redis_address = f"{net}.2", f"{net}.129"
        self.prefix = ["ip", "netns", "exec", self.name]
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up")
        for wire, base in zip(self.wires, (0, 128)):
            ip("link", "add", wire, "type", "veth", "peer", "name", "inside", "netns", self.name)
            ip("-n", self.name, "link", "set", "inside", "name", f"in{base}")
            ip("addr", "add", f"{net}.{base + 1}/30", "dev", wire)
            ip("-n", self.name, "addr", "add", f"{net}.{base + 2}/30", "dev", f"in{base}")
            ip("link", "set", wire, "up")
            ip("-n", self.name, "link", "set", f"in{base}", "up")

    def cut(self):
        """Packets between it and Redis vanish from now on; nobody is told."""
        ip("link", "set", self.wires[1], "down")

    def mend(self):
        ip("link", "set", self.wires[1], "up")

    def close(self):
        for wire in self.wires:
            subprocess.run(["ip", "link", "del", wire], capture_output=True)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)


class Relay:
    """Between a node and Redis. silent: it takes what comes and passes nothing on, with every connection left open.
    delay_s: it passes everything on so much later."""

    def __init__(self, port):
        self.target = ("127.0.0.1", port)
        self.silent = False
        self.delay_s = 0
        self.late = collections.deque()  # (when, target, chunk)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.stopping = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stopping:
            while self.late and self.late[0][0] <= time.monotonic():
                self._send(*self.late.popleft()[1:])
            for key, _ in self.selector.select(0.002 if self.late else 0.05):
                if key.fileobj is self.listener:
                    self._join()
                elif key.fileobj.fileno() >= 0:
                    self._pass(key.fileobj, key.data)

    def _join(self):
        near, _ = self.listener.accept()
        try:
            far = socket.create_connection(self.target)
        except OSError:
            near.close()
            return
        self.selector.register(near, selectors.EVENT_READ, far)
        self.selector.register(far, selectors.EVENT_READ, near)

    def _pass(self, source, target):
        try:
            chunk = source.recv(65536)
            if chunk:
                if self.delay_s or self.late:
                    self.late.append((time.monotonic() + self.delay_s, target, chunk))
                elif not self.silent:
                    target.sendall(chunk)
                return
        except OSError:
            pass
        for end in (source, target):
            self.selector.unregister(end)
            end.close()

    @staticmethod
    def _send(target, chunk):
        try:
            target.sendall(chunk)
        except OSError:
            pass  # its end is seen when it is read

    def close(self):
        self.stopping = True
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()
