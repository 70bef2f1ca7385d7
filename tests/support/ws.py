"""A WebSocket client that can do everything wrong: raw frames, fragments, bad UTF-8, not reading. It is synchronous, and every wait has a
deadline. It answers pings only when told to (pong), which is the default."""
import base64
import hashlib
import json
import os
import socket
import ssl
import struct

from support.http import Response
from support.wait import DEADLINE_S, Deadline

TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 1, 2, 8, 9, 10, 0
PROTOCOL = "carillon.v1"


class Refused(Exception):
    """The upgrade was answered with something other than 101."""

    def __init__(self, response):
        super().__init__(repr(response))
        self.response = response


class Closed(Exception):
    """The server closed. code None: without a close frame."""

    def __init__(self, code, reason=""):
        super().__init__(f"closed with {code} {reason!r}")
        self.code = code
        self.reason = reason


def mask(payload, key):
    repeated = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(payload), "big")


def frame(opcode, payload=b"", fin=True, masked=True, rsv=0):
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    bit = 0x80 if masked else 0
    if len(payload) < 126:
        head = struct.pack("!BB", first, bit | len(payload))
    elif len(payload) < 65536:
        head = struct.pack("!BBH", first, bit | 126, len(payload))
    else:
        head = struct.pack("!BBQ", first, bit | 127, len(payload))
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + mask(payload, key)


def upgrade_request(path="/ws", headers=(), host="localhost", key=None):
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: Upgrade", "Upgrade: websocket",
             "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key or base64.b64encode(os.urandom(16)).decode()}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Client:
    def __init__(self, address, token=None, path="/ws", headers=(), before=b"", receive_buffer=None, tls=None,
                 seconds=DEADLINE_S):
        """token goes into the Authorization header. before: bytes sent ahead of the request. tls: an ssl.SSLContext.
        Raises Refused."""
        self.buffer = bytearray()
        self.pong = True
        self.init = None
        self.skipped = []  # events and notices that expect() passed over
        self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(seconds)
        try:
            self.socket.connect(address)
            if tls:
                self.socket = tls.wrap_socket(self.socket, server_hostname=address[0])
            self._upgrade(token, path, list(headers), before, seconds)
        except BaseException:
            self.socket.close()
            raise

    def _upgrade(self, token, path, headers, before, seconds):
        if token is not None:
            headers.append(("Authorization", f"Bearer {token}"))
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(before + upgrade_request(path, headers, key=key))
        deadline = Deadline(seconds, "the answer to the upgrade")
        while b"\r\n\r\n" not in self.buffer:
            self._fill(deadline)
        head, _, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            assert name.lower() not in self.headers, f"twice in the answer: {name}"
            self.headers[name.lower()] = value.strip()
        self.buffer = bytearray(rest)
        if status != 101:
            length = int(self.headers.get("content-length", 0))
            while len(self.buffer) < length:
                self._fill(deadline)
            raise Refused(Response(status, self.headers, bytes(self.buffer)))
        accept = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        assert self.headers["sec-websocket-accept"] == base64.b64encode(accept).decode()

    # --- sending ---

    def send_raw(self, raw):
        self.socket.settimeout(DEADLINE_S)
        self.socket.sendall(raw)

    def send_frame(self, opcode, payload=b"", **options):
        self.send_raw(frame(opcode, payload, **options))

    def send_text(self, text):
        self.send_frame(TEXT, text if isinstance(text, bytes) else text.encode())

    def send(self, type_, id=None, **data):
        command = {"type": type_, "data": data}
        if id is not None:
            command["id"] = id
        self.send_text(json.dumps(command))

    # --- receiving ---

    def _fill(self, deadline):
        self.socket.settimeout(deadline.remaining())
        try:
            chunk = self.socket.recv(1 << 18)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
            raise Closed(None, "reset") from None
        except TimeoutError:
            deadline.remaining()
            raise
        if not chunk:
            raise Closed(None, "end of stream")
        self.buffer += chunk

    def take_frame(self):
        """The next whole frame in the buffer as (fin, opcode, payload), or None."""
        have = len(self.buffer)
        if have < 2:
            return None
        first, length = self.buffer[0], self.buffer[1]
        assert length < 128, "the server masked a frame"
        assert not first & 0x70, "the server set a reserved bit"
        at = 2
        if length >= 126:
            size = 2 if length == 126 else 8
            at += size
            if have < at:
                return None
            length = int.from_bytes(self.buffer[2:at], "big")
        if have < at + length:
            return None
        payload = bytes(self.buffer[at : at + length])
        del self.buffer[: at + length]
        return bool(first & 0x80), first & 15, payload

    def receive_frame(self, seconds=DEADLINE_S, what="a frame"):
        deadline = Deadline(seconds, what)
        while True:
            taken = self.take_frame()
            if taken:
                return taken
            self._fill(deadline)

    def receive_text(self, seconds=DEADLINE_S, what="a message"):
        """The payload of the next text message. Answers pings on the way. Raises Closed."""
        deadline = Deadline(seconds, what)
        while True:
            fin, opcode, payload = self.receive_frame(deadline.remaining(), what)
            assert fin, "the server never fragments"
            if opcode == TEXT:
                payload.decode()  # must be UTF-8
                return payload
            if opcode == PING:
                if self.pong:
                    self.send_frame(PONG, payload)
            elif opcode == CLOSE:
                code, reason = (struct.unpack("!H", payload[:2])[0], payload[2:].decode()) if payload else (1005, "")
                raise Closed(code, reason)
            else:
                assert opcode == PONG, f"opcode {opcode} from the server"

    def receive(self, seconds=DEADLINE_S, what="a message"):
        return json.loads(self.receive_text(seconds, what))

    def expect(self, type_, seconds=DEADLINE_S, **members):
        """The next message, which must be of that type and have those members."""
        message = self.receive(seconds, f"a message of type {type_}")
        assert message.get("type") == type_, f"expected {type_}: {message}"
        for name, value in members.items():
            assert message.get(name) == value, f"expected {name}={value!r}: {message}"
        return message

    def find(self, type_, seconds=DEADLINE_S, **members):
        """The next message of that type with those members. Others before it are kept in skipped."""
        deadline = Deadline(seconds, f"a message of type {type_} {members or ''}")
        while True:
            message = self.receive(deadline.remaining(), deadline.what)
            if message.get("type") == type_ and all(message.get(k) == v for k, v in members.items()):
                return message
            self.skipped.append(message)

    def expect_close(self, code=None, reason=None, seconds=DEADLINE_S):
        """Reads until the server closes. Keeps earlier messages in skipped. Checks code and reason."""
        deadline = Deadline(seconds, "the close")
        try:
            while True:
                self.skipped.append(self.receive(deadline.remaining(), deadline.what))
        except Closed as closed:
            assert code is None or closed.code == code, f"expected close code {code}: {closed}; before it: {self.skipped}"
            assert reason is None or closed.reason == reason, f"expected {reason!r}: {closed}; before it: {self.skipped}"
            if closed.code is not None:
                try:
                    self.send_frame(CLOSE, struct.pack("!H", closed.code if closed.code != 1005 else 1000))
                except OSError:
                    pass  # the server need not wait for it
            return closed

    # --- the protocol ---

    def start(self):
        """Takes session_init."""
        self.init = self.expect("session_init")
        return self

    def ask(self, type_, answer, id="ask", **data):
        """Sends a command and returns its answer."""
        self.send(type_, id=id, **data)
        return self.find(answer, id=id)

    def subscribe(self, channel):
        return self.ask("subscribe", "subscribed", id=f"subscribe {channel}"[:64], channel=channel)

    def may_subscribe(self, channel):
        """Whether it may. Leaves it as it was."""
        allowed = None
        self.send("subscribe", id="try", channel=channel)
        self.send("unsubscribe", id="leave", channel=channel)
        while True:
            message = self.receive()
            if message.get("id") == "try":
                allowed = message["type"] == "subscribed"
            if message.get("id") == "leave":
                return allowed

    def error(self, type_, code, id="ask", **data):
        """Sends a command that must be answered by that error. Returns the error's members."""
        message = self.ask(type_, "error", id=id, **data)
        assert message["error"]["code"] == code, message
        return message["error"]

    def nothing_before_pong(self):
        """Proves that nothing else is on its way: the next message is the answer to a ping."""
        self.send("ping", id="fence")
        self.expect("pong", id="fence")

    def close(self):
        """Leaves in order. Only messages that were on their way may come."""
        try:
            self.send_frame(CLOSE, struct.pack("!H", 1000))
            self.expect_close()
        except (OSError, Closed):
            pass
        self.socket.close()

    def drop(self):
        """Vanishes with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def connect(address, token, **options):
    """A client that has its session_init."""
    return Client(address, token, **options).start()
