"""The state of nodes in a Redis cluster besides channels: revocations, session limits, presence, the ingest stream."""
import json
from contextlib import closing

import pytest
from support import jwt
from support.carillon import ALL
from support.wait import until
from support.ws import Refused

CONFIG = {"redis.command_timeout": "2s", "redis.canary_interval": "1s", "redis.retry_max": "500ms", "redis.ingest_takeover": "1s",
          "redis.session_ttl": "3s",
          "channels": [{"match": "log:*", "allow": ALL, "history": {"size": 1000, "ttl": "1h"}},
                       {"match": "*", "allow": ALL, "presence": True, "presence_events": True, "presence_ttl": "2s"}]}


@pytest.fixture
def pair(launch, cluster):
    nodes = [launch({**CONFIG, "redis.url": cluster.url}) for _ in range(2)]
    for node in nodes:
        until(node.ready, f"{node.name} is ready")
    return nodes


def test_revocation(pair, launch, cluster):
    a, b = pair
    token = jwt.mint("alice", jti="t-1")
    with b.client(token) as client:
        client.start()
        assert a.api("POST", "/api/v1/revoke", {"jti": "t-1"}).status == 200
        client.expect("error")
        client.expect_close(1008, "token_revoked")
    late = launch({**CONFIG, "redis.url": cluster.url})
    until(late.ready, "it is ready")
    until(lambda: late.metric("carillon_revocations") == 1, "it has read the list")
    with pytest.raises(Refused):
        late.client(token)


def test_revocations_that_another_primary_has(pair, cluster):
    """Their slot moves, and the new primary has one of which pub/sub has told nobody: the nodes read them all again."""
    a, b = pair
    slot = cluster.slot("carillon:revoked")
    source = cluster.owner(slot)
    target = next(n for n in cluster.primaries if n is not source)
    assert a.api("POST", "/api/v1/revoke", {"jti": "told"}).status == 200
    cluster.begin_migration(slot, source, target)
    cluster.migrate_keys(slot, source, target)
    until_ms = int(target("TIME")[0]) * 1000 + 3600000
    with closing(target.connect()) as connection:
        connection("ASKING")
        connection("ZADD", "carillon:revoked", until_ms, f"jti {until_ms} untold")
    cluster.end_migration(slot, source, target)
    for node in pair:
        until(lambda n=node: n.metric("carillon_revocations") == 2, "it has read the list again")
        for jti in ("told", "untold"):
            with pytest.raises(Refused):
                node.client(jwt.mint("alice", jti=jti))


def test_revocations_while_their_slot_moves(pair, launch, cluster):
    """Half moved: a node that comes up then knows them too, and one can be made."""
    a, b = pair
    slot = cluster.slot("carillon:revoked")
    source = cluster.owner(slot)
    target = next(n for n in cluster.primaries if n is not source)
    assert a.api("POST", "/api/v1/revoke", {"jti": "t-1"}).status == 200
    cluster.begin_migration(slot, source, target)
    cluster.migrate_keys(slot, source, target)
    assert b.api("POST", "/api/v1/revoke", {"jti": "t-2"}).status == 200
    late = launch({**CONFIG, "redis.url": cluster.url})
    for node in (*pair, late):
        until(lambda n=node: n.metric("carillon_revocations") == 2, "it has both")


def test_session_limit(pair):
    a, b = pair
    for user in ("u1", "u2", "u3", "u4"):  # on several shards
        token = jwt.mint(user, session_limit=1)
        with a.client(token) as one:
            one.start()
            with pytest.raises(Refused) as refused:
                b.client(token)
            assert refused.value.response.json["error"]["reason"] == "connection_limit"
            one.close()


def test_presence(pair):
    a, b = pair
    channels = [f"room:{n}" for n in range(6)]
    with a.connect("alice") as alice, b.connect("bob") as bob:
        for channel in channels:
            alice.subscribe(channel)
            alice.expect("join", channel=channel, data={"user": "alice"})
            bob.subscribe(channel)
            alice.expect("join", channel=channel, data={"user": "bob"})
            page = alice.ask("presence", "presence", channel=channel)["data"]
            assert [m["user"] for m in page["members"]] == ["alice", "bob"]
        b.kill()
        left = {alice.expect("leave")["channel"] for _ in channels}
        assert left == set(channels)


def test_ingest(pair, cluster):
    a, _ = pair
    home = cluster.owner(cluster.slot("carillon:ingest"))
    with a.connect() as client:
        for c in range(6):
            client.subscribe(f"log:{c}")
        for n in range(60):
            home("XADD", "carillon:ingest", "*", "channel", f"log:{n % 6}", "type", "test", "data", json.dumps(n))
        home("XADD", "carillon:ingest", "*", "channel", "log:1", "type", "test", "data", "{")
        seen = [client.expect("test") for _ in range(60)]
        for c in range(6):
            assert [e["data"] for e in seen if e["channel"] == f"log:{c}"] == list(range(c, 60, 6))
    until(lambda: home("XLEN", "carillon:ingest") == 0, "all is acknowledged")
    keeper = cluster.owner(cluster.slot("carillon:ingest:dead"))
    assert keeper("XLEN", "carillon:ingest:dead") == 1


def test_the_slot_of_the_ingest_stream_moves(pair, cluster):
    """Entries are added before, while and after: each is published once."""
    a, _ = pair
    slot = cluster.slot("carillon:ingest")
    source = cluster.owner(slot)
    target = next(n for n in cluster.primaries if n is not source)

    def add(where, *numbers):
        for n in numbers:
            where("XADD", "carillon:ingest", "*", "channel", "log:1", "type", "test", "data", n, "event_id", f"e-{n}")

    with a.connect() as client:
        client.subscribe("log:1")
        add(source, *range(20))
        cluster.migrate(slot, source, target)
        add(target, *range(20, 40))
        assert [client.expect("test")["data"] for _ in range(40)] == list(range(40))
        client.nothing_before_pong()
    until(lambda: target("XLEN", "carillon:ingest") == 0, "all is acknowledged")
