"""Cases of RFC 6455 for a server: what a client sends, and what must come. Their numbers follow the chapters of the list that most
WebSocket servers are tested with. These are 1 framing, 2 pings, 3 reserved bits, 4 opcodes, 5 fragments, 6 UTF-8, 7 closing, 9 sizes.
Chapter 0 is ours. Carillon echoes no messages. So the client gets the pong of a JSON ping with the text as its id, or an event that it has
published itself."""
import json
import struct
from collections import namedtuple

from support.ws import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame

# steps: ("send", bytes) | ("chop", bytes, size) | (what is expected, ...); see expect() in test_conformance.py.
Case = namedtuple("Case", "name section steps")

MESSAGE_BYTES = 9 << 20  # limits.message_bytes of the server
CHANNEL = "echo:1"


def ping_text(text):
    """The JSON ping that brings text back."""
    return b'{"type":"ping","id":"' + (text if isinstance(text, bytes) else text.encode()) + b'"}'


def send(raw):
    return ("send", raw)


def pong_of(text):
    return ("answer", text if isinstance(text, str) else text.decode())


ALIVE = (send(frame(TEXT, ping_text("alive"))), pong_of("alive"), send(frame(CLOSE, struct.pack("!H", 1000))), ("closed", 1000, ""))


def bad(code):
    return ("closed", code, {1002: "protocol_error", 1003: "data_kind", 1007: "not_utf8", 1009: "message_too_big"}[code])


def fragments(payload, size, opcode=TEXT, between=b""):
    parts = [payload[i:i + size] for i in range(0, len(payload), size)] or [b""]
    out = []
    for i, part in enumerate(parts):
        out.append(frame(opcode if i == 0 else CONTINUATION, part, fin=i == len(parts) - 1))
        if between and i < len(parts) - 1:
            out.append(between)
    return out


def three_ways(raws):
    """The same frames: each in a piece, all at once, byte by byte."""
    whole = b"".join(raws)
    yield "by frame", [send(raw) for raw in raws]
    yield "at once", [send(whole)]
    yield "by byte", [("chop", whole, 1)]


def publish(size):
    """A publish command whose whole message is exactly size bytes, and the data that comes back."""
    empty = json.dumps({"type": "publish", "data": {"channel": CHANNEL, "type": "echo", "data": ""}}).encode()
    data = "*" * (size - len(empty))
    return empty[:-3] + data.encode() + empty[-3:], data


def framing():
    for size in (0, 125, 126, 127, 128, 65535, 65536):
        for piece in (None, 997):
            name = f"1.1 text of {size} bytes" + (f" in pieces of {piece}" if piece else "")
            if size == 0:
                message, answer = b"", ("error", "invalid_request")
            else:
                message, data = publish(size)
                answer = ("event", data)
            raw = frame(TEXT, message)
            yield Case(name, "5.6", [("chop", raw, piece) if piece else send(raw), answer, *ALIVE])
    for size in (0, 125, 126, 127, 128, 65535, 65536):
        yield Case(f"1.2 binary of {size} bytes", "5.6", [send(frame(BINARY, b"\xfe" * size)), bad(1003)])


def pings():
    for name, payload in (("empty", b""), ("text", b"Hello, world!"), ("binary", bytes([0, 255, 254, 253, 252, 251, 0, 255])),
                          ("125 bytes", b"\xfe" * 125)):
        for how, steps in three_ways([frame(PING, payload)]):
            yield Case(f"2.1 ping: {name}, {how}", "5.5.2", [*steps, ("pong", payload), *ALIVE])
    for size in (126, 127, 65536):
        yield Case(f"2.5 ping of {size} bytes", "5.5", [send(frame(PING, b"x" * size)), bad(1002)])
        yield Case(f"2.5 pong of {size} bytes", "5.5", [send(frame(PONG, b"x" * size)), bad(1002)])
    for payload in (b"", b"unsolicited"):
        yield Case(f"2.7 unsolicited pong {payload}", "5.5.3", [send(frame(PONG, payload)), *ALIVE])
        yield Case(f"2.9 unsolicited pong {payload}, then a ping", "5.5.3",
                   [send(frame(PONG, payload) + frame(PING, b"p")), ("pong", b"p"), *ALIVE])
    ten = [frame(PING, b"payload-%d" % i) for i in range(10)]
    for how, steps in three_ways(ten):
        yield Case(f"2.10 ten pings {how}", "5.5.3", [*steps, *[("pong", b"payload-%d" % i) for i in range(10)], *ALIVE])


def reserved_bits():
    for rsv in range(1, 8):
        for name, opcode, payload in (("text", TEXT, ping_text("x")), ("binary", BINARY, b"x"), ("ping", PING, b""),
                                      ("pong", PONG, b""), ("close", CLOSE, b"")):
            yield Case(f"3.1 reserved bits {rsv} on {name}", "5.2", [send(frame(opcode, payload, rsv=rsv)), bad(1002)])
        yield Case(f"3.2 reserved bits {rsv} after a message", "5.2",
                   [send(frame(TEXT, ping_text("ok")) + frame(TEXT, ping_text("x"), rsv=rsv)), pong_of("ok"), bad(1002)])
        yield Case(f"3.3 reserved bits {rsv} byte by byte", "5.2",
                   [("chop", frame(TEXT, ping_text("ok")) + frame(TEXT, ping_text("x"), rsv=rsv), 1), pong_of("ok"), bad(1002)])


def opcodes():
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        for payload in (b"", b"x"):
            yield Case(f"4.1 opcode {opcode} with {len(payload)} bytes", "5.2", [send(frame(opcode, payload)), bad(1002)])
        yield Case(f"4.2 opcode {opcode} after a message, before a ping", "5.2",
                   [send(frame(TEXT, ping_text("ok")) + frame(opcode, b"x") + frame(PING)), pong_of("ok"), bad(1002)])


def fragmentation():
    text = ping_text("in fragments")
    half = [frame(TEXT, text[:9], fin=False), frame(CONTINUATION, text[9:])]
    yield Case("5.1 fragmented ping", "5.5", [send(frame(PING, b"a", fin=False) + frame(CONTINUATION, b"b")), bad(1002)])
    yield Case("5.2 fragmented pong", "5.5", [send(frame(PONG, b"a", fin=False) + frame(CONTINUATION, b"b")), bad(1002)])
    yield Case("5.2 fragmented close", "5.5", [send(frame(CLOSE, b"\x03\xe8", fin=False)), bad(1002)])
    for how, steps in three_ways(half):
        yield Case(f"5.3 text in two fragments, {how}", "5.4", [*steps, pong_of("in fragments"), *ALIVE])
    for how, steps in three_ways([half[0], frame(PING, b"between"), half[1]]):
        yield Case(f"5.6 a ping between fragments, {how}", "5.4",
                   [*steps, ("pong", b"between"), pong_of("in fragments"), *ALIVE])
    for fin in (True, False):
        for how, steps in three_ways([frame(CONTINUATION, b"non-continuation", fin=fin), frame(TEXT, ping_text("x"))]):
            yield Case(f"5.9 a continuation of nothing, fin {fin}, {how}", "5.4", [*steps, bad(1002)])
    yield Case("5.15 a continuation after a whole fragmented message", "5.4",
               [send(b"".join(half) + frame(CONTINUATION, b"x", fin=False)), pong_of("in fragments"), bad(1002)])
    yield Case("5.16 a continuation of a refused one", "5.4", [send(frame(CONTINUATION, b"x", fin=False) + half[0]), bad(1002)])
    for opcode in (TEXT, BINARY):
        for fin in (True, False):
            yield Case(f"5.18 a message of opcode {opcode} inside a fragmented one, fin {fin}", "5.4",
                       [send(half[0] + frame(opcode, b"x", fin=fin)), bad(1002)])
    for size in (1, 2, 5):
        for how, steps in three_ways(fragments(text, size, between=frame(PING, b"p"))):
            count = (len(text) + size - 1) // size - 1
            yield Case(f"5.19 fragments of {size} with pings between, {how}", "5.4",
                       [*steps, *[("pong", b"p")] * count, pong_of("in fragments"), *ALIVE])
    yield Case("5.20 empty fragments", "5.4",
               [send(frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) + frame(CONTINUATION, text)),
                pong_of("in fragments"), *ALIVE])
    yield Case("5.21 nothing but empty fragments", "5.4",
               [send(frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"")), ("error", "invalid_request"), *ALIVE])
    yield Case("5.22 close between fragments", "5.4", [send(half[0] + frame(CLOSE, b"\x03\xe8")), ("closed", 1000, "")])


VALID_TEXT = [
    "Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!", "\u03ba\u1f79\u03c3\u03bc\u03b5", "\u0080", "\u07ff", "\u0800",
    "\ud7ff", "\ue000", "\ufffd", "\uffff", "\U00010000", "\U0010ffff", "\u2028", "\ufeff", "\u0400\U0001f600", "\x7f",
    *[chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF)],  # noncharacters are characters
]

INVALID_TEXT = [
    b"\x80", b"\xbf", b"\x80\xbf", b"\x80\xbf\x80", b"\x80\xbf\x80\xbf", bytes(range(0x80, 0xC0)),  # continuations alone
    *[bytes([first]) + b" " for first in (0xC2, 0xDF, 0xE0, 0xEF, 0xF0, 0xF4)],  # beginnings alone
    b"\xc0 ", b"\xc1\xbf", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xf8\x80\x80\x80\xaf",  # overlong
    b"\xfc\x80\x80\x80\x80\xaf", b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf",
    b"\xe0\x9f\xbf", b"\xc1\x80",
    b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xaf\xbf", b"\xed\xb0\x80", b"\xed\xbe\x80", b"\xed\xbf\xbf",  # surrogates
    b"\xed\xa0\x80\xed\xb0\x80", b"\xed\xaf\xbf\xed\xbf\xbf",
    b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf7\xbf\xbf\xbf", b"\xf8\x88\x80\x80\x80", b"\xfb\xbf\xbf\xbf\xbf",  # too high
    b"\xfc\x84\x80\x80\x80\x80", b"\xfd\xbf\xbf\xbf\xbf\xbf", b"\xfe", b"\xff", b"\xfe\xfe\xff\xff",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    b"\xe2\x82", b"\xf0\x9f\x98", b"\xce",  # cut within a character
]


def utf8():
    for i, text in enumerate(VALID_TEXT):
        raw = frame(TEXT, ping_text(text))
        yield Case(f"6.2 valid text {i}", "8.1", [send(raw), pong_of(text), *ALIVE])
    for i, text in enumerate(VALID_TEXT[:6]):
        yield Case(f"6.3 valid text {i}, a fragment a byte", "8.1",
                   [send(b"".join(fragments(ping_text(text), 1))), pong_of(text), *ALIVE])
    for i, text in enumerate(INVALID_TEXT):
        yield Case(f"6.6 invalid text {i}", "8.1", [send(frame(TEXT, text)), bad(1007)])
        yield Case(f"6.6 invalid text {i}, a fragment a byte", "8.1", [send(b"".join(fragments(text, 1))), bad(1007)])
    start = "\u03ba\u1f79\u03c3\u03bc\u03b5".encode()
    for name, broken in (("too high", b"\xf4\x90"), ("a surrogate", b"\xed\xa0"), ("a lone continuation", b"\x80")):
        whole = frame(TEXT, start + broken + b" and more that never comes")
        yield Case(f"6.4 {name} is refused before the frame has come", "8.1", [send(whole[:6 + len(start + broken)]), bad(1007)])
        yield Case(f"6.4 {name} is refused before the message has come", "8.1",
                   [send(frame(TEXT, start, fin=False) + frame(CONTINUATION, broken, fin=False)), bad(1007)])


def closing():
    def code(number, reason=b""):
        return struct.pack("!H", number) + reason

    last = frame(CLOSE, code(1000))
    text = frame(TEXT, ping_text("x"))
    yield Case("7.1 a message, then close", "7.1.2", [send(text + last), pong_of("x"), ("closed", 1000, "")])
    for name, after in (("another close", last), ("a ping", frame(PING)), ("text", text), ("rubbish", b"\xff" * 50),
                        ("a fragment", frame(CONTINUATION, b"x"))):
        yield Case(f"7.1 {name} after close", "5.5.1", [send(last + after), ("closed", 1000, "")])
    yield Case("7.1 a fragment, then close", "7.1.2",
               [send(frame(TEXT, b"x", fin=False) + last), ("closed", 1000, "")])
    yield Case("7.3 close without a code", "7.1.5", [send(frame(CLOSE)), ("closed", None, "")])
    yield Case("7.3 close with half a code", "5.5.1", [send(frame(CLOSE, b"\x03")), bad(1002)])
    for reason in (b"", b"Hello World!", b"*" * 123, "\u00e4".encode() * 61):
        for piece in (None, 1):
            raw = frame(CLOSE, code(1000, reason))
            yield Case(f"7.3 close with a reason of {len(reason)} bytes" + (" byte by byte" if piece else ""), "5.5.1",
                       [("chop", raw, 1) if piece else send(raw), ("closed", 1000, "")])
    yield Case("7.3 close with a reason of 124 bytes", "5.5", [send(frame(CLOSE, code(1000, b"*" * 124))), bad(1002)])
    for reason in (b"\xff", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", b"\xe2\x82"):
        yield Case(f"7.5 close with a reason that is not UTF-8 {reason[:4]}", "8.1", [send(frame(CLOSE, code(1000, reason))), bad(1007)])
    for number in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999):
        yield Case(f"7.7 close code {number}", "7.4", [send(frame(CLOSE, code(number))), ("closed", number, "")])
    for number in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        for reason in (b"", b"why"):
            yield Case(f"7.9 close code {number} {reason}", "7.4", [send(frame(CLOSE, code(number, reason))), bad(1002)])


def sizes():
    for size in (1 << 16, 1 << 18, 1 << 20, 4 << 20, 8 << 20):
        message, data = publish(size)
        yield Case(f"9.1 a message of {size} bytes", "5.2", [send(frame(TEXT, message)), ("event", data), *ALIVE])
    message, data = publish(1 << 20)
    for size in (4096, 65536, 1 << 18):
        yield Case(f"9.3 a message of 1 MiB in fragments of {size}", "5.4",
                   [send(b"".join(fragments(message, size))), ("event", data), *ALIVE])
    for size in (1024, 16384):
        yield Case(f"9.5 a message of 1 MiB in pieces of {size}", "5.2",
                   [("chop", frame(TEXT, message), size), ("event", data), *ALIVE])
    for size in (64, 1024, 65536):
        text = "r" * 40
        pad = ping_text(text)[:-1] + b',"pad":"' + b"*" * size + b'"}'
        yield Case(f"9.7 a hundred messages of {size} bytes", "5.2", [send(frame(TEXT, pad) * 100), *[pong_of(text)] * 100, *ALIVE])
    message, data = publish(65536)
    yield Case("10.1 a message of 64 KiB in fragments of 1300", "5.4",
               [send(b"".join(fragments(message, 1300))), ("event", data), *ALIVE])


def header(first, length, masked=True):
    """The length as it is given: a small number, or bytes of 2 or 8."""
    bit = 0x80 if masked else 0
    if isinstance(length, int):
        return bytes([first, bit | length]) + (b"\0\0\0\0" if masked else b"")
    return bytes([first, bit | (126 if len(length) == 2 else 127)]) + length + (b"\0\0\0\0" if masked else b"")


def strictness():
    for name, opcode, payload in (("text", TEXT, ping_text("x")), ("binary", BINARY, b"x"), ("ping", PING, b"x"), ("pong", PONG, b""),
                                  ("close", CLOSE, b"\x03\xe8"), ("continuation", CONTINUATION, b"x"), ("an empty text", TEXT, b"")):
        yield Case(f"0.1 not masked: {name}", "5.1", [send(frame(opcode, payload, masked=False)), bad(1002)])
    yield Case("0.1 not masked, after a message", "5.1",
               [send(frame(TEXT, ping_text("ok")) + frame(TEXT, ping_text("x"), masked=False)), pong_of("ok"), bad(1002)])
    yield Case("0.1 a key of zeros", "5.3", [send(header(0x81, len(ping_text("x"))) + ping_text("x")), pong_of("x"), *ALIVE])
    for length in (0, 1, 125):
        yield Case(f"0.2 a length of {length} in 16 bits", "5.2", [send(header(0x81, struct.pack("!H", length))), bad(1002)])
    for length in (0, 125, 126, 65535):
        yield Case(f"0.2 a length of {length} in 64 bits", "5.2", [send(header(0x81, struct.pack("!Q", length))), bad(1002)])
    for length in (1 << 63, (1 << 64) - 1):
        yield Case(f"0.2 a length of {length:#x}", "5.2", [send(header(0x81, struct.pack("!Q", length))), bad(1002)])
    for length in (MESSAGE_BYTES + 1, (1 << 63) - 1, 1 << 32):
        yield Case(f"0.3 a message of {length} bytes is refused by its header", "10.4",
                   [send(header(0x81, struct.pack("!Q", length))), bad(1009)])
    part = b"*" * (3 << 20)
    yield Case("0.3 fragments that are too much together", "10.4",
               [send(frame(TEXT, part, fin=False) + frame(CONTINUATION, part, fin=False) + frame(CONTINUATION, part, fin=False)
                     + header(0x00, 1)), bad(1009)])
    yield Case("0.4 nothing follows a refusal", "7.1.7",
               [send(frame(TEXT, b"\xff") + frame(PING, b"x") + frame(TEXT, ping_text("x")) + frame(CLOSE, b"\x03\xe8")), bad(1007)])
    yield Case("0.5 rubbish", "5.2", [send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), bad(1002)])


CASES = [case for chapter in (strictness, framing, pings, reserved_bits, opcodes, fragmentation, utf8, closing, sizes)
         for case in chapter()]
