"""Clients behind an endpoint whose messages go to a stream of Redis: each is one entry, in order, and none is lost in silence."""
import json
import time

import pytest
from support import jwt, ws
from support.wait import until

STREAM = "carillon:audio"
ERROR = {"headers": {"correlationId": "{id}"}, "state": "error", "error": {"code": "{code}"}}
FULL = {"maxmemory": "1"}
FREE = {"maxmemory": "0"}


def start(launch, redis, upstream=None, **members):
    node = launch({"redis.url": redis.url, "redis.command_timeout": "1s", "limits.message_rate": 0,
                   "endpoints": [{"path": "/ws"}, {"path": "/audio/{room}", "text": "upstream", "binary": "upstream", "upstream": "log", "frames": [],
                                                   "correlation": {"id": "/id", "error": ERROR}, **members}],
                   "upstreams": {"log": {"redis_stream": STREAM, "max_len": 100000, **(upstream or {})}}})
    until(node.ready, "ready")
    return node


def connect(node, sub="ann"):
    return node.client(jwt.mint(sub), path="/audio/7")


def entries(redis):
    return [dict(zip(fields[::2], fields[1::2])) for _, fields in redis("XRANGE", STREAM, "-", "+")]


def set_memory(redis, how):
    for name, value in how.items():
        redis("CONFIG", "SET", name, value)


def test_an_entry_a_message(launch, redis):
    node = start(launch, redis)
    with connect(node) as client:
        client.send_text("hello ü")
        client.send_frame(2, b"\x00\x01 bytes")
        client.send_text(json.dumps({"id": "c-1"}))
        until(lambda: redis("XLEN", STREAM) == 3, "three entries")
    first, second, third = entries(redis)
    assert list(first) == ["session", "user", "endpoint", "n", "kind", "data", "time"]
    assert first["user"] == "ann" and first["endpoint"] == "/audio/{room}" and len(first["session"]) == 36
    assert [e["n"] for e in (first, second, third)] == ["1", "2", "3"]
    assert [e["kind"] for e in (first, second, third)] == ["text", "binary", "text"]
    assert second["data"] == "\x00\x01 bytes"
    assert third["data"] == '{"id": "c-1"}'


def test_many_in_order(launch, redis):
    node = start(launch, redis)
    clients = [connect(node, f"user-{i}") for i in range(20)]
    for n in range(200):
        for client in clients:
            client.send_frame(2, bytes([n % 128]) * 40)
    until(lambda: redis("XLEN", STREAM) == 4000, "all are there")
    seen = {}
    for entry in entries(redis):
        seen.setdefault(entry["session"], []).append(int(entry["n"]))
    assert all(numbers == list(range(1, 201)) for numbers in seen.values())
    for client in clients:
        client.close()


def test_the_stream_is_trimmed(launch, redis):
    node = start(launch, redis, {"max_len": 200})
    with connect(node) as client:
        for n in range(2000):
            client.send_text(str(n))
        until(lambda: (found := entries(redis)) and found[-1]["n"] == "2000", "the last one is there")
        assert redis("XLEN", STREAM) < 1000


@pytest.mark.parametrize("fault", ["full", "away"])
def test_redis_does_not_take_them_for_a_while(launch, redis, fault):
    node = start(launch, redis, {"timeout": "5m"})
    with connect(node) as client:
        client.send_text("before")
        until(lambda: redis("XLEN", STREAM) == 1, "the first one")
        if fault == "full":
            set_memory(redis, FULL)
        else:
            redis.stop()
            until(lambda: not node.ready(), "Redis is away")
        for n in range(50):
            client.send_text(f"meanwhile-{n}")
        time.sleep(1)
        if fault == "full":
            set_memory(redis, FREE)
        else:
            redis.start()
        until(lambda: (found := entries(redis)) and found[-1]["n"] == "51", "all are there")
        numbers = [int(entry["n"]) for entry in entries(redis)]
        assert numbers == sorted(numbers) and set(numbers) >= set(range(2, 52)), numbers


def test_what_waits_too_long_fails(launch, redis):
    node = start(launch, redis, {"timeout": "500ms"})
    with connect(node) as client:
        set_memory(redis, FULL)
        client.send_text(json.dumps({"id": "c-1"}))
        client.send_text(json.dumps({"id": "c-2"}))
        assert client.receive() == {"headers": {"correlationId": "c-1"}, "state": "error", "error": {"code": "unavailable"}}
        assert client.receive()["headers"]["correlationId"] == "c-2"
        set_memory(redis, FREE)
        client.send_text(json.dumps({"id": "c-3"}))
        until(lambda: redis("XLEN", STREAM) == 1, "the session goes on")
    assert entries(redis)[0]["n"] == "3"


def test_a_failure_may_end_the_session(launch, redis):
    node = start(launch, redis, {"timeout": "300ms", "on_failure": "close"})
    with connect(node) as client:
        set_memory(redis, FULL)
        client.send_text(json.dumps({"id": "c-1"}))
        client.receive()
        client.expect_close(1011)
    set_memory(redis, FREE)


def test_a_client_that_sends_more_is_not_read(launch, redis):
    """TCP holds it back: what the node keeps of it is bounded, and nothing is lost."""
    node = start(launch, redis, {"timeout": "5m", "waiting_bytes": "64k"})
    with connect(node) as client:
        set_memory(redis, FULL)
        before = node.resident_bytes()
        client.socket.settimeout(2)
        sent = 0
        try:
            while sent < 20000:
                client.socket.sendall(ws.frame(2, bytes(1000)))
                sent += 1
        except TimeoutError:
            pass
        assert sent < 20000, "the client was held back"
        assert node.resident_bytes() - before < 8 << 20
        with node.connect("other") as other:
            other.nothing_before_pong()
        set_memory(redis, FREE)
        until(lambda: redis("XLEN", STREAM) >= sent, "all are there")
        assert [int(entry["n"]) for entry in entries(redis)][:sent] == list(range(1, sent + 1))


def test_the_last_messages_of_a_session_that_ends(launch, redis):
    node = start(launch, redis, {"timeout": "5m"})
    with connect(node) as client:
        set_memory(redis, FULL)
        for n in range(10):
            client.send_text(str(n))
        client.close()
        time.sleep(0.5)
        set_memory(redis, FREE)
        until(lambda: redis("XLEN", STREAM) == 10, "they are there although the client has gone")
    with connect(node) as client:
        client.send_text("x")
        until(lambda: redis("XLEN", STREAM) == 11, "it goes on")
        set_memory(redis, FULL)
        client.send_text("y")
        time.sleep(0.3)
        node.terminate()
    set_memory(redis, FREE)
    assert "are dropped" in node.log() or "failed" in node.log()


def test_a_node_ends_while_messages_of_ended_sessions_wait(launch, redis):
    node = start(launch, redis)
    set_memory(redis, FULL)
    for n in range(3):
        with connect(node, f"user-{n}") as client:
            client.send_text("for nobody")
    until(lambda: node.metric("carillon_sessions") == 0, "all have ended")
    time.sleep(0.3)  # some tries later
    node.terminate()
    assert node.log().count("1 messages of session") == 3, node.log()
