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
