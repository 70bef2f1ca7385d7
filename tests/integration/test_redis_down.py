"""Redis stops, freezes, forgets and comes back under load. No acknowledged event is lost, no session is dropped, service comes back by
itself."""
import itertools
import json
import re
import threading
import time
from contextlib import contextmanager

import pytest
from support import http
from support.wait import DEADLINE_S, until



@pytest.fixture
def node(launch, redis):
    node = launch({"redis.url": redis.url, "redis.command_timeout": "1s"})
    until(node.ready, "ready")
    return node


def publish(node, channel, n):
    return node.api("POST", "/api/v1/publish", {"channel": channel, "type": "test", "data": n})


def refused(answer):
    assert answer.status == 503, answer
    assert answer.json["error"]["code"] == "unavailable"
    assert int(answer.headers["retry-after"]) >= 1
    return True


def test_stop_and_start(node, redis):
    with node.connect() as client:
        client.subscribe("log:x")
        publish(node, "log:x", "before")
        assert client.expect("test")["data"] == "before"
        redis.stop()
        until(lambda: not node.ready(), "readiness shows it")
        assert "redis" in http.request(node.internal, "GET", "/readyz").body.decode().lower()
        refused(publish(node, "log:x", "lost"))
        broker = node.api("GET", "/api/v1/info").json["nodes"][0]["broker"]
        assert broker["state"] == "down" and f"127.0.0.1:{redis.port}" in broker["why"], broker
        client.error("publish", "unavailable", channel="log:x", type="test", data=1)
        client.send("subscribe", id="waits", channel="log:new")
        client.nothing_before_pong()
        with node.connect("newcomer") as newcomer:
            newcomer.nothing_before_pong()
        redis.start()
        until(node.ready, "service is back")
        assert "why" not in node.api("GET", "/api/v1/info").json["nodes"][0]["broker"]
        client.find("subscribed", id="waits")
        assert publish(node, "log:x", "after").json["offset"] == 2
        assert client.find("test")["data"] == "after"
        assert not [m for m in client.skipped if m["type"] == "test"], client.skipped


def test_stopped_and_started_under_load(launch, redis):
    """Redis goes three times. Each acknowledged event is in Redis, dense and in order. Subscribers see events in order."""
    config = {"redis.url": redis.url, "redis.command_timeout": "1s",
              "channels": [{"match": "*", "allow": ["subscribe"], "history": {"size": 100000, "ttl": "10m"}}]}
    nodes = [launch(config), launch(config)]
    for node in nodes:
        until(node.ready, "ready")
    clients = [node.connect(f"user-{n}") for node in nodes for n in range(5)]
    for client in clients:
        client.subscribe("log:load")
    acknowledged, refusals, stop = [], [0], threading.Event()

    def work(which):
        n = 0
        while not stop.is_set():
            answer = publish(nodes[which], "log:load", [which, n])
            if answer.status == 200:
                acknowledged.append((answer.json["offset"], [which, n]))
            else:
                refused(answer)
                refusals[0] += 1
            n += 1

    threads = [threading.Thread(target=work, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    try:
        for round_ in range(3):
            have = len(acknowledged)
            until(lambda: len(acknowledged) > have + 50, "events are acknowledged")
            before = refusals[0]
            redis.kill() if round_ == 1 else redis.stop()
            until(lambda: refusals[0] > before, "publishes are refused")
            redis.start()
        # Not only the one whose turn to try again came first.
        until(lambda: all(node.ready() for node in nodes), "both are back")
        have = len(acknowledged)
        until(lambda: len(acknowledged) > have + 50, "events are acknowledged again")
    finally:
        stop.set()
        for thread in threads:
            thread.join(DEADLINE_S)
    assert refusals[0] > 0
    offsets = sorted(offset for offset, _ in acknowledged)
    assert len(set(offsets)) == len(offsets), "an offset was given twice"
    stored = redis("XRANGE", "carillon:{log:load}:log", "-", "+")
    last = int(redis("HGET", "carillon:{log:load}:meta", "offset") or max(offsets))
    assert len(stored) == last, "offsets are dense"
    entries = [json.dumps(entry) for entry in stored]
    for offset, data in acknowledged:
        assert str(data[1]) in entries[offset - 1], f"acknowledged and not stored: {offset} {data}"
    assert publish(nodes[0], "log:load", "last").status == 200
    for client in clients:
        seen = []
        while not seen or seen[-1][1] != "last":
            message = client.receive()
            if message["type"] == "test":
                seen.append((message["offset"], message["data"]))
        offsets = [offset for offset, _ in seen]
        assert offsets == sorted(set(offsets)), "out of order or doubled"
        # No event is missing after the last return of Redis.
        assert offsets[-20:] == list(range(offsets[-1] - 19, offsets[-1] + 1))
        client.close()


def test_start_while_redis_is_down(launch, redis):
    redis.stop()
    node = launch({"redis.url": redis.url})
    assert not node.ready()
    assert http.request(node.internal, "GET", "/livez").status == 200
    refused(publish(node, "log:x", 1))
    with node.connect() as client:
        client.send("subscribe", id="waits", channel="log:x")
        client.nothing_before_pong()
        redis.start()
        until(node.ready, "ready")
        client.find("subscribed", id="waits")
        publish(node, "log:x", 2)
        assert client.find("test")["data"] == 2


def test_frozen_redis(node, redis):
    """Up, but not answering: publishers hear so within the command timeout."""
    with node.connect() as client:
        client.subscribe("log:x")
        redis.freeze()
        refused(publish(node, "log:x", "perhaps"))
        until(lambda: not node.ready(), "readiness shows it")
        client.nothing_before_pong()
        redis.thaw()
        until(node.ready, "service is back")
        publish(node, "log:x", "after")
        assert client.find("test", data="after")


def test_forgetful_redis(node, redis):
    """All keys gone: a new epoch, never an old one with offsets from the beginning."""
    with node.connect() as client:
        client.subscribe("log:x")
        first = publish(node, "log:x", 1).json
        redis("FLUSHALL")
        second = publish(node, "log:x", 2).json
        assert second["offset"] == 1 and second["epoch"] != first["epoch"]
        assert [client.find("test")["data"] for _ in range(2)] == [1, 2]


def test_script_cache_flushed(node, redis):
    publish(node, "log:x", 1)
    redis("SCRIPT", "FLUSH")
    assert publish(node, "log:x", 2).json["offset"] == 2


def test_connections_killed_by_redis(node, redis):
    with node.connect() as client:
        client.subscribe("log:x")
        for kind in ("normal", "pubsub"):
            redis("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
            until(lambda: publish(node, "log:x", kind).status == 200, "service is back")
            until(node.ready, "ready")
            publish(node, "log:x", f"after {kind}")
            client.find("test", data=f"after {kind}")


def test_read_only_redis(node, redis):
    """A replica, as after a failover to the wrong side: refused, not acknowledged."""
    redis("REPLICAOF", "127.0.0.1", "1")
    refused(publish(node, "log:x", 1))
    redis("REPLICAOF", "NO", "ONE")
    until(lambda: publish(node, "log:x", 2).status == 200, "service is back")


def test_made_a_replica_by_hand(launch, redis):
    """Until the canary notices, what has no history is still taken, and reaches the nodes that are connected there."""
    a, b = (launch({"redis.url": redis.url, "redis.canary_interval": "1s", "redis.retry_max": "500ms"}) for _ in range(2))
    for node in (a, b):
        until(node.ready, "ready")
    acknowledged, unknown = [], []

    def accepted(n):
        answer = publish(a, "plain", n)
        if answer.status == 200:
            acknowledged.append(n)
        elif refused(answer) and "may or may not" in answer.json["error"]["message"]:
            unknown.append(n)
        return answer.status == 200

    with b.connect() as client:
        client.subscribe("plain")
        redis("REPLICAOF", "127.0.0.1", "1")
        numbers = itertools.count()
        until(lambda: not accepted(next(numbers)) and not b.ready(), "both notice")
        redis("REPLICAOF", "NO", "ONE")
        until(lambda: b.ready() and accepted(next(numbers)), "service is back")
        seen = []
        while not seen or seen[-1].get("data") != acknowledged[-1]:
            seen.append(client.receive())
    gaps = [n for n, frame in enumerate(seen) if frame["type"] == "gap"]  # a busy machine may lose a canary once more
    assert gaps, seen
    before = [frame["data"] for frame in seen[:gaps[0]] if frame["data"] not in unknown]
    assert before == acknowledged[:len(before)], "nothing is missing before the gap"
    assert acknowledged[-1] in [frame["data"] for frame in seen[gaps[-1] + 1:]]


def test_full_redis(node, redis):
    redis("CONFIG", "SET", "maxmemory", "1")
    for _ in range(3):
        refused(publish(node, "log:x", 1))
    line, = re.findall(r"WARN .*refused.*", node.log())
    assert "Redis is out of memory" in line, "said once, not for each publication"
    redis("CONFIG", "SET", "maxmemory", "0")
    until(lambda: publish(node, "log:x", 2).status == 200, "service is back")
    assert publish(node, "log:x", 3).json["offset"] == 2, "what was refused was not stored"


@contextmanager
def out_of_memory(redis):
    redis("CONFIG", "SET", "maxmemory", "1")
    yield 503
    redis("CONFIG", "SET", "maxmemory", "0")


@contextmanager
def log_of_another_type(redis):
    redis("RENAME", "carillon:{log:x}:log", "kept")
    redis("SET", "carillon:{log:x}:log", "not a stream")
    yield 500
    redis("RENAME", "kept", "carillon:{log:x}:log")


@contextmanager
def meta_of_another_type(redis):
    redis("RENAME", "carillon:{log:x}:meta", "kept")
    redis("SET", "carillon:{log:x}:meta", "not a hash")
    yield 500
    redis("RENAME", "kept", "carillon:{log:x}:meta")


@contextmanager
def no_right(redis, *commands):
    redis("ACL", "SETUSER", "default", *[f"-{command}" for command in commands])
    yield 503
    redis("ACL", "SETUSER", "default", "+@all")


def no_right_to_add(redis):
    return no_right(redis, "xadd")


def no_right_to_count(redis):
    return no_right(redis, "hmget")


def no_right_to_publish(redis):
    return no_right(redis, "publish")


@pytest.mark.parametrize("fault", [out_of_memory, log_of_another_type, meta_of_another_type, no_right_to_add, no_right_to_count])
def test_a_refused_event_uses_up_no_offset(node, redis, fault):
    def keys():
        kept = redis("HGETALL", "carillon:{log:x}:meta"), redis("XRANGE", "carillon:{log:x}:log", "-", "+")
        return kept, sorted(redis("KEYS", "carillon:{log:*"))

    first = publish(node, "log:x", 1).json
    before = keys()
    with fault(redis) as status:
        for n in range(3):
            answer = node.api("POST", "/api/v1/publish", {"channel": "log:x", "type": "test", "data": 1, "event_id": f"refused-{n}"})
            assert answer.status == status, answer
            if fault not in (log_of_another_type, meta_of_another_type):  # which is refused as a new channel is
                assert publish(node, "log:new", 1).status == status
    assert keys() == before, "nothing has changed"
    again = publish(node, "log:x", 2).json
    assert (again["epoch"], again["offset"]) == (first["epoch"], first["offset"] + 1)


def test_a_refused_event_id_is_not_remembered(node, redis):
    """On a channel without history: what was refused is no duplicate when it is tried again."""
    event = {"channel": "live:x", "type": "test", "data": 1, "event_id": "one"}
    for fault in (out_of_memory, no_right_to_publish):
        with fault(redis) as status:
            assert node.api("POST", "/api/v1/publish", event).status == status
    answers = []
    until(lambda: answers.append(node.api("POST", "/api/v1/publish", event)) or answers[-1].status == 200, "it is taken")
    assert not answers[-1].json.get("duplicate"), answers[-1]


def test_a_log_that_is_ahead_of_its_meta_begins_anew(node, redis):
    """As when somebody has written into it, or brought an old meta back: it is not this meta's."""
    first = publish(node, "log:x", 1).json
    redis("XADD", "carillon:{log:x}:log", "7-0", "d", "{}")
    again = publish(node, "log:x", 2).json
    assert again["epoch"] != first["epoch"] and again["offset"] == 1
    assert publish(node, "log:x", 3).json["offset"] == 2


def test_user_who_may_not_read_the_revocations(launch, redis):
    """It connects, is refused and comes again: with pauses that grow, and Redis's own word in a line that is said once."""
    redis("ACL", "SETUSER", "poor", "on", ">word", "~carillon:*", "&carillon:*", "+auth", "+select", "+client|setname",
          "+subscribe", "+publish", "+script|load", "+role")
    node = launch({"redis.url": f"redis://poor:word@127.0.0.1:{redis.port}"})

    def pause():
        why = node.api("GET", "/api/v1/info").json["nodes"][0]["broker"].get("why", "")
        found = re.search(r"next try in (\d+\.\d) s", why)
        return found and float(found.group(1))

    until(lambda: (pause() or 0) >= 0.5, "the pauses grow")
    line, = re.findall("WARN .*refused to list the revoked tokens.*", node.log())
    assert "NOPERM" in line and "zscan" in line, line


def test_end_while_redis_is_down(node, redis):
    redis.stop()
    until(lambda: not node.ready(), "readiness shows it")
    assert node.terminate() == 0
