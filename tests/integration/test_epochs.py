"""Each subscriber of a channel with history has been told the epoch that is in Redis (or in the node's memory). The epoch may begin by a
reload, after Redis has lost the channel, or once Redis takes writes again."""
import signal

import pytest
from support.carillon import ALL
from support.wait import until

PLAIN = [{"match": "*", "allow": ALL}]
LOG = [{"match": "log:*", "allow": ALL, "history": {"size": 100, "ttl": "10m"}}, *PLAIN]
META, LOG_KEY = "carillon:{log:x}:meta", "carillon:{log:x}:log"


@pytest.fixture
def start(launch, redis):
    def start(channels=LOG, **more):
        node = launch({"channels": channels, "redis.url": redis.url, "redis.canary_interval": "1s", **more})
        until(node.ready, "ready")
        return node
    return start


@pytest.fixture(params=["memory", "redis"])
def either(request, launch):
    if request.param == "memory":
        return lambda channels: launch({"channels": channels})
    return request.getfixturevalue("start")


def use(node, channels, **config):
    """Returns when no worker has the old rules any more."""
    node.write_config({**node.config, "channels": channels, **config})
    done = node.log().count("reload: done")
    node.signal(signal.SIGHUP)
    until(lambda: node.log().count("reload: done") > done, "reloaded")


def epoch_in(redis):
    return redis("HGET", META, "epoch")


def told(client, reason):
    """Waits for the gap. Returns the position in it."""
    gap = client.find("gap")
    assert (gap["channel"], gap["data"].pop("reason")) == ("log:x", reason), gap
    return gap["data"]


def goes_on(client, node, position, *others):
    """A client that was told the position gets the next event, and can come back from there, here and on the others."""
    answer = node.publish("log:x", "next")
    assert (answer["epoch"], answer["offset"]) == (position["epoch"], position["offset"] + 1)
    assert client.find("test")["offset"] == answer["offset"]
    for each in (node, *others):
        with each.connect("back") as back:
            again = back.ask("subscribe", "subscribed", channel="log:x",
                             since={name: position[name] for name in ("epoch", "offset", "id") if name in position})
            assert again["data"]["recovered"] is True
            assert back.expect("test")["data"] == "next"


# --- by a reload ---


def test_a_reload_gives_a_history(either):
    node = either(PLAIN)
    with node.connect() as client:
        assert client.subscribe("log:x")["data"] == {"recovered": False}
        node.publish("log:x", "plain")
        assert "offset" not in client.expect("test")
        use(node, LOG)
        position = told(client, "history_changed")
        assert position["offset"] == 0
        with node.connect("late") as late:
            assert late.subscribe("log:x")["data"] == {**position, "recovered": False}
        goes_on(client, node, position)


def test_a_reload_gives_a_history_that_others_have(start):
    """Ten events are stored: who comes to the reloaded node gets of them what others give."""
    other, node = start(), start(PLAIN)
    with node.connect() as client:
        client.subscribe("log:x")
        first = [other.publish("log:x", n) for n in range(10)][0]
        assert [client.expect("test").get("offset") for _ in range(10)] == [None] * 10
        use(node, LOG)
        position = told(client, "history_changed")
        assert (position["epoch"], position["offset"]) == (first["epoch"], 10)
        for each in (node, other):
            with each.connect("since") as back, each.connect("last") as latest:
                answer = back.ask("subscribe", "subscribed", channel="log:x", since={"epoch": first["epoch"], "offset": 5})
                assert answer["data"]["recovered"] is True
                assert [back.expect("test")["offset"] for _ in range(5)] == [6, 7, 8, 9, 10]
                answer = latest.ask("subscribe", "subscribed", channel="log:x", last=3)
                assert answer["data"]["offset"] == 7
                assert [latest.expect("test")["offset"] for _ in range(3)] == [8, 9, 10]
        goes_on(client, node, position, other)


def test_a_reload_takes_a_history_and_gives_it_again(either):
    node = either(LOG)
    with node.connect() as client:
        before = client.subscribe("log:x")["data"]
        node.publish("log:x", 1)
        client.expect("test", offset=1)
        use(node, PLAIN)
        assert told(client, "history_changed") == {}
        assert "offset" not in node.publish("log:x", 2)
        assert "offset" not in client.expect("test")
        with node.connect("late") as late:
            answer = late.ask("subscribe", "subscribed", channel="log:x", since={"epoch": before["epoch"], "offset": 1})
            assert answer["data"] == {"recovered": False}
        use(node, LOG)
        position = told(client, "history_changed")
        assert (position["epoch"], position["offset"]) == (before["epoch"], 1)
        goes_on(client, node, position)


def test_a_reload_changes_a_history(either):
    """Nobody is told, as nothing is lost. The new size holds."""
    node = either(LOG)
    with node.connect() as client:
        client.subscribe("log:x")
        use(node, [{"match": "log:*", "allow": ALL, "history": {"size": 2, "ttl": "5m"}}, *PLAIN])
        until(lambda: node.publish("log:x", 1)["offset"] > 3 and
              len(node.api("GET", "/api/v1/channels/log:x/history").json["events"]) == 2, "the new size holds")
        client.find("test", offset=4)
        assert not [frame for frame in client.skipped if frame["type"] == "gap"]


# --- Redis has lost the channel, and its connections stay up ---


@pytest.mark.parametrize("how", ["FLUSHDB", "DEL", "expiry"])
@pytest.mark.parametrize("who", ["history", "api", "last", "subscribe elsewhere"])
def test_redis_has_no_meta(start, redis, how, who):
    """Whoever is the first to ask: all who are subscribed, on both nodes, are told the epoch that there is from then on."""
    a, b = start(), start()
    with a.connect() as client, b.connect() as distant:
        old = client.subscribe("log:x")["data"]
        distant.subscribe("log:x")
        for n in range(3):
            a.publish("log:x", n)
            for each in (client, distant):
                each.expect("test")
        if how == "expiry":
            redis("PEXPIRE", META, "1")
            until(lambda: redis("EXISTS", META) == 0, "it is over")
        else:
            redis(*([how] if how == "FLUSHDB" else [how, META]))
        with b.connect("asking") as asking:
            if who == "history":
                assert asking.ask("history", "history", channel="log:x")["data"]["events"] == []
            elif who == "api":
                assert b.api("GET", "/api/v1/channels/log:x/history").json["events"] == []
            elif who == "last":
                asking.ask("subscribe", "subscribed", channel="log:x", last=2)
            else:
                with start().connect() as third:
                    third.subscribe("log:x")
            for each in (client, distant):
                position = told(each, "epoch_changed")
                assert position == {"epoch": epoch_in(redis), "offset": 0}
                assert position["epoch"] != old["epoch"]
                each.nothing_before_pong()
        goes_on(client, a, position, b)


def test_an_event_lost_by_pub_sub_after_the_loss(start, redis):
    """The next event comes with all that were missed before it, or a gap: here the first of the new epoch is not passed on."""
    a, b = start(), start()
    with a.connect() as client:
        client.subscribe("log:x")
        redis("DEL", META, LOG_KEY)
        b.api("GET", "/api/v1/channels/log:x/history")  # not subscribed there: it begins nothing
        a.api("GET", "/api/v1/channels/log:x/history")
        position = told(client, "epoch_changed")
        lose_one(redis)
        b.publish("log:x", "second")
        assert [client.find("test")["data"] for _ in range(2)] == ["lost", "second"]
        assert position["epoch"] == epoch_in(redis)


def lose_one(redis):
    """An event that is stored and that pub/sub does not pass on."""
    redis("EVAL", "local n = redis.call('HINCRBY', KEYS[1], 'offset', 1) local event = '{\"type\":\"test\",\"channel\":\"log:x\","
          "\"id\":\"lost\",\"timestamp\":\"t\",\"epoch\":\"' .. redis.call('HGET', KEYS[1], 'epoch') .. '\",\"offset\":' .. n .. "
          "',\"data\":\"lost\"}' redis.call('HSET', KEYS[1], 'last', n .. ' lost') redis.call('XADD', KEYS[2], n .. '-0', 'd', event)",
          "2", META, LOG_KEY)


# --- Redis takes no writes for a while ---


@pytest.mark.parametrize("first", ["nothing", "publish"])
def test_subscribed_while_redis_was_full(start, redis, first):
    a, b = start(), start()
    redis("CONFIG", "SET", "maxmemory", "1")
    with a.connect() as client:
        assert client.subscribe("log:x")["data"] == {"recovered": False}
        client.nothing_before_pong()
        redis("CONFIG", "SET", "maxmemory", "0")
        if first == "publish":
            until(lambda: b.api("POST", "/api/v1/publish", {"channel": "log:x", "type": "test", "data": 1}).status == 200, "published")
        position = told(client, "history_changed")
        assert position == {"epoch": epoch_in(redis), "offset": 0}
        if first == "publish":
            assert client.expect("test")["offset"] == 1
            position = {**position, "offset": 1}
        lose_one(redis)
        position["offset"] += 1
        assert a.publish("log:x", "after")["offset"] == position["offset"] + 1
        assert [client.find("test")["data"] for _ in range(2)] == ["lost", "after"]
        goes_on(client, a, {**position, "offset": position["offset"] + 1}, b)


def test_emptied_and_full(start, redis):
    """The epoch is lost and none can be begun: that is said, and the new one as soon as there is one."""
    a = start()
    with a.connect() as client:
        client.subscribe("log:x")
        redis("FLUSHDB")
        redis("CONFIG", "SET", "maxmemory", "1")
        a.api("GET", "/api/v1/channels/log:x/history")
        assert told(client, "history_unavailable") == {}
        redis("CONFIG", "SET", "maxmemory", "0")
        position = told(client, "history_changed")
        assert position == {"epoch": epoch_in(redis), "offset": 0}
        goes_on(client, a, position)
