"""Each command a client can send, good and bad, and every way a frame can be wrong."""
import json
import struct
import time

import pytest
from support import ws
from support.wait import DEADLINE_S, until


# --- subscribe, unsubscribe, ping ---


def test_subscribe(node):
    with node.connect() as client:
        answer = client.ask("subscribe", "subscribed", id=1, channel="conversation:conv-123")
        assert answer["channel"] == "conversation:conv-123"
        assert answer["data"]["recovered"] is False
        node.publish("conversation:conv-123", {"n": 1})
        event = client.expect("test", channel="conversation:conv-123")
        assert event["data"] == {"n": 1}


def test_position_on_a_channel_with_history(node):
    with node.connect() as client:
        first = client.subscribe("log:1")["data"]
        assert first["offset"] == 0
        answer = node.publish("log:1", 1)
        assert answer["offset"] == 1
        event = client.expect("test", channel="log:1", offset=1)
        assert event["id"] == answer["id"]
        with node.connect() as late:
            assert late.subscribe("log:1")["data"] == {"epoch": answer["epoch"], "offset": 1, "id": answer["id"], "recovered": False}


def test_subscribe_twice_is_answered_twice_and_delivers_once(node):
    with node.connect() as client:
        client.subscribe("news")
        client.subscribe("news")
        node.publish("news", 1)
        client.expect("test")
        client.nothing_before_pong()


def test_unsubscribe(node):
    with node.connect() as client:
        client.subscribe("news")
        client.subscribe("other")
        assert client.ask("unsubscribe", "unsubscribed", id="u", channel="news")["channel"] == "news"
        node.publish("news", 1)
        node.publish("other", 2)
        assert client.expect("test")["channel"] == "other"
        client.ask("unsubscribe", "unsubscribed", id="again", channel="news")


def test_ping(node):
    with node.connect() as client:
        for command in ({"type": "ping"}, {"type": "ping", "data": {}}, {"type": "ping", "data": {}, "more": [1]}):
            client.send_text(json.dumps(command))
            answer = client.expect("pong")
            assert answer["timestamp"].endswith("Z")
            assert "id" not in answer


@pytest.mark.parametrize("id", [0, 7, -3, 9007199254740993, 2**63 - 1, "x", "x" * 64, 'quote " and \\ and é and \U0001f514'])
def test_ids_come_back(node, id):
    with node.connect() as client:
        client.send("ping", id=id)
        answer = client.expect("pong")
        assert answer["id"] == id and type(answer["id"]) is type(id)
        assert client.error("subscribe", "subscription_failed", id=id, channel="with space")


@pytest.mark.parametrize("id", ["x" * 65, 1.5, True, [], {}], ids=repr)
def test_bad_ids(node, id):
    with node.connect() as client:
        client.send_text(json.dumps({"type": "ping", "id": id}))
        assert client.expect("error")["error"]["code"] == "invalid_request"
        client.nothing_before_pong()


def test_null_is_as_if_absent(node):
    with node.connect() as client:
        client.send_text('{"type":"ping","id":null,"data":null}')
        assert "id" not in client.expect("pong")
        nothing = {"since": None, "last": None, "before": None, "limit": None, "after": None, "event_id": None}
        client.ask("subscribe", "subscribed", channel="log:a", **nothing)
        client.ask("publish", "published", channel="log:a", type="test", data=None, **nothing)
        client.skipped or client.expect("test", data=None)
        assert client.ask("history", "history", channel="log:a", **nothing)["data"]["events"][0]["data"] is None
        client.error("publish", "invalid_request", channel=None, type="test", data=1)
        client.error("subscribe", "invalid_request", channel="log:b", since={"epoch": None, "offset": 1})


@pytest.mark.parametrize("name", ["", " ", "with space", "tab\there", "line\nbreak", "\x7f", "\u00a0", "\u2028", "x" * 256, "é" * 128])
def test_bad_channel_names(node, name):
    with node.connect() as client:
        client.error("subscribe", "subscription_failed", channel=name)
        client.nothing_before_pong()


@pytest.mark.parametrize("name", ["a", "x" * 255, "conversation:conv-123", "räume:größe", "\U0001f514", "a:b:c", "*", "{sub}", "%41"])
def test_good_channel_names(node, name):
    with node.connect() as client:
        assert client.subscribe(name)["channel"] == name
        node.publish(name, {"to": name})
        assert client.expect("test", channel=name)["data"] == {"to": name}


def test_what_the_channel_does_not_keep(node):
    with node.connect() as client:
        assert client.error("presence", "not_found", channel="news")["message"]
        assert client.error("subscribe", "invalid_request", channel="news", since={"last": 10})["message"]
        client.nothing_before_pong()


# --- what is no command ---

BAD_MESSAGES = {
    "empty": "",
    "no json": "hello",
    "cut": '{"type":"ping"',
    "trailing": '{"type":"ping"}x',
    "two": '{"type":"ping"}{"type":"ping"}',
    "array": '[{"type":"ping"}]',
    "number": "7",
    "no type": '{"data":{}}',
    "type is a number": '{"type":1}',
    "unknown type": '{"type":"explode","data":{}}',
    "server's type": '{"type":"session_init"}',
    "type in capitals": '{"type":"PING"}',
    "type twice": '{"type":"ping","type":"subscribe"}',
    "no channel": '{"type":"subscribe","data":{}}',
    "no data": '{"type":"subscribe"}',
    "data is text": '{"type":"subscribe","data":"news"}',
    "channel is a number": '{"type":"subscribe","data":{"channel":7}}',
    "raw control character": '{"type":"ping","x":"\x01"}',
    "leading zero": '{"type":"ping","x":01}',
    "deep": '{"type":"ping","x":' + "[" * 5000 + "]" * 5000 + "}",
    "lone surrogate": '{"type":"subscribe","data":{"channel":"\\ud800"}}',
    "nul in a name": '{"type":"subscribe","data":{"channel":"a\\u0000b"}}',
}


@pytest.fixture(scope="module")
def shared(launch_for_module):
    return launch_for_module({"limits.bad_messages": 0})


@pytest.mark.parametrize("case", list(BAD_MESSAGES))
def test_a_bad_message_is_answered_and_the_connection_stays(shared, case):
    with shared.connect() as client:
        client.send_text(BAD_MESSAGES[case])
        error = client.expect("error")["error"]
        assert error["code"] in ("invalid_request", "subscription_failed") and error["message"]
        client.nothing_before_pong()


def test_the_id_of_a_bad_message_comes_back(shared):
    with shared.connect() as client:
        client.send_text('{"type":"explode","id":42,"data":{}}')
        client.expect("error", id=42)
        client.send_text('{"id":"x","type":"subscribe","data":{"channel":7}}')
        client.expect("error", id="x")


def test_bad_messages_in_a_row_close(launch):
    node = launch({"limits.bad_messages": 3})
    with node.connect() as client:
        for _ in range(5):  # a good one in between forgives
            client.send_text("bad")
            client.send_text("bad")
            client.send("ping", id=1)
        for _ in range(5):
            client.find("pong", id=1)
        for _ in range(3):
            client.send_text("bad")
        client.skipped.clear()
        client.expect_close(1008, "bad_messages")
        assert [m["type"] for m in client.skipped][:3] == ["error"] * 3


# --- limits ---


def test_channels_of_one_session(launch):
    node = launch({"limits.channels": 2})
    with node.connect() as client:
        assert client.init["data"]["limits"]["channels"] == 2
        client.subscribe("one")
        client.subscribe("two")
        assert "2" in client.error("subscribe", "subscription_failed", channel="three")["message"]
        client.subscribe("two")
        client.ask("unsubscribe", "unsubscribed", channel="one")
        client.subscribe("three")


def test_message_rate(launch):
    node = launch({"limits.message_rate": 1, "limits.message_burst": 5, "limits.bad_messages": 0})
    with node.connect() as client:
        for n in range(8):
            client.send("ping", id=n)
        answers = [client.receive() for _ in range(8)]
        limited = [a for a in answers if a["type"] == "error"]
        assert [a["type"] for a in answers[:5]] == ["pong"] * 5
        assert 2 <= len(limited) <= 3, answers
        assert all(a["error"]["code"] == "rate_limited" and "id" in a for a in limited)
        until(lambda: self_heals(client), "the bucket fills again")


def self_heals(client):
    client.send("ping", id="later")
    return client.receive()["type"] == "pong"


def test_message_rate_of_the_token(launch):
    node = launch({"limits.message_burst": 2, "limits.bad_messages": 0})
    with node.connect(claims={"rate_limit": 60}) as client, node.connect("free") as other:
        for n in range(10):
            client.send("ping", id=n)
            other.send("ping", id=n)
        assert any(client.receive()["type"] == "error" for _ in range(10))


def test_a_flood_closes(launch):
    node = launch({"limits.message_rate": 1, "limits.message_burst": 5, "limits.bad_messages": 10})
    with node.connect() as client:
        for n in range(40):
            client.send("ping", id=n)
        client.expect_close(1013, "rate_limited")


def test_message_size(launch):
    node = launch({"limits.message_bytes": "1k"})

    def padded(size):
        return ('{"type":"ping","x":"' + "y" * (size - 22) + '"}').encode()

    with node.connect() as client:
        assert client.init["data"]["limits"]["message_bytes"] == 1024
        client.send_text(padded(1024))
        client.expect("pong")
        client.send_text(padded(1025))
        client.expect_close(1009, "message_too_big")
    with node.connect() as client:  # in fragments
        client.send_frame(ws.TEXT, b"x" * 600, fin=False)
        client.send_frame(ws.CONTINUATION, b"x" * 600)
        client.expect_close(1009, "message_too_big")
    with node.connect() as client:  # announced, hardly begun (libwebsockets 4.3 tells of a frame with its first byte)
        client.send_raw(b"\x81\xff" + struct.pack("!Q", 1 << 40) + b"mask" + b"x")
        client.expect_close(1009, "message_too_big")


# --- frames ---


def test_fragments_are_joined(node):
    text = json.dumps({"type": "subscribe", "id": "f", "data": {"channel": "glocken:größe"}}, ensure_ascii=False).encode()
    with node.connect() as client:
        client.send_frame(ws.TEXT, text[:1], fin=False)
        for byte in text[1:-1]:  # also in the middle of a character
            client.send_frame(ws.CONTINUATION, bytes([byte]), fin=False)
        client.send_frame(ws.CONTINUATION, text[-1:])
        client.expect("subscribed", id="f", channel="glocken:größe")
        client.send_frame(ws.TEXT, b"", fin=False)
        client.send_frame(ws.CONTINUATION, b'{"type":"ping"}')
        client.expect("pong")


def test_control_frames_between_fragments(node):
    with node.connect() as client:
        client.pong = False
        client.send_frame(ws.TEXT, b'{"type":', fin=False)
        client.send_frame(ws.PING, b"are you there")
        client.send_frame(ws.PONG, b"unasked")
        client.send_frame(ws.CONTINUATION, b'"ping"}')
        frames = {client.receive_frame()[1:], client.receive_frame()[1:]}
        assert (ws.PONG, b"are you there") in frames
        assert any(opcode == ws.TEXT and b'"pong"' in payload for opcode, payload in frames)


def test_ping_with_the_longest_payload(node):
    with node.connect() as client:
        client.send_frame(ws.PING, b"x" * 125)
        assert client.receive_frame() == (True, ws.PONG, b"x" * 125)


def test_frame_byte_by_byte(node):
    with node.connect() as client:
        for byte in ws.frame(ws.TEXT, b'{"type":"ping","id":1}'):
            client.send_raw(bytes([byte]))
        client.expect("pong", id=1)


def test_many_frames_in_one_write(node):
    with node.connect() as client:
        client.send_raw(b"".join(ws.frame(ws.TEXT, b'{"type":"ping","id":%d}' % n) for n in range(50)))
        for n in range(50):
            client.expect("pong", id=n)


def test_binary(node):
    with node.connect() as client:
        client.send_frame(ws.BINARY, b'{"type":"ping"}')
        client.expect_close(1003, "data_kind")


@pytest.mark.parametrize("raw", [b"\xff", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"ok \xe2\x82"],
                         ids=lambda raw: raw.hex())
def test_invalid_utf8(node, raw):
    with node.connect() as client:
        client.send_text(b'{"type":"ping","x":"' + raw + b'"}')
        client.expect_close(1007, "not_utf8")


def test_invalid_utf8_in_a_close_reason(node):
    with node.connect() as client:
        client.send_frame(ws.CLOSE, struct.pack(">H", 1000) + b"\xff")
        assert "in a close frame" in client.find("error")["error"]["message"]
        client.expect_close(1007, "not_utf8")


def test_pings_keep_to_an_interval_below_the_pong_timeout(launch):
    node = launch({"ping_interval": "1s", "pong_timeout": "5m"})
    with node.connect() as client:
        began = time.monotonic()
        for _ in range(4):
            _, opcode, payload = client.receive_frame(what="a ping")
            assert opcode == ws.PING
            client.send_frame(ws.PONG, payload)
        assert 2.5 < time.monotonic() - began < 2.5 + DEADLINE_S


def test_invalid_utf8_over_fragments(node):
    with node.connect() as client:
        client.send_frame(ws.TEXT, b'{"x":"\xe2', fin=False)
        client.send_frame(ws.CONTINUATION, b'"}')
        client.expect_close(1007, "not_utf8")


@pytest.mark.parametrize("frames", [
    ws.frame(ws.TEXT, b"{}", rsv=4),
    ws.frame(3, b"x"),
    ws.frame(11, b"x"),
    ws.frame(ws.CONTINUATION, b"x"),
    ws.frame(ws.TEXT, b"x", fin=False) + ws.frame(ws.TEXT, b"x"),
    ws.frame(ws.PING, b"x" * 126),
    ws.frame(ws.PING, b"x", fin=False),
    ws.frame(ws.CLOSE, struct.pack("!H", 1005)),
], ids=["reserved bit", "opcode 3", "opcode 11", "lone continuation", "text in text", "long ping", "cut ping",
        "close 1005"])
def test_protocol_errors(node, frames):
    with node.connect() as client:
        client.send_raw(frames)
        closed = client.expect_close()
        assert closed.code in (1002, None), closed
    node.connect().close()


def test_close_is_answered_with_its_code(node):
    for code in (1000, 1001, 3000, 4999):
        with node.connect() as client:
            client.send_frame(ws.CLOSE, struct.pack("!H", code) + b"bye")
            closed = client.expect_close()
            assert closed.code in (code, 1000)
    with node.connect() as client:
        client.send_frame(ws.CLOSE)
        client.expect_close()


# --- rights ---


@pytest.fixture(scope="module")
def ruled(launch_for_module):
    return launch_for_module({"channels": [
        {"match": "user:{sub}", "allow": ["subscribe"]},
        {"match": "team:{team}:*", "allow": ["subscribe", "publish"]},
        {"match": "room:*", "require": "grant", "allow": ["subscribe", "publish"]},
        {"match": "scoped:*", "require_scope": "chat", "allow": ["subscribe"]},
        {"match": "public:secret", "allow": []},
        {"match": "public:*", "allow": ["subscribe"]},
    ]}, name="ruled")


@pytest.mark.parametrize("claims, channel, may", [
    ({}, "user:eve", True),
    ({}, "user:bob", False),
    ({}, "user:eve2", False),
    ({}, "user:*", False),
    ({"team": "red"}, "team:red:1", True),
    ({"team": "red"}, "team:blue:1", False),
    ({}, "team::1", False),
    ({"team": "*"}, "team:red:1", False),
    ({"team": 7}, "team:7:x", True),
    ({"channels": ["room:1"]}, "room:1", True),
    ({"channels": ["room:1"]}, "room:10", False),
    ({"channels": ["room:*"]}, "room:10", True),
    ({"channels": []}, "room:1", False),
    ({"channels": None}, "room:1", False),
    ({"channels": [{"match": "room:1", "allow": ["subscribe"]}]}, "room:1", True),
    ({"channels": [{"match": "room:1", "allow": ["publish"]}]}, "room:1", False),
    ({"channels": ["*"]}, "elsewhere", False),
    ({"scope": "mail chat"}, "scoped:1", True),
    ({"scope": "chats"}, "scoped:1", False),
    ({}, "public:news", True),
    ({}, "public:secret", False),
])
def test_who_may_subscribe(ruled, claims, channel, may):
    with ruled.connect("eve", claims=claims) as client:
        if may:
            client.subscribe(channel)
        else:
            assert client.error("subscribe", "unauthorized", channel=channel)["channel"] == channel
        client.nothing_before_pong()


@pytest.mark.parametrize("claims, channel, may", [
    ({}, "user:eve", False),
    ({"team": "red"}, "team:red:1", True),
    ({"channels": ["room:1"]}, "room:1", True),
    ({"channels": [{"match": "room:1", "allow": ["subscribe"]}]}, "room:1", False),
    ({}, "public:news", False),
])
def test_who_may_publish(ruled, claims, channel, may):
    with ruled.connect("eve", claims=claims) as client:
        if may:
            client.ask("publish", "published", channel=channel, type="x", data=1)
        else:
            client.error("publish", "unauthorized", channel=channel, type="x", data=1)


def test_default_is_deny(launch):
    node = launch({"channels": None})
    with node.connect() as client:
        for channel in ("news", "user:user-456"):
            client.error("subscribe", "unauthorized", channel=channel)


