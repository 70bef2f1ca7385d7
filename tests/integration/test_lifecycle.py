"""Lifecycle events in a Redis stream: what opens is told, what ends is told, in the order of each session, also when a node is killed
or Redis is away."""
import json
import signal
import time
from pathlib import Path

import pytest
from support import ws
from support.wait import SLOWDOWN, until

STREAM = "carillon:events"
SCRIPTS = Path(__file__).parents[2] / "server/broker/redis/scripts"
ALL_TYPES = ["session.opened", "session.closed", "subscription.added", "subscription.removed", "channel.occupied", "channel.vacated",
             "presence.joined", "presence.left", "ticket.issued", "token.revoked"]
CONFIG = {"lifecycle.types": ALL_TYPES, "lifecycle.redis_stream": STREAM, "lifecycle.vacated_after": "300ms"}


def events(redis):
    """All entries of the stream, each a CloudEvent."""
    out = []
    for _, fields in redis("XRANGE", STREAM, "-", "+"):
        entry = dict(zip(fields[::2], fields[1::2]))
        event = json.loads(entry["event"])
        assert event["specversion"] == "1.0" and event["type"] == "carillon." + entry["type"], event
        event["number"] = int(entry["number"])
        out.append(event)
    assert [event["number"] for event in out] == list(range(1, len(out) + 1)), "each entry has the next number"
    return out


def of(redis, type_, **members):
    return [e for e in events(redis) if e["type"] == "carillon." + type_ and members.items() <= e["data"].items()]


def told(redis, type_, count=1, **members):
    return until(lambda: (found := of(redis, type_, **members)) and len(found) >= count and found, f"{count} {type_} {members}")


def check_order(redis):
    """Each session's events are in its sequence, opened comes first, and nothing comes after closed."""
    sessions = {}
    ids = set()
    for event in events(redis):
        assert event["id"] not in ids, event
        ids.add(event["id"])
        if "session_id" in event["data"]:
            sessions.setdefault(event["data"]["session_id"], []).append(event)
    for of_session in sessions.values():
        assert of_session[0]["type"] == "carillon.session.opened", of_session[0]
        numbers = [int(event["sequence"]) for event in of_session]
        assert numbers == sorted(set(numbers)), numbers
        kinds = [event["type"] for event in of_session]
        assert "carillon.session.closed" not in kinds[:-1], kinds
    return sessions


@pytest.fixture
def node(launch, redis):
    node = launch({"redis.url": redis.url, **CONFIG})
    until(node.ready, "ready")
    return node


def test_the_life_of_a_session(node, redis):
    with node.connect("ann") as client:
        opened = told(redis, "session.opened", user="ann")[0]
        session = opened["data"]["session_id"]
        assert opened["subject"] == session and opened["sequence"] == "1" and opened["id"] == f"{session}.1"
        assert opened["source"].startswith("/nodes/") and opened["data"]["endpoint"] == "/ws"
        client.subscribe("room:1")
        client.subscribe("room:2")
        client.ask("unsubscribe", "unsubscribed", channel="room:2")
        told(redis, "subscription.removed", channel="room:2")
        client.send_frame(8, (1000).to_bytes(2, "big"))
        client.expect_close(1000)
    closed = told(redis, "session.closed", session_id=session)[0]
    assert closed["data"]["reason"] == "client" and closed["data"]["code"] == 1000, closed
    assert closed["data"]["endpoint"] == "/ws" and closed["data"]["messages"] == 3 and closed["data"]["duration_ms"] >= 0
    assert [e["data"]["channel"] for e in of(redis, "subscription.added")] == ["room:1", "room:2"]
    assert [int(e["sequence"]) for e in check_order(redis)[session]] == [1, 2, 3, 4, 5, 6]


def test_tickets_and_revocations(launch, redis):
    pattern = "/chat/{thread}"
    node = launch({"redis.url": redis.url, **CONFIG, "tickets.path": "/ticket", "tickets.ttl": "30s",
                   "endpoints": [{"path": "/ws"}, {"path": pattern, "ticket_query": ["ticket"], "ticket": {"resource": "{thread}"}}]})
    until(node.ready, "ready")
    body = {"user": "zoe", "purpose": "chat", "resource": "t1", "ttl": 5}
    ticket = node.api("POST", "/api/v1/tickets", body).json["ticket"]
    issued = told(redis, "ticket.issued", user="zoe")
    assert len(issued) == 1 and issued[0]["data"] == {"user": "zoe", "purpose": "chat", "resource": "t1", "ttl_ms": 5000}, issued
    assert ticket not in json.dumps(events(redis)), "nobody can use what is told of a ticket"
    with node.client(path=f"/chat/t1?ticket={ticket}") as client:
        assert told(redis, "session.opened", user="zoe")[0]["data"]["endpoint"] == pattern
        assert node.api("POST", "/api/v1/revoke", {"user": "zoe"}).status == 200
        client.expect_close(1008, "token_revoked")
    assert node.api("POST", "/api/v1/revoke", {"jti": "t-1"}).status == 200
    of_user = told(redis, "token.revoked", user="zoe")[0]["data"]
    of_token = told(redis, "token.revoked", jti="t-1")[0]["data"]
    assert set(of_user) == {"user", "issued_before", "until"} and set(of_token) == {"jti", "until"}
    node.reload({"redis.url": redis.url, **CONFIG, "lifecycle.types": ["session.opened"], "tickets.path": "/ticket",
                 "endpoints": [{"path": "/ws"}]})
    before = len(events(redis))
    assert node.api("POST", "/api/v1/tickets", body).status == 200
    assert node.api("POST", "/api/v1/revoke", {"jti": "t-2"}).status == 200
    with node.connect("ann"):
        told(redis, "session.opened", user="ann")
    assert [event["type"] for event in events(redis)[before:]] == ["carillon.session.opened"]


def test_why_a_session_was_closed(node, redis):
    with node.connect("bob") as client:
        session = client.init["session_id"]
        node.api("POST", "/api/v1/revoke", {"user": "bob"})
        client.expect_close()
        closed = told(redis, "session.closed", session_id=session)[0]["data"]
        assert (closed["reason"], closed["code"]) == ("token_revoked", 4001) or closed["reason"] == "token_revoked", closed
    revoked = told(redis, "token.revoked", user="bob")
    assert len(revoked) == 1
    with node.connect("lost") as client:
        session = client.init["session_id"]
        client.drop()
    assert told(redis, "session.closed", session_id=session)[0]["data"]["code"] == 1006


def test_channels_are_decided_across_nodes(launch, redis):
    a, b = launch.pair(redis, CONFIG)
    with a.connect("ann") as ann, b.connect("bob") as bob:
        ann.subscribe("room:x")
        told(redis, "channel.occupied", channel="room:x")
        bob.subscribe("room:x")
        told(redis, "subscription.added", channel="room:x", user="bob")
        ann.ask("unsubscribe", "unsubscribed", channel="room:x")
        bob.subscribe("marker")
        told(redis, "channel.occupied", channel="marker")
        bob.ask("unsubscribe", "unsubscribed", channel="marker")
        told(redis, "channel.vacated", channel="marker")  # so room:x has had the same time to be vacated at its node
        assert not of(redis, "channel.vacated", channel="room:x")
        bob.ask("unsubscribe", "unsubscribed", channel="room:x")
        told(redis, "channel.vacated", channel="room:x")
        bob.subscribe("room:x")
        told(redis, "channel.occupied", channel="room:x", count=2)
    check_order(redis)


def test_a_channel_that_is_left_for_a_moment_is_not_vacated(launch, redis):
    node = launch({"redis.url": redis.url, **CONFIG, "lifecycle.vacated_after": "2s"})
    until(node.ready, "ready")
    with node.connect("ann") as client:
        for _ in range(3):
            client.subscribe("room:x")
            client.ask("unsubscribe", "unsubscribed", channel="room:x")
        told(redis, "channel.vacated", channel="room:x")
    assert len(of(redis, "channel.occupied", channel="room:x")) == 1
    assert len(of(redis, "channel.vacated", channel="room:x")) == 1


def test_only_what_is_asked_for_is_told(launch, redis):
    node = launch({"redis.url": redis.url, "lifecycle.types": ["subscription.added", "channel.occupied"],
                   "lifecycle.channels": ["room:*"], "lifecycle.redis_stream": STREAM})
    until(node.ready, "ready")
    with node.connect("ann") as client:
        client.subscribe("other:1")
        client.subscribe("room:1")
        told(redis, "channel.occupied", channel="room:1")
    with node.connect("bob") as client:
        client.subscribe("room:2")
        told(redis, "channel.occupied", channel="room:2")
    assert {e["type"] for e in events(redis)} == {"carillon.subscription.added", "carillon.channel.occupied"}
    assert {e["data"]["channel"] for e in events(redis)} == {"room:1", "room:2"}


@pytest.mark.long
def test_the_sessions_of_a_killed_node(launch, redis):
    a, b = launch.pair(redis, {**CONFIG, "redis.canary_interval": "1s", "redis.command_timeout": "1s"})
    clients = [a.connect(f"user-{i}") for i in range(300)]
    sessions = {client.init["session_id"] for client in clients}
    clients[0].subscribe("room:dead")
    with b.connect("bob") as bob:
        bob.subscribe("room:both")
        clients[1].subscribe("room:both")
        told(redis, "session.opened", count=301)
        told(redis, "subscription.added", channel="room:both", count=2)
        a.kill()
        told(redis, "session.closed", count=300, reason="node_lost")
        told(redis, "channel.vacated", channel="room:dead")
        assert {e["data"]["session_id"] for e in of(redis, "session.closed", reason="node_lost")} == sessions
        assert len(of(redis, "session.closed")) == 300
        assert not of(redis, "channel.vacated", channel="room:both")
        check_order(redis)
    for client in clients:
        client.close()
    told(redis, "session.closed", user="bob")


@pytest.mark.long
def test_a_dead_node_with_thousands_of_sessions(node, redis):
    """Each call tells some of them, from a hash that has more and more empty places."""
    rounds = until(lambda: redis("KEYS", "*:lifecycle:rounds"), "the node has told that it lives")[0]
    sessions = [f"session-{i}" for i in range(5000)]
    for at in range(0, len(sessions), 500):
        pairs = [text for s in sessions[at:at + 500] for text in ("s:" + s, f'1 1000 "session_id":"{s}"')]
        redis("HSET", rounds.replace(":rounds", ":open:dead#1"), *pairs)
    redis("ZADD", rounds, "1", "dead#1")
    until(lambda: redis("ZSCORE", rounds, "dead#1") is None, "the round is forgotten")
    assert sorted(e["data"]["session_id"] for e in of(redis, "session.closed", reason="node_lost")) == sorted(sessions)


def test_a_node_that_was_slow_while_its_ends_were_told(redis):
    """Some of its sessions have been told as closed, and it is not told that its round goes on: so it tells what is open again."""
    lost, write = ((SCRIPTS / name).read_text() for name in ("lifecycle_lost.lua", "lifecycle.lua"))
    keys = ["rounds", "channels", "counters"]
    redis("HSET", "open:slow#1", "#", 7)
    for i in range(1000):
        redis("HSET", "open:slow#1", f"s:session-{i}", f'1 1000 "session_id":"session-{i}"')
    redis("ZADD", "rounds", 1, "slow#1")
    redis("HSET", "counters", "looked", int(time.time() * 1000), "since", 1)
    told, more = redis("EVAL", lost, 4, STREAM, *keys, "open:", 60000, 100000, "2026-01-01T00:00:00Z")
    assert 0 < told < 1000 and more
    assert redis("EVAL", write, 6, STREAM, "open:slow#1", "open:slow#1", *keys, "slow#1", "", 8, 100000, "", 0, 0, 0) == 0


@pytest.mark.long
def test_redis_is_away(node, redis):
    with node.connect("early") as early:
        told(redis, "session.opened", user="early")
        redis.freeze()
        with node.connect("meanwhile") as client:
            client.send("subscribe", channel="room:1")
        until(lambda: not node.ready(), "the node has given it up")
        redis.thaw()
        until(node.ready, "service is back")
        told(redis, "session.closed", user="meanwhile")
        early.nothing_before_pong()
    told(redis, "session.closed", user="early")
    check_order(redis)


def test_what_is_dropped_is_said(launch, redis):
    node = launch({"redis.url": redis.url, "redis.command_timeout": "1s", **CONFIG, "lifecycle.waiting_events": 60})
    until(node.ready, "ready")
    with node.connect("early") as early:
        told(redis, "session.opened", user="early")
        redis.stop()
        until(lambda: not node.ready(), "Redis is away")
        stay = [node.connect(f"stays-{i}") for i in range(50)]
        for i in range(30):
            node.connect(f"goes-{i}").close()
        redis.start()
        dropped = told(redis, "lifecycle.dropped")
        assert dropped[0]["data"]["count"] >= 40, dropped
        told(redis, "session.opened", count=51, again=True)  # those that are open are told again
        early.nothing_before_pong()
        for client in stay:
            client.close()
        told(redis, "session.closed", count=50)
    assert node.metric("carillon_lifecycle_dropped_total") == sum(e["data"]["count"] for e in of(redis, "lifecycle.dropped"))


def test_redis_forgets_everything(node, redis):
    with node.connect("ann") as ann:
        ann.subscribe("room:1")
        told(redis, "subscription.added", user="ann")
        redis("FLUSHALL")
        again = told(redis, "session.opened", user="ann", again=True)[0]
        told(redis, "channel.occupied", channel="room:1")
    closed = told(redis, "session.closed", user="ann")[0]
    assert int(closed["sequence"]) > int(again["sequence"])


def test_reload(launch, redis):
    node = launch({"redis.url": redis.url})
    until(node.ready, "ready")
    with node.connect("ann") as ann:
        ann.subscribe("room:1")
        node.reload({**CONFIG, "redis.url": redis.url})
        told(redis, "session.opened", user="ann", again=True)
        told(redis, "channel.occupied", channel="room:1")
        node.reload({"redis.url": redis.url})
    with node.connect("bob") as bob:
        bob.subscribe("room:2")
    node.terminate()
    assert not of(redis, "session.opened", user="bob")


def test_a_node_that_stops_tells_all_ends(launch, redis):
    node = launch({"redis.url": redis.url, **CONFIG})
    until(node.ready, "ready")
    clients = [node.connect(f"user-{i}") for i in range(50)]
    node.terminate()
    assert len(of(redis, "session.closed")) == 50
    check_order(redis)
    for client in clients:
        client.close()


def test_members_are_decided_across_nodes(launch, redis):
    rules = [{"match": "room:*", "allow": ["subscribe"], "presence": True, "presence_ttl": "2s"}, {"match": "*", "allow": ["subscribe"]}]
    a, b = launch.pair(redis, {**CONFIG, "channels": rules})
    with a.connect("ann") as first, b.connect("ann") as second:
        first.subscribe("room:1")
        told(redis, "presence.joined", user="ann", channel="room:1")
        second.subscribe("room:1")
        until(lambda: a.api("GET", "/api/v1/channels/room:1/presence").json["connections"] == 2, "both are members")
        first.ask("unsubscribe", "unsubscribed", channel="room:1")
        first.subscribe("room:2")
        told(redis, "presence.joined", user="ann", channel="room:2")
        assert not of(redis, "presence.left", channel="room:1")
        b.kill()
        a.api("GET", "/api/v1/channels/room:1/presence")
        until(lambda: a.api("GET", "/api/v1/channels/room:1/presence") and of(redis, "presence.left", channel="room:1", user="ann"),
              "the member of the dead node is told", 20 * SLOWDOWN)
        assert len(of(redis, "presence.joined", channel="room:1")) == len(of(redis, "presence.left", channel="room:1")) == 1


@pytest.mark.long
def test_a_cluster_of_redis(launch, cluster):
    """All keys of lifecycle events are at one server, so a script may use them together."""
    a, b = [launch({"redis.url": cluster.url, "redis.canary_interval": "1s", "redis.command_timeout": "1s", **CONFIG}) for _ in range(2)]
    for node in (a, b):
        until(node.ready, "ready")
    server = cluster.owner(cluster.slot(STREAM))
    with a.connect("ann") as ann, b.connect("bob"):
        ann.subscribe("room:1")
        told(server, "channel.occupied", channel="room:1")
        told(server, "session.opened", user="bob")
        a.kill()
        told(server, "session.closed", user="ann", reason="node_lost")
    told(server, "session.closed", user="bob")
    assert b.metric("carillon_lifecycle_retries_total") == 0
    check_order(server)
