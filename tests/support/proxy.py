"""A TCP proxy between a node and its Redis, to be slow or to swallow everything while both connections stay up."""
import queue
import socket
import threading
import time

from support.wait import DEADLINE_S


class Proxy:
    def __init__(self, port):
        self.target = port
        self.delay_s = 0  # each way
        self.commands_late_s = 0  # only what a node sends on connections that do not subscribe
        self.open = threading.Event()  # not set: what comes is read and forgotten
        self.open.set()
        self.sockets = set()
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
            for one, other in ((near, far), (far, near)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.sockets.add(one)
                chunks = queue.SimpleQueue()
                self._run(self._read, one, chunks, one is near)
                self._run(self._write, other, chunks)

    def _read(self, source, chunks, of_node):
        while True:
            try:
                chunk = source.recv(1 << 16)
            except OSError:
                chunk = b""
            of_node = of_node and b"SUBSCRIBE" not in chunk
            if not chunk or self.open.is_set():
                chunks.put((time.monotonic() + self.delay_s + (self.commands_late_s if of_node else 0), chunk))
            if not chunk:
                return

    @staticmethod
    def _write(target, chunks):
        while True:
            due, chunk = chunks.get()
            time.sleep(max(0, due - time.monotonic()))  # the delay that is asked for, not a wait for something
            try:
                if not chunk:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(chunk)
            except OSError:
                return

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for one in list(self.sockets):  # a connection that is being made may still add its own
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in list(self.threads):
            thread.join(DEADLINE_S)
        for one in list(self.sockets):
            one.close()
