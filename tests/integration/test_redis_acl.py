"""The rights in Redis that docs/operations/redis.md names are enough: for all that a node does, in each database."""
import re

import pytest
from support import jwt
from support.carillon import ROOT
from support.wait import until

ALL = ["subscribe", "publish", "presence", "history"]
CONFIG = {
    "lifecycle.types": ["session.opened", "session.closed", "subscription.added", "channel.occupied", "channel.vacated"],
    "lifecycle.redis_stream": "carillon:events",
    "lifecycle.vacated_after": "0s",
    "channels": [{"match": "room:*", "allow": ALL, "presence": True, "presence_events": True, "history": {"size": 10, "ttl": "10m"}},
                 {"match": "*", "allow": ALL}],
}


def acl_of_the_page():
    page = (ROOT / "docs/operations/redis.md").read_text()
    words = re.search(r"^ *ACL SETUSER (carillon .*)$", page, re.M).group(1).split()
    return [word.replace(">PASSWORD", ">a-password") for word in words]


def test_every_command_of_a_script_is_among_them():
    called = set()
    for source in (ROOT / "server/broker/redis/scripts").glob("*.lua"):
        called |= {name.lower() for name in re.findall(r"redis\.p?call\('(\w+)", source.read_text())}
    assert len(called) > 10
    assert {f"+{name}" for name in called} - {word.partition("|")[0] for word in acl_of_the_page()} == set()


@pytest.mark.parametrize("database", [0, 2])
def test_the_rights_of_the_page_are_enough(launch, redis, database):
    redis("ACL", "SETUSER", *acl_of_the_page())
    url = f"redis://carillon:a-password@127.0.0.1:{redis.port}/{database}"
    one, two = launch({**CONFIG, "redis.url": url}), launch({**CONFIG, "redis.url": url})
    token = jwt.mint("ann", session_limit=1)
    with one.client(token) as ann, two.connect("bob") as bob:
        ann.start()
        for client in (ann, bob):
            client.subscribe("room:1")
            client.subscribe("live")
        one.publish("room:1", 1, event_id="e-1")
        assert two.publish("room:1", 1, event_id="e-1")["duplicate"]
        two.publish("live", 2)
        for client in (ann, bob):
            assert client.find("test", channel="room:1")["offset"] == 1
            client.find("test", channel="live")
            assert len(client.ask("history", "history", channel="room:1", limit=5)["data"]["events"]) == 1
            until(lambda who=client: who.ask("presence", "presence", channel="room:1")["data"]["users"] == 2, "both are there")
        assert one.api("GET", "/api/v1/channels/room:1/presence").json["users"] == 2
        until(lambda: len(one.api("GET", "/api/v1/info").json["nodes"]) == 2, "the nodes know each other")
        store = redis.connect()
        store("SELECT", database)
        store("XADD", "carillon:ingest", "*", "channel", "room:1", "type", "test", "data", "3")
        assert bob.find("test", channel="room:1")["data"] == 3
        store("XADD", "carillon:ingest", "*", "channel", "room:1", "data", "3")
        until(lambda: store("XLEN", "carillon:ingest:dead") == 1, "the bad entry is in the dead-letter stream")
        bob.ask("unsubscribe", "unsubscribed", channel="room:1")
        one.api("POST", "/api/v1/revoke", {"user": "ann"})
        ann.expect_close(reason="token_revoked")
        until(lambda: "session.closed" in str(store("XRANGE", "carillon:events", "-", "+")), "the end is told")
        assert "channel.occupied" in str(store("XRANGE", "carillon:events", "-", "+"))
    for node in (one, two):
        assert not re.search(r"NOPERM|can't run this command|no permissions", node.log(), re.I), node.log()[-2000:]
        assert node.metric("carillon_broker_errors_total") == 0
    assert "NOPERM" not in str(redis("ACL", "LOG", 10))
    denied = redis("ACL", "LOG", 10)
    assert denied == [], denied
