"""Names that clients make up: what they leave behind goes, and one user's do not take the place of another's."""
import pytest
from support.carillon import ALL
from support.wait import until

HISTORY = {"channels": [{"match": "room:*", "allow": ALL, "history": {"size": 10, "ttl": "10m"}}],
           "redis.linger": "0", "history.empty_ttl": "1s", "limits.message_rate": 0}


def come_and_go(client, names):
    """Subscribes to each and leaves it again, a hundred at a time."""
    for begin in range(0, len(names), 100):
        part = names[begin:begin + 100]
        for command in ("subscribe", "unsubscribe"):
            for name in part:
                client.send(command, channel=name)
            for _ in part:
                client.expect(command + "d")


def test_empty_channels_leave_nothing_in_redis(launch, redis):
    node = launch({**HISTORY, "redis.url": redis.url})
    until(node.ready, "ready")
    node.publish("room:kept", 0)
    with node.connect() as stays, node.connect() as client:
        told = stays.ask("subscribe", "subscribed", channel="room:quiet")["data"]
        come_and_go(client, [f"room:{n}" for n in range(2000)])
        until(lambda: len(redis("KEYS", "carillon:{room:*")) == 3, "what nobody is subscribed to has gone")
        assert redis("EXISTS", "carillon:{room:kept}:meta", "carillon:{room:kept}:log", "carillon:{room:quiet}:meta") == 3
        assert redis("PTTL", "carillon:{room:quiet}:meta") > 3600_000
        published = node.publish("room:quiet", 1)
        assert published["epoch"] == told["epoch"]
        assert stays.expect("test")["offset"] == told["offset"] + 1


def test_making_up_channels_costs_more_than_publishing(launch):
    node = launch({**HISTORY, "limits.bad_messages": 0})

    def published(client, names):
        for n, name in enumerate(names):
            client.send("publish", n, channel=name, type="test", data=n)
            if client.receive()["type"] == "error":
                return n
        return len(names)

    claims = {"rate_limit": 30}
    with node.connect("bob", claims=claims) as bob, node.connect("eve", claims=claims) as eve:
        node.publish("room:known", 0)
        assert published(bob, ["room:known"] * 40) in (30, 31)
        assert published(eve, [f"room:{n}" for n in range(40)]) == 3


@pytest.mark.parametrize("way", ["subscribe", "publish", "event_id", "large"])
def test_one_users_names_do_not_displace_anothers(launch, way):
    """A node without Redis, with little room."""
    node = launch({**HISTORY, "history.max_channels": 100, "history.max_bytes": "256k", "idempotency_max_bytes": "64k"})
    with node.connect("victim") as victim, node.connect("crowder") as crowder:
        kept = [victim.ask("publish", "published", channel=f"room:victim-{n}", event_id="v", type="test", data=n)["data"]
                for n in range(10)]
        node.publish("room:backend", 0)
        names = [f"room:{n}" for n in range(1000)]
        if way == "subscribe":
            come_and_go(crowder, names)
        else:
            for name in names[:300]:
                more = {"event_id": name} if way == "event_id" else {}
                crowder.ask("publish", "published", channel="room:one" if way == "event_id" else name, **more,
                            type="test", data="x" * (20000 if way == "large" else 10))
        for n, first in enumerate(kept):
            page = victim.ask("history", "history", channel=f"room:victim-{n}")["data"]
            assert page["epoch"] == first["epoch"] and [event["data"] for event in page["events"]] == [n]
            again = victim.ask("publish", "published", channel=f"room:victim-{n}", event_id="v", type="test", data=n)
            assert again["data"]["duplicate"] and again["data"]["id"] == first["id"]
        assert len(victim.ask("history", "history", channel="room:backend")["data"]["events"]) == 1


@pytest.mark.parametrize("last", ["victim", "backend", "crowder"])
def test_whoever_speaks_last_in_a_channel_pays_for_its_own(launch, last):
    """A node without Redis. Events of the crowder in channels that others use count for nobody else."""
    node = launch({**HISTORY, "history.max_bytes": "400k", "limits.user_share": 25})
    with node.connect("victim") as victim, node.connect("crowder") as crowder:
        def say(who, channel, data):
            if who == "backend":
                return node.publish(channel, data)["offset"]
            client = {"victim": victim, "crowder": crowder}[who]
            return client.ask("publish", "published", channel=channel, type="test", data=data)["data"]["offset"]

        def kept(channel):
            return [event["offset"] for event in victim.ask("history", "history", channel=channel)["data"]["events"]]

        say("victim", "room:own", "of the victim")
        say("backend", "room:backend", "of a backend")
        for n in range(100):
            channel = f"room:shared-{n % 6}"
            for who in ["victim", "crowder"] if last == "crowder" else ["crowder", last]:
                newest = say(who, channel, "x" * 20000 if who == "crowder" else "a few words")
            assert kept(channel)[-1] == newest
        assert kept("room:own") == [1] and kept("room:backend") == [1]
        large = [event for n in range(6) for event in victim.ask("history", "history", channel=f"room:shared-{n}")["data"]["events"]
                 if len(event["data"]) == 20000]
        assert 4 <= len(large) <= 5  # of 100k, whatever is between them
