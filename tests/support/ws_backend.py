"""A backend with WebSocket behind an upstream, made of raw frames: it can do everything wrong. A test gives the function that serves
one connection, in a thread of its own."""
import base64
import hashlib
import os
import socket
import ssl
import struct
import threading

from support import ws
from support.wait import DEADLINE_S, until


class Ended(Exception):
    """The client has closed. code None: without a close frame."""

    def __init__(self, code, reason=""):
        super().__init__(f"ended with {code} {reason!r}")
        self.code, self.reason = code, reason


class Connection:
    def __init__(self, plain):
        self.socket = plain
        self.buffer = bytearray()
        self.path, self.headers = None, {}

    # --- the handshake ---

    def _fill(self):
        try:
            chunk = self.socket.recv(1 << 18)
        except (ConnectionResetError, ssl.SSLError):
            chunk = b""
        if not chunk:
            raise Ended(None)
        self.buffer += chunk

    def read_request(self):
        while b"\r\n\r\n" not in self.buffer:
            self._fill()
        head, _, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        self.buffer = bytearray(rest)
        first, *lines = head.decode("ascii").split("\r\n")
        method, self.path, version = first.split(" ")
        assert method == "GET" and version == "HTTP/1.1"
        self.headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            assert name.lower() not in self.headers, f"twice: {name}"
            self.headers[name.lower()] = value.strip()
        return self

    def accept(self, protocol=None, key=None, extra=b""):
        """Reads the request and answers it. extra: bytes sent at once after the answer. key: an accept key that may be wrong."""
        self.read_request()
        digest = hashlib.sha1(self.headers["sec-websocket-key"].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Accept: {key or base64.b64encode(digest).decode()}"]
        lines += [f"Sec-WebSocket-Protocol: {protocol}"] if protocol else []
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + extra)
        return self

    def refuse(self, status):
        self.read_request()
        self.socket.sendall(f"HTTP/1.1 {status} No\r\nContent-Length: 2\r\n\r\nno".encode())

    # --- frames ---

    def receive(self):
        """The next frame as (opcode, payload). Answers a close frame, and then raises Ended."""
        while True:
            taken = self._take()
            if not taken:
                self._fill()
                continue
            opcode, payload = taken
            if opcode == ws.CLOSE:
                code, reason = (struct.unpack("!H", payload[:2])[0], payload[2:].decode()) if payload else (1005, "")
                self.send(ws.CLOSE, payload)
                raise Ended(code, reason)
            return taken

    def _take(self):
        have = len(self.buffer)
        if have < 2:
            return None
        first, length = self.buffer[0], self.buffer[1]
        assert first & 0xF0 == 0x80, "a client's frames are whole and have no reserved bit"
        assert length & 0x80, "a client's frames are masked"
        length &= 0x7F
        at = 2 + {126: 2, 127: 8}.get(length, 0)
        if have < at:
            return None
        if at > 2:
            length = int.from_bytes(self.buffer[2:at], "big")
        if have < at + 4 + length:
            return None
        payload = ws.mask(bytes(self.buffer[at + 4:at + 4 + length]), bytes(self.buffer[at:at + 4]))
        del self.buffer[:at + 4 + length]
        return first & 15, payload

    def send(self, opcode, payload=b"", **options):
        payload = payload if isinstance(payload, bytes) else payload.encode()
        self.socket.sendall(ws.frame(opcode, payload, **{"masked": False, **options}))

    def close(self, code=1000, reason=""):
        self.send(ws.CLOSE, struct.pack("!H", code) + reason.encode() if code else b"")

    def reset(self):
        """The connection is reset at once."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.socket.detach())

    def echo(self):
        """Until the client closes. Returns the end."""
        try:
            while True:
                opcode, payload = self.receive()
                if opcode in (ws.TEXT, ws.BINARY):
                    self.send(opcode, payload)
        except Ended as ended:
            return ended


class WsBackend:
    """serve(connection) begins with the bytes of the upgrade request unread. An Ended that it raises, or returns, goes to `ends`.
    certificate: it speaks TLS."""

    def __init__(self, serve, certificate=None, port=0, receive_buffer=None):
        self.serve = serve
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate.certificate, certificate.key)
        self.connections, self.ends, self.failures = [], [], []
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(512)
        self.port = self.listener.getsockname()[1]
        self.url = f"{'wss' if certificate else 'ws'}://127.0.0.1:{self.port}/asr?model=small"
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._run, args=(plain,), daemon=True).start()

    def _run(self, plain):
        plain.settimeout(DEADLINE_S * 2)
        try:
            if self.context:
                plain = self.context.wrap_socket(plain, server_side=True)
        except OSError:
            plain.close()
            return
        connection = Connection(plain)
        self.connections.append(connection)
        try:
            ended = self.serve(connection)
            if isinstance(ended, Ended):
                self.ends.append(ended)
        except Ended as ended:
            self.ends.append(ended)
        except AssertionError as failure:
            self.failures.append(failure)
        except OSError:
            pass
        finally:
            connection.socket.close()

    def wait_for_ends(self, count=1):
        until(lambda: len(self.ends) >= count, f"{count} ends of connections")
        return self.ends

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(DEADLINE_S)
        assert not self.failures, self.failures[0]
