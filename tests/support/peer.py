"""A server of each protocol that `carillon bench` speaks, as small as can be, and with faults. It can lose, double or swap an event on the
way to one subscriber. It can stand still for a while, or close a connection."""
import asyncio
import base64
import hashlib
import json
import re
import struct
import threading
from urllib.parse import unquote

from support import ws
from support.wait import DEADLINE_S

FAULT_AT = 3  # the event that it happens to
STALL_S = 0.5


def mqtt_packet(first, body):
    length, digits = len(body), b""
    while True:
        digits += bytes([length & 127 | (128 if length > 127 else 0)])
        length >>= 7
        if not length:
            return bytes([first]) + digits + body


class Subscriber:
    """A WebSocket connection. The peer knows its subscriptions."""

    def __init__(self, peer, reader, writer):
        self.peer, self.reader, self.writer = peer, reader, writer
        self.input = b""  # of a protocol that is a byte stream
        self.held = None
        self.got = 0

    def send(self, payload, opcode=ws.TEXT):
        self.writer.write(ws.frame(opcode, payload, masked=False))

    def stream(self, raw):
        """Packets of a byte stream, cut where it hurts."""
        for start in range(0, len(raw), 5):
            self.send(raw[start:start + 5], ws.BINARY)

    async def receive(self):
        """The next message's opcode and payload."""
        first, second = await self.reader.readexactly(2)
        length = second & 127
        if length == 126:
            length, = struct.unpack("!H", await self.reader.readexactly(2))
        key = await self.reader.readexactly(4)
        return first & 15, ws.mask(await self.reader.readexactly(length), key)

    def deliver(self, channel, data):
        """One event, or what the fault makes of it."""
        self.got += 1
        event = self.peer.encode(channel, data)
        fault = self.peer.fault if self.got == FAULT_AT and self is self.peer.victim else None
        if fault == "stall":
            threading.Event().wait(STALL_S)  # of the whole server
        if fault == "swap":
            self.held = event
        elif fault != "drop":
            for _ in range(2 if fault == "double" else 1):
                self.peer.put(self, event)
            if self.held:
                self.peer.put(self, self.held)
                self.held = None


class Peer:
    """protocol: a name of --protocol. fault: None, or "drop", "double", "swap" or "stall" for an event, or "hang up" for a subscriber.
    status: of the answers to publishing."""

    def __init__(self, protocol, fault=None, status=200):
        self.protocol, self.fault, self.status = protocol, fault, status
        self.subscribers = {}  # channel: list of Subscriber
        self.victim = None
        self.requests = []
        self.loop = asyncio.new_event_loop()
        self.stopping = asyncio.Event()
        started = threading.Event()
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=[self._serve(started)])
        self.thread.start()
        assert started.wait(DEADLINE_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stopping.set)
        self.thread.join(DEADLINE_S)
        self.loop.close()

    async def _serve(self, started):
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await self.stopping.wait()
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, target = head.split(" ", 2)[:2]
                self.requests.append(f"{method} {target}")
                if method == "GET":
                    await self._websocket(head, target, Subscriber(self, reader, writer))
                    return
                length = int(re.search(r"content-length: (\d+)", head, re.I).group(1))
                self.publish(self.channel_of(target), await reader.readexactly(length))
                writer.write(f"HTTP/1.1 {self.status} Because\r\n".encode() +
                             (b"\r\n" if self.status == 204 else b"Content-Length: 0\r\n\r\n"))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @staticmethod
    def channel_of(target):
        return unquote(re.search(r"(?:channel=|/sub/|/pub/)(.*)", target).group(1))

    def subscribe(self, subscriber, channel):
        self.subscribers.setdefault(channel, []).append(subscriber)
        self.victim = self.victim or subscriber
        if self.fault == "hang up":
            subscriber.send((1011).to_bytes(2, "big") + b"bye", ws.CLOSE)

    def publish(self, channel, data):
        for subscriber in self.subscribers.get(channel, []):
            subscriber.deliver(channel, data)

    def encode(self, channel, data):
        if self.protocol == "socketio":
            return b'42["event",' + data + b"]"
        if self.protocol == "mqtt":
            return mqtt_packet(0x30, struct.pack("!H", len(channel)) + channel.encode() + data)
        if self.protocol == "nats":
            return b"MSG %s 1 %d\r\n%s\r\n" % (channel.encode(), len(data), data)
        return data

    def put(self, subscriber, event):
        if self.protocol in ("mqtt", "nats"):
            subscriber.stream(event)
        else:
            subscriber.send(event)

    # --- what is said after the upgrade ---

    async def _websocket(self, head, target, subscriber):
        key = re.search(r"sec-websocket-key: (\S+)", head, re.I).group(1)
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        protocol = re.search(r"sec-websocket-protocol: (\S+)", head, re.I)
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Accept: " + base64.b64encode(digest).decode()]
        lines += ["Sec-WebSocket-Protocol: " + protocol.group(1)] if protocol else []
        subscriber.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        if self.protocol in ("plain", "nchan"):
            self.subscribe(subscriber, self.channel_of(target))
        elif self.protocol == "socketio":
            subscriber.send(b'0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}')
        elif self.protocol == "nats":
            subscriber.stream(b'INFO {"server_id":"x"}\r\n')
        while True:
            opcode, payload = await subscriber.receive()
            if opcode in (ws.TEXT, ws.BINARY):
                getattr(self, f"_on_{self.protocol}")(subscriber, payload)

    def _on_socketio(self, subscriber, message):
        if message == b"40":
            subscriber.send(b'40{"sid":"y"}')
            subscriber.send(b"2")
        elif message != b"3":
            name, channel = json.loads(message.removeprefix(b"420"))
            assert name == "join"
            self.subscribe(subscriber, channel)
            subscriber.send(b"430[]")

    def _on_mqtt(self, subscriber, message):
        subscriber.input += message
        while len(subscriber.input) >= 2:
            length, at = 0, 1
            while True:
                digit = subscriber.input[at]
                length |= (digit & 127) << 7 * (at - 1)
                at += 1
                if digit < 128:
                    break
            first, body, subscriber.input = subscriber.input[0], subscriber.input[at:at + length], subscriber.input[at + length:]
            if first == 0x10:
                subscriber.stream(b"\x20\x02\x00\x00")
            elif first == 0x82:
                self.subscribe(subscriber, body[4:-1].decode())
                subscriber.stream(b"\x90\x03\x00\x01\x00")
            elif first == 0x30:
                end = 2 + struct.unpack("!H", body[:2])[0]
                self.publish(body[2:end].decode(), body[end:])

    def _on_nats(self, subscriber, message):
        subscriber.input += message
        while b"\r\n" in subscriber.input:
            line, rest = subscriber.input.split(b"\r\n", 1)
            words = line.decode().split()
            if words[0] == "PUB":
                length = int(words[2])
                if len(rest) < length + 2:
                    return
                self.publish(words[1], rest[:length])
                rest = rest[length + 2:]
            elif words[0] == "SUB":
                self.subscribe(subscriber, words[1])
            elif words[0] == "PING":
                subscriber.stream(b"PONG\r\n")
            subscriber.input = rest
