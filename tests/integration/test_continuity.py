"""Live subscribers while the way through Redis breaks: they see each acknowledged event once and in order, or a gap."""
import signal
import threading

import pytest
from support.carillon import ALL
from support.wait import DEADLINE_S, until

CONFIG = {"channels": [{"match": "short:*", "allow": ALL, "history": {"size": 5, "ttl": "10m"}},
                       {"match": "log:*", "allow": ALL, "history": {"size": 100000, "ttl": "10m"}},
                       {"match": "*", "allow": ALL}],
          "redis.command_timeout": "1s", "redis.canary_interval": "1s",
          "outbox.max_messages": 100000, "outbox.max_bytes": "64m"}


@pytest.fixture
def pair(launch, redis):
    nodes = [launch({**CONFIG, "redis.url": redis.url}) for _ in range(2)]
    for node in nodes:
        until(node.ready, "ready")
    return nodes


def cut(redis):
    """Every node's subscribing connection, as the limit of its output buffer does."""
    redis("CLIENT", "KILL", "TYPE", "pubsub")


class Publishers:
    """Publishes to one channel through both nodes until told to stop. Remembers the acknowledged events."""

    def __init__(self, nodes, channel):
        self.acknowledged, self.refused, self.stopped = {}, 0, threading.Event()
        self.threads = [threading.Thread(target=self._work, args=(node, n, channel)) for n, node in enumerate(nodes)]
        for thread in self.threads:
            thread.start()

    def _work(self, node, which, channel):
        n = 0
        while not self.stopped.is_set():
            event_id = f"{which}-{n}"
            body = {"channel": channel, "type": "test", "data": event_id, "event_id": event_id}
            answer = node.api("POST", "/api/v1/publish", body)
            if answer.status == 200:
                self.acknowledged[answer.json["offset"]] = event_id
                n += 1
            else:
                assert answer.status == 503
                self.refused += 1
                self.stopped.wait(0.01)

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(DEADLINE_S)
        return self.acknowledged


def read_up_to(client, offset):
    """The events that came, by offset, dense and in order."""
    events, last = {}, None
    while last is None or last < offset:
        event = client.find("test")
        assert last is None or event["offset"] == last + 1, (last, event, client.skipped)
        last = event["offset"]
        events[last] = event["data"]
    return events


@pytest.mark.parametrize("fault", ["cut", "restart", "freeze"])
def test_live_subscribers_miss_nothing(pair, redis, fault):
    clients = [node.connect(f"user-{n}") for node in pair for n in range(3)]
    for client in clients:
        client.subscribe("log:live")
    publishers = Publishers(pair, "log:live")
    for _ in range(3):
        before = len(publishers.acknowledged)
        until(lambda: len(publishers.acknowledged) > before + 100, "events go on")
        if fault == "cut":
            cut(redis)
        elif fault == "restart":
            redis.kill()
            redis.start()
        else:
            redis.freeze()
            until(lambda: not any(node.ready() for node in pair), "the nodes see it")
            redis.thaw()
    before = len(publishers.acknowledged)
    until(lambda: len(publishers.acknowledged) > before + 100, "events go on")
    acknowledged = publishers.stop()
    for client in clients:
        events = read_up_to(client, max(acknowledged))
        assert not [m for m in client.skipped if m["type"] == "gap"], client.skipped
        for offset, event_id in acknowledged.items():
            assert events[offset] == event_id
        assert len(set(events.values())) == len(events)  # none was stored twice


def test_missed_while_this_node_was_cut_off(pair, redis):
    a, b = pair
    with b.connect() as client:
        client.subscribe("log:x")
        client.subscribe("short:x")
        client.subscribe("plain")
        for _ in range(3):
            # An event published in the moment without a subscription is not in pub/sub for this node.
            cut(redis)
            until(lambda: a.api("POST", "/api/v1/publish", {"channel": "log:x", "type": "test", "data": 1}).status == 200,
                  "published")
            assert client.find("gap", channel="plain")["data"] == {"reason": "connection_lost"}
        offsets = [m["offset"] for m in client.skipped if m["type"] == "test"]
        while len(offsets) < 3:
            offsets.append(client.find("test", channel="log:x")["offset"])
        assert offsets == [1, 2, 3]
        assert not [m for m in client.skipped if m["type"] == "gap" and m["channel"] != "plain"]


@pytest.mark.parametrize("how", ["reload", "restart"])
def test_a_rule_that_has_lost_its_history(pair, launch, redis, how):
    a, b = pair
    first = a.publish("log:x", 1)
    config = {**CONFIG, "channels": [{"match": "*", "allow": ALL}], "redis.url": redis.url}
    if how == "restart":
        b = launch(config)
        until(b.ready, "ready")
    with b.connect() as client, b.connect() as back:
        client.subscribe("log:x")
        if how == "reload":
            b.write_config(config)
            b.signal(signal.SIGHUP)
        until(lambda: "offset" not in client.ask("publish", "published", channel="log:x", type="test", data=2)["data"],
              "the new rule holds")
        cut(redis)
        gap = client.find("gap")
        assert (gap["channel"], gap["data"]) == ("log:x", {"reason": "connection_lost"})
        since = {"epoch": first["epoch"], "offset": 1}
        assert back.ask("subscribe", "subscribed", channel="log:x", since=since)["data"]["recovered"] is False


def test_redis_that_comes_back_empty(pair, redis):
    a, b = pair
    with a.connect() as client:
        old = client.subscribe("log:x")["data"]
        a.publish("log:x", "old")
        client.expect("test")
        redis("FLUSHALL")
        cut(redis)
        gap = client.find("gap")
        assert gap["channel"] == "log:x"
        assert gap["data"]["reason"] == "epoch_changed"
        assert gap["data"]["epoch"] != old["epoch"]
        assert gap["data"]["offset"] == 0
        until(a.ready, "ready")
        new = a.publish("log:x", "new")
        assert new["offset"] == 1
        assert client.find("test")["data"] == "new"
        with b.connect() as back:
            answer = back.ask("subscribe", "subscribed", channel="log:x", since={"epoch": old["epoch"], "offset": 1})
            assert answer["data"] == {"epoch": gap["data"]["epoch"], "offset": 1, "id": new["id"], "recovered": False}
        a.logged("the histories of 1 channel are not those that this node knew")


def test_redis_that_has_lost_its_latest_writes(pair, redis):
    a, b = pair
    with a.connect() as client:
        old = client.subscribe("log:x")["data"]["epoch"]
        for n in range(5):
            a.publish("log:x", n)
            client.expect("test")
        redis("HSET", "carillon:{log:x}:meta", "offset", "3")
        redis("XDEL", "carillon:{log:x}:log", "4-0", "5-0")
        cut(redis)
        gap = client.find("gap")["data"]
        assert gap["reason"] == "epoch_changed"
        assert gap["epoch"] != old
        assert gap["offset"] == 3


def test_missed_more_than_is_kept(pair, redis):
    """The gap says where it goes on: at the oldest event that is kept."""
    a, b = pair
    with a.connect() as client:
        client.subscribe("short:x")
        a.publish("short:x", 0)
        client.expect("test", offset=1)
        redis.freeze()
        until(lambda: not a.ready(), "the node sees it")
        redis.thaw()
        until(a.ready, "ready")
        # A jump as pub/sub leaves it: stored, and only the last one passed on.
        redis("EVAL", "for n = 2, 20 do local event = '{\"type\":\"test\",\"channel\":\"short:x\",\"id\":\"i\",\"timestamp\":\"t\","
              "\"epoch\":\"' .. redis.call('HGET', KEYS[1], 'epoch') .. '\",\"offset\":' .. n .. ',\"data\":' .. n .. '}' "
              "redis.call('HINCRBY', KEYS[1], 'offset', 1) redis.call('XADD', KEYS[2], 'MAXLEN', 5, n .. '-0', 'd', event) "
              "if n == 20 then redis.call('PUBLISH', KEYS[3], event) end end",
              "3", *(f"carillon:{{short:x}}:{part}" for part in ("meta", "log", "live")))
        gap = client.find("gap")["data"]
        assert (gap["reason"], gap["offset"]) == ("history_too_short", 15)
        assert [client.expect("test")["offset"] for _ in range(5)] == [16, 17, 18, 19, 20]
        client.nothing_before_pong()


def test_return_while_redis_is_away(pair, redis):
    a, b = pair
    first = a.publish("log:x", 0)
    a.publish("log:x", 1)
    redis.stop()
    until(lambda: not b.ready(), "the node sees it")
    with b.connect() as client:
        client.send("subscribe", id="s", channel="log:x", since={"epoch": first["epoch"], "offset": 1})
        client.nothing_before_pong()
        redis.start()
        answer = client.find("subscribed", id="s")
        assert answer["data"] == {"epoch": first["epoch"], "offset": 1, "recovered": True}
        assert client.expect("test")["offset"] == 2


def test_subscribe_to_a_known_channel_while_redis_is_away(pair, redis):
    """It is answered at once with the last position known, and that stays true: what follows it comes."""
    a, b = pair
    with b.connect() as early, b.connect("late") as late:
        early.subscribe("log:x")
        a.publish("log:x", 1)
        early.expect("test")
        redis.stop()
        until(lambda: not b.ready(), "the node sees it")
        assert late.subscribe("log:x")["data"]["offset"] == 1
        redis.start()
        until(a.ready, "ready")
        a.publish("log:x", 2)
        for client in (early, late):
            assert client.find("test")["offset"] == 2
