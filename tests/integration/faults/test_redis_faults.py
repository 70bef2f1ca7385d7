"""Faults of Redis, and of the way to it, with two nodes under load. After any of them, each acknowledged event comes once and in order, or
a gap stands in its place. Nobody is disconnected. Service comes back by itself."""
import re
import shutil
import threading
from contextlib import closing

import pytest
from support.accounting import Ledger
from support.load import Crowd
from support.proxy import Proxy
from support.wait import until

CHANNELS = ["log:a", "log:b", "plain"]
CONFIG = {"redis.command_timeout": "1s", "redis.canary_interval": "1s", "redis.retry_max": "500ms", "limits.message_rate": 0,
          "channels": [{"match": "log:*", "allow": ["subscribe", "publish"], "history": {"size": 100000, "ttl": "1h"}},
                       {"match": "*", "allow": ["subscribe", "publish"]}]}
SUBSCRIBERS = 4


@pytest.fixture
def proxy(redis):
    proxy = Proxy(redis.port)
    yield proxy
    proxy.close()


def pause(seconds):
    """That long, and not until something: the length of the fault is what is tested."""
    threading.Event().wait(seconds)


def frozen(seconds):
    def fault(redis, proxy, ledger):
        redis.freeze()
        pause(seconds)
        redis.thaw()
    return fault


def slow(redis, proxy, ledger):
    proxy.delay_s = 0.1
    ledger.wait_acknowledged(20)
    proxy.delay_s = 0


def silent(redis, proxy, ledger):
    """Connections stay up, and nothing passes any more."""
    proxy.open.clear()
    refused = ledger.counts["refused 503"]
    until(lambda: ledger.counts["refused 503"] > refused, "publishes are refused")
    proxy.open.set()


def full(redis, proxy, ledger):
    redis("CONFIG", "SET", "maxmemory", "1")
    refused = ledger.counts["refused 503"]
    until(lambda: ledger.counts["refused 503"] > refused + 5, "publishes are refused")
    redis("CONFIG", "SET", "maxmemory", "0")


def scripts_flushed(redis, proxy, ledger):
    for _ in range(5):
        redis("SCRIPT", "FLUSH")
        ledger.wait_acknowledged(10)


def connections_killed(kind):
    def fault(redis, proxy, ledger):
        for _ in range(3):
            redis("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
            ledger.wait_acknowledged(10)
    return fault


def stopped(redis, proxy, ledger):
    redis.stop()
    refused = ledger.counts["refused 503"]
    until(lambda: ledger.counts["refused 503"] > refused + 10, "publishes are refused")
    redis.start()


def output_buffer_limit(redis, proxy, ledger):
    """Redis cuts off a client that does not read: here it has more to send at once than the limit allows."""
    redis("CONFIG", "SET", "client-output-buffer-limit", "pubsub 300000 0 0")
    for _ in range(3):
        ids = set(re.findall(r"^id=(\d+) ", redis("CLIENT", "LIST", "TYPE", "pubsub"), re.M))
        redis("EVAL", "for n = 1, 100 do redis.call('PUBLISH', KEYS[1], '{\"type\":\"big\",\"data\":\"' .. string.rep('x', 20000) .. '\"}') end",
              "1", "carillon:{plain}:live")
        now = set(re.findall(r"^id=(\d+) ", redis("CLIENT", "LIST", "TYPE", "pubsub"), re.M))
        assert ids and not ids & now, "who was subscribed was cut off"
        ledger.wait_acknowledged(10)


def killed(redis, proxy, ledger):
    redis.kill()
    redis.start()


def killed_and_empty(redis, proxy, ledger):
    redis.kill()
    shutil.rmtree(redis.folder / "appendonlydir")
    redis.start()


# Name: the fault, whether all log events come without a gap, whether anything is refused.
FAULTS = {
    "frozen for less than the timeout": (frozen(0.7), True, None),
    "frozen for 2 s": (frozen(2), True, True),
    "frozen for longer than the canary": (frozen(5), True, True),
    "frozen for 30 s": (frozen(30), True, True),
    "slow": (slow, True, False),
    "silent": (silent, True, True),
    "full": (full, True, True),
    "scripts flushed": (scripts_flushed, True, False),
    "subscribing connections killed": (connections_killed("pubsub"), True, None),
    "command connections killed": (connections_killed("normal"), True, None),
    "output buffer limit": (output_buffer_limit, True, None),
    "stopped": (stopped, True, True),
    "killed": (killed, True, None),
    "killed and empty": (killed_and_empty, False, None),
}


@pytest.mark.long
@pytest.mark.parametrize("name", FAULTS)
def test_under_load(launch, redis, proxy, name):
    fault, all_come, refuses = FAULTS[name]
    nodes = [launch({**CONFIG, "redis.url": proxy.url}) for _ in range(2)]
    for node in nodes:
        until(node.ready, f"{node.name} is ready")
    ledger = Ledger()
    with Crowd(ledger) as crowd:
        crowd.begin(nodes, CHANNELS, SUBSCRIBERS, 3)
        ledger.wait_acknowledged(50)
        fault(redis, proxy, ledger)
        until(lambda: all(node.ready() for node in nodes), "both are back")
        ledger.wait_acknowledged(50)
        crowd.calm(until)
    account = ledger.check()
    assert not ledger.problems, (ledger.problems[:10], account)
    assert all(s.connections == 1 for s in crowd.subscribers), "nobody was disconnected"
    logs = [p for p in ledger.publications.values() if p.acknowledged and p.channel.startswith("log:")]
    seen = [seat.seen.get(p.channel, {}).get(p.answer["id"]) for seat in ledger.seats for p in logs]
    if all_come:
        assert set(seen) == {1}, account
    else:
        assert account["told gap epoch_changed"] == SUBSCRIBERS * 2, account
    if refuses is not None:
        assert (account["refused 503"] + account["unknown 503"] > 0) == refuses, account


def test_the_gap_stands_before_what_follows(launch, redis, proxy):
    """On a channel without history, also when Redis is slow to tell positions: what comes after the gap is complete."""
    near = launch({**CONFIG, "redis.url": redis.url})
    far = launch({**CONFIG, "redis.url": proxy.url, "redis.command_timeout": "5s"})
    for node in (near, far):
        until(node.ready, f"{node.name} is ready")
    with far.connect() as client:
        client.subscribe("plain")
        near.publish("plain", "before")
        assert client.expect("test")["data"] == "before"
        proxy.commands_late_s = 0.3
        redis("CLIENT", "KILL", "TYPE", "pubsub", "SKIPME", "yes")
        stop = threading.Event()

        def publish():
            while not stop.wait(0.01):
                near.api("POST", "/api/v1/publish", {"channel": "plain", "type": "test", "data": 1})

        publisher = threading.Thread(target=publish)
        publisher.start()
        try:
            client.find("gap")
        finally:
            stop.set()
            publisher.join()
        assert not client.skipped, f"events between the loss and the gap: {client.skipped[:3]}"


def subscriber_of(redis, node_id):
    return re.search(rf"^id=(\d+) .* name=carillon-{node_id} ", redis("CLIENT", "LIST", "TYPE", "pubsub"), re.M)[1]


def test_a_position_that_comes_after_what_was_read(launch, redis, proxy):
    """Positions and histories come by different connections: what was read may be newer than the position that is told
    after it. Nothing is lost then, and no gap is told."""
    near = launch({**CONFIG, "redis.url": redis.url})
    far = launch({**CONFIG, "redis.url": proxy.url, "redis.command_timeout": "5s"})
    for node in (near, far):
        until(node.ready, f"{node.name} is ready")
    with far.connect() as client, closing(redis.connect()) as ear:
        begin = client.subscribe("log:a")["data"]
        near.publish("log:a", 1)
        assert client.expect("test")["offset"] == 1
        proxy.positions_late_s = 1
        node_id = far.api("GET", "/api/v1/info").json["node"]
        ear("SUBSCRIBE", f"carillon:node:{node_id}")
        redis("CLIENT", "KILL", "ID", subscriber_of(redis, node_id))
        while not ear.reply()[2].startswith("position "):
            pass
        for n in (2, 3):
            near.publish("log:a", n)
        with far.connect() as late:
            late.ask("subscribe", "subscribed", channel="log:a", since={"epoch": begin["epoch"], "offset": 0})
            assert [late.expect("test")["offset"] for _ in range(3)] == [1, 2, 3]
            assert [client.expect("test")["offset"] for _ in range(2)] == [2, 3], "read before the position is told"
            assert not far.ready()
            until(far.ready, "it is back")
            near.publish("log:a", 4)
            for each in (late, client):
                assert each.expect("test")["offset"] == 4
