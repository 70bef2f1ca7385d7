"""A server that plays a script, as a real one behaves only on its worst days. Each connection takes the next scene, a function of the
accepted connection. The last scene repeats."""
import base64
import hashlib
import json
import re
import socket
import ssl
import threading

from support import ws
from support.wait import DEADLINE_S


class Connection:
    def __init__(self, plain):
        self.socket = plain
        self.buffer = b""
        self.head = ""

    def send(self, raw):
        self.socket.sendall(raw)

    def read_head(self):
        while b"\r\n\r\n" not in self.buffer:
            self._fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        self.head = head.decode("latin-1")
        return self.head

    def header(self, name):
        found = re.search(rf"^{name}: (.*?)\r?$", self.head, re.M | re.I)
        return found.group(1) if found else None

    def answer(self, status, body=b"", headers=()):
        """Reads a request and answers it."""
        head = self.read_head()
        length = int(self.header("content-length") or 0)
        while len(self.buffer) < length:
            self._fill()
        lines = [f"HTTP/1.1 {status} Because", f"Content-Length: {len(body)}", *headers]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
        return head

    def refuse(self, status, code, message, *headers):
        self.answer(status, json.dumps({"error": {"code": code, "message": message}}).encode(), headers)

    def accept(self, user="user-456", more=b""):
        """Answers the upgrade. more: goes into the same packet."""
        self.read_head()
        digest = hashlib.sha1((self.header("sec-websocket-key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        init = json.dumps({"type": "session_init", "session_id": "x", "data": {"user": user}}).encode()
        self.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
                  base64.b64encode(digest) + b"\r\n\r\n" + self.frame(ws.TEXT, init) + more)

    @staticmethod
    def frame(opcode, payload, fin=True):
        return ws.frame(opcode, payload, fin, masked=False)

    def text(self, text):
        self.send(self.frame(ws.TEXT, text.encode()))

    def event(self, n):
        self.text(json.dumps({"type": "tick", "channel": "c", "data": n}))

    def close(self, code, reason=""):
        self.send(self.frame(ws.CLOSE, code.to_bytes(2, "big") + reason.encode()))

    def receive(self):
        """The next frame from the client: opcode, payload."""
        while len(self.buffer) < 6:
            self._fill()
        length = self.buffer[1] & 0x7F
        assert self.buffer[1] & 0x80 and length < 126, "small masked frames are expected here"
        while len(self.buffer) < 6 + length:
            self._fill()
        opcode, payload = self.buffer[0] & 15, ws.mask(self.buffer[6:6 + length], self.buffer[2:6])
        self.buffer = self.buffer[6 + length:]
        return opcode, payload

    def wait_end(self):
        """Until the client has closed."""
        try:
            while True:
                self._fill()
        except EOFError:
            pass

    def _fill(self):
        chunk = self.socket.recv(65536)
        if not chunk:
            raise EOFError
        self.buffer += chunk


class Scripted:
    def __init__(self, *scenes, certificate=None):
        """certificate: (certificate file, key file) for TLS."""
        self.scenes = list(scenes)
        self.failures = []
        self.played = 0
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def url(self, scheme, path="", host="127.0.0.1"):
        return f"{scheme}://{host}:{self.port}{path}"

    def _serve(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            scene = self.scenes[min(self.played, len(self.scenes) - 1)]
            self.played += 1
            plain.settimeout(DEADLINE_S)
            try:
                with (self.tls.wrap_socket(plain, server_side=True) if self.tls else plain) as connected:
                    scene(Connection(connected))
            except (ssl.SSLError, ConnectionError, EOFError):
                pass  # the client's right; what it then says is what the tests look at
            except Exception as failure:  # shown by close()
                self.failures.append(failure)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(DEADLINE_S)
        if kind is None and self.failures:
            raise self.failures[0]
