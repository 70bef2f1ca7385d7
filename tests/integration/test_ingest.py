"""Events that backends write to the ingest stream, with a real Redis: published once, in order, or dead-lettered with the reason."""
import json
import signal

import pytest
from support.wait import until

STREAM, DEAD = "carillon:ingest", "carillon:ingest:dead"


@pytest.fixture
def start(launch, redis):
    def start(**more):
        node = launch({"redis.url": redis.url, "redis.canary_interval": "1s", "redis.ingest_takeover": "1s", **more})
        until(node.ready, f"{node.name} is ready")
        return node

    return start


def add(redis, channel, data, type_="test", **more):
    words = [word for pair in more.items() for word in pair]
    return redis("XADD", STREAM, "*", "channel", channel, "type", type_, "data", json.dumps(data), *words)


def empty(redis):
    groups = redis("XINFO", "GROUPS", STREAM) if redis("EXISTS", STREAM) else []
    return bool(groups) and redis("XLEN", STREAM) == 0 and redis("XPENDING", STREAM, "carillon")[0] == 0


def dead(redis):
    """The entries of the dead-letter stream, as dicts."""
    return [dict(zip(fields[::2], fields[1::2])) for _, fields in redis("XRANGE", DEAD, "-", "+")]


def test_published_and_acknowledged(start, redis):
    node = start()
    with node.connect() as client:
        client.subscribe("log:a")
        client.subscribe("plain")
        add(redis, "log:a", {"n": 1})
        add(redis, "plain", [1.50, "x"])
        first, second = sorted((client.expect("test") for _ in range(2)), key=lambda e: e["channel"])
        assert (first["data"], first["offset"]) == ({"n": 1}, 1)
        assert second["data"] == [1.5, "x"] and second["id"] and "offset" not in second
    until(lambda: empty(redis), "all is acknowledged")
    assert node.metric("carillon_ingest_taken_total") == 2
    assert node.metric("carillon_events_in_total", source="ingest") == 2


def test_what_was_there_before_the_node(start, redis):
    for n in range(250):
        add(redis, "log:early", n)
    node = start()
    until(lambda: empty(redis), "all is acknowledged")
    page = node.api("GET", "/api/v1/channels/log:early/history?limit=1000").json
    assert [event["data"] for event in page["events"]] == list(range(250))


def test_in_order_on_each_channel(start, redis):
    nodes = [start(**{"redis.ingest_takeover": "1m"}) for _ in range(2)]
    with nodes[0].connect() as client:
        for c in range(3):
            client.subscribe(f"log:{c}")
        for n in range(300):
            add(redis, f"log:{n % 3}", n)
        seen = {f"log:{c}": [] for c in range(3)}
        for _ in range(300):
            event = client.expect("test")
            seen[event["channel"]].append(event["data"])
        for c in range(3):
            assert seen[f"log:{c}"] == list(range(c, 300, 3))
        client.nothing_before_pong()
    taken = [node.metric("carillon_ingest_taken_total") for node in nodes]
    assert sorted(taken) == [0, 300]  # one reads


def test_event_id_counts_once(start, redis):
    node = start()
    with node.connect() as client:
        client.subscribe("log:once")
        add(redis, "log:once", 1, event_id="same")
        add(redis, "log:once", 2, event_id="same")
        add(redis, "log:once", 3)
        assert [client.expect("test")["data"] for _ in range(2)] == [1, 3]
    assert node.publish("log:once", 4, event_id="same")["duplicate"]


BAD = [
    (["channel", "a", "type", "test"], "data: missing"),
    (["channel", "a", "type", "test", "data", "1", "colour", "red"], "colour"),
    (["channel", "a", "type", "test", "data", "1", "data", "2"], "data: given twice"),
    (["channel", "a b", "type", "test", "data", "1"], "channel:"),
    (["channel", "a", "type", "Test!", "data", "1"], "type"),
    (["channel", "a", "type", "join", "data", "1"], "join"),
    (["channel", "a", "type", "test", "data", "{"], "data:"),
    (["channel", "a", "type", "test", "data", '"' + "x" * 3000 + '"'], "limits.event_bytes"),
    (["channel", "a", "type", "notification", "data", "{}"], "message"),
    (["channel", "a", "type", "test", "data", "1", "event_id", ""], "event_id"),
]


def test_bad_entries_are_dead_lettered(start, redis):
    rules = [{"match": name, "allow": ["subscribe"]} for name in ("a", "good")]
    node = start(**{"limits.event_bytes": "2k", "channels": rules})
    ids = [redis("XADD", STREAM, "*", *fields) for fields, _ in BAD]
    with node.connect() as client:
        client.subscribe("good")
        add(redis, "good", "after them")
        client.expect("test", data="after them")
    until(lambda: empty(redis), "all is acknowledged")
    dead_letters = dead(redis)
    assert len(dead_letters) == len(BAD)
    for entry, (fields, reason), id_ in zip(sorted(dead_letters, key=lambda e: e["entry"].split("-")), BAD, ids):
        assert reason in entry["reason"] and entry["entry"] == id_
        assert entry["channel"] == fields[1]
    assert node.metric("carillon_ingest_dead_total") == len(BAD)
    node.logged(r"WARN .*an entry of the ingest stream went to carillon:ingest:dead: .*[0-9]-[0-9]+; 1 since")
    assert node.log().count("WARN ") == 1  # not one for each


def test_a_channel_that_takes_nothing_holds_up_no_other(start, redis):
    node = start()
    redis("SET", "carillon:{log:broken}:meta", "no hash")
    add(redis, "log:broken", 1)
    add(redis, "log:whole", 2)
    until(lambda: empty(redis), "all is acknowledged")
    assert [("log:broken", True)] == [(entry["channel"], "another type" in entry["reason"]) for entry in dead(redis)]
    assert redis("HGET", "carillon:{log:whole}:meta", "offset") == "1"
    answer = node.api("POST", "/api/v1/publish", {"channel": "log:broken", "type": "test", "data": 1})
    assert answer.status == 500 and "another type" in answer.json["error"]["message"]


def test_rules_of_a_reload(start, redis):
    node = start(**{"channels": [{"match": "a", "allow": ["subscribe"]}]})
    add(redis, "b", 1)
    until(lambda: empty(redis), "it is published: backends may publish to any channel")
    assert not dead(redis) and not redis("EXISTS", "carillon:{b}:log")
    node.write_config({**node.config, "channels": [{"match": "b", "allow": ["subscribe"], "history": {"size": 5}}]})
    node.signal(1)
    node.logged("reload: done")
    add(redis, "b", 2)
    until(lambda: redis("XLEN", "carillon:{b}:log") == 1, "it is published")


def test_another_node_goes_on(start, redis):
    a, b = start(), start()
    with b.connect() as client:
        client.subscribe("log:on")
        add(redis, "log:on", 0)
        client.expect("test", data=0)
        reader, other = (a, b) if a.metric("carillon_ingest_taken_total") else (b, a)
        if reader is b:
            return  # the client is there; the other way round is the same
        reader.kill()
        for n in range(1, 50):
            add(redis, "log:on", n)
        assert [client.expect("test")["data"] for _ in range(49)] == list(range(1, 50))
    until(lambda: empty(redis), "all is acknowledged")
    until(lambda: len(redis("XINFO", "CONSUMERS", STREAM, "carillon")) == 1, "the dead reader is forgotten")
    assert other.metric("carillon_ingest_taken_total") == 49


def test_what_a_dead_reader_had_read(start, redis):
    """Read by a consumer that is no more: half of it was published, none of it acknowledged."""
    redis("XGROUP", "CREATE", STREAM, "carillon", "0", "MKSTREAM")
    ids = [add(redis, "log:left", n) for n in range(6)]
    redis("XREADGROUP", "GROUP", "carillon", "the-dead", "COUNT", 4, "STREAMS", STREAM, ">")
    node = start(**{"redis.ingest": False})
    for n in range(2):
        node.publish("log:left", n, event_id=f"ingest:{ids[n]}")
    reader = start()
    until(lambda: empty(redis), "all is acknowledged")
    page = reader.api("GET", "/api/v1/channels/log:left/history?limit=100").json
    assert [event["data"] for event in page["events"]] == list(range(6))


def test_killed_in_the_middle(start, redis):
    node = start()
    for n in range(3000):
        add(redis, "log:middle", n)
        if n == 1500:
            node.kill()
    again = start()
    until(lambda: empty(redis), "all is acknowledged")
    seen, after = [], 0
    while len(seen) < 1000:
        page = again.api("GET", "/api/v1/channels/log:middle/history?limit=1000").json
        seen = [event["data"] for event in page["events"]]
    assert seen == list(range(2000, 3000))  # the history keeps 1000
    assert redis("HGET", "carillon:{log:middle}:meta", "offset") == "3000"  # and none was published twice


def test_without_memory_it_waits(start, redis):
    node = start()
    add(redis, "log:full", 1)
    until(lambda: empty(redis), "it is published")
    redis("CONFIG", "SET", "maxmemory", "1")
    until(lambda: node.api("POST", "/api/v1/publish", {"channel": "log:full", "type": "test", "data": 0}).status == 503, "full")
    redis("CONFIG", "SET", "maxmemory", "0")
    for n in (2, 3):
        add(redis, "log:full", n)
    until(lambda: redis("HGET", "carillon:{log:full}:meta", "offset") == "3", "it goes on")
    assert not dead(redis)


def test_redis_restarted(start, redis):
    node = start()
    add(redis, "log:r", 1)
    until(lambda: empty(redis), "it is published")
    redis.stop()
    redis.start()
    add(redis, "log:r", 2)
    until(lambda: redis("HGET", "carillon:{log:r}:meta", "offset") == "2", "it goes on")
    until(node.ready, "ready")
    redis("FLUSHALL")  # the group is gone
    add(redis, "log:r", 3)
    until(lambda: redis("HGET", "carillon:{log:r}:meta", "offset") == "1", "it makes the group again")


def test_switched_off(start, redis):
    node = start(**{"redis.ingest": False})
    add(redis, "log:off", 1)
    node.publish("log:off", 2)
    assert redis("XLEN", STREAM) == 1
    assert redis("EXISTS", "carillon:{carillon:ingest}:reader") == 0


def test_a_reader_that_slept_too_long(start, redis):
    """A reader held entries that it could not publish yet, and stood still. Its successor published them so long ago that nobody knows
    their ids any more. The first reader publishes none of them again."""
    window = {"idempotency_window": "3s"}
    reader = start(**window)
    redis("SET", DEAD, "no stream")
    add(redis, "log:late", 0)
    redis("XADD", STREAM, "*", "channel", "log:late", "colour", "red")
    add(redis, "log:late", 1)
    until(lambda: redis("HGET", "carillon:{log:late}:meta", "offset") == "1", "the first is published")
    reader.logged("the ingest stream waits")
    reader.signal(signal.SIGSTOP)
    redis("DEL", DEAD)
    other = start(**window)
    until(lambda: empty(redis), "another one has published the rest")
    until(lambda: not redis("KEYS", "carillon:{log:late}:id:*"), "their ids are forgotten")
    reader.signal(signal.SIGCONT)
    other.terminate()  # the next one to read is the first again
    add(redis, "log:late", 2)
    until(lambda: empty(redis), "it reads again")
    page = reader.api("GET", "/api/v1/channels/log:late/history?limit=100").json
    assert [event["data"] for event in page["events"]] == [0, 1, 2]
    assert redis("XLEN", DEAD) == 1
