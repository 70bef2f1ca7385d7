"""A TCP proxy between a node and its Redis, to be slow or to swallow everything while both connections stay up."""
import queue
import socket
import threading
import time

from support.wait import DEADLINE_S


class Wire:
    """Two connections, one for each side. They are closed when nobody reads or writes them any more. One on which something
    was swallowed is dead for good: no network takes bytes out of the middle."""

    THREADS = 4

    def __init__(self, near, far):
        self.sockets = near, far
        self.working = self.THREADS
        self.dead = False
        self.lock = threading.Lock()

    def done(self):
        with self.lock:
            self.working -= 1
            if self.working == 0:
                for one in self.sockets:
                    one.close()

    def cut(self):
        with self.lock:
            for one in self.sockets if self.working else ():
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


class Proxy:
    def __init__(self, port):
        self.target = port
        self.delay_s = 0  # each way
        self.commands_late_s = 0  # only what a node sends on connections that do not subscribe
        self.positions_late_s = 0  # only what tells a node where a channel stands, and what follows it
        self.subscribes = threading.Event()  # not set: what a node subscribes waits here, on its connection
        self.subscribes.set()
        self.open = threading.Event()  # not set: what comes is read and forgotten, and its connection passes nothing more
        self.open.set()
        self.wires = []
        self.threads = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self._run(self._accept)

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def _run(self, work, *arguments):
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target), DEADLINE_S)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self.wires = [wire for wire in self.wires if wire.working]
            self.threads = [thread for thread in self.threads if thread.is_alive()]
            wire = Wire(near, far)
            self.wires.append(wire)
            for one, other in ((near, far), (far, near)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                chunks = queue.SimpleQueue()
                self._run(self._work, wire, self._read, wire, one, chunks, one is near)
                self._run(self._work, wire, self._write, wire, other, chunks)

    @staticmethod
    def _work(wire, work, *arguments):
        try:
            work(*arguments)
        finally:
            wire.done()

    def _read(self, wire, source, chunks, of_node):
        while True:
            try:
                chunk = source.recv(1 << 16)
            except OSError:
                chunk = b""
            if of_node and b"SUBSCRIBE" in chunk:
                self.subscribes.wait()
            of_node = of_node and b"SUBSCRIBE" not in chunk
            wire.dead = wire.dead or bool(chunk) and not self.open.is_set()
            if not chunk or not wire.dead:
                late_s = self.commands_late_s if of_node else self.positions_late_s if b"position " in chunk else 0
                chunks.put((time.monotonic() + self.delay_s + late_s, chunk))
            if not chunk:
                return

    @staticmethod
    def _write(wire, target, chunks):
        while True:
            due, chunk = chunks.get()
            time.sleep(max(0, due - time.monotonic()))  # the delay that is asked for, not a wait for something
            try:
                if not chunk:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(chunk)
            except OSError:
                wire.cut()
                return

    def close(self):
        self.subscribes.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for wire in list(self.wires):  # a connection that is being made may still add its own
            wire.cut()
        for thread in list(self.threads):
            thread.join(DEADLINE_S)
