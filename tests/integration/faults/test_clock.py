"""The wall clock of a node jumps, by an hour and back. Sessions, subscriptions, order, ids and timers follow the monotonic clock, and go
on. Timestamps and the life of tokens follow the wall clock."""
import time
from datetime import datetime

import pytest
from support import jwt
from support.wait import until
from support.ws import Refused

HOUR_S = 3600


@pytest.fixture(params=["memory", "redis"])
def node(request, launch, clock):
    config = {"ping_interval": "1s"}
    if request.param == "redis":
        config.update({"redis.url": request.getfixturevalue("redis").url, "redis.canary_interval": "1s"})
    node = launch(config, env=clock.env)
    until(node.ready, "ready")
    return node


def seconds(timestamp):
    return datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()


def long_token(sub="user-456", **more):
    return jwt.mint(sub, expires_s=10 * HOUR_S, **more)


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S])
def test_a_session_goes_on(node, clock, jump_s):
    with node.client(long_token()) as client:
        client.start()
        before = client.subscribe("log:x")["data"]
        ids = [node.publish("log:x", n)["id"] for n in range(20)]
        clock.set(jump_s)
        ids += [node.publish("log:x", n)["id"] for n in range(20, 40)]
        clock.set(0)
        ids += [node.publish("log:x", n)["id"] for n in range(40, 60)]
        got = [client.expect("test") for _ in range(60)]
        assert [m["offset"] for m in got] == list(range(1, 61))
        assert [m["id"] for m in got] == ids and len(set(ids)) == 60
        for m, off in zip(got, [0] * 20 + [jump_s] * 20 + [0] * 20):
            assert abs(seconds(m["timestamp"]) - time.time() - off) < 60, m
        # Pings came and were answered all the while, and its position is still good.
        client.nothing_before_pong()
    with node.client(long_token()) as client:
        client.start()
        answer = client.ask("subscribe", "subscribed", channel="log:x", since={"epoch": before["epoch"], "offset": 57})
        assert answer["data"]["recovered"] is True
        assert [client.expect("test")["offset"] for _ in range(3)] == [58, 59, 60]


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S])
def test_history_and_idempotency_do_not_follow_it(node, clock, jump_s):
    """Both are kept for minutes here: an hour of the wall clock must neither end nor prolong them."""
    first = node.publish("log:x", "once", event_id="e-1")
    clock.set(jump_s)
    again = node.publish("log:x", "once", event_id="e-1")
    assert again["duplicate"] is True and again["id"] == first["id"]
    with node.client(long_token()) as client:
        client.start()
        client.ask("subscribe", "subscribed", channel="log:x", last=5)
        assert client.expect("test")["id"] == first["id"]


def test_tokens_follow_it(node, clock):
    short, long = jwt.mint("short"), long_token("long")
    node.client(short).start().close()  # it is remembered as verified
    clock.set(HOUR_S)
    with pytest.raises(Refused) as refusal:
        node.client(short)
    assert refusal.value.response.status == 401 and b"expired" in refusal.value.response.body
    with node.client(long) as client:
        client.start()
    clock.set(-HOUR_S)
    with pytest.raises(Refused) as refusal:
        node.client(jwt.mint("early", nbf=int(time.time())))
    assert b"not valid yet" in refusal.value.response.body or b"not yet" in refusal.value.response.body
    clock.set(0)
    node.client(short).start().close()


def test_the_end_of_a_session_follows_it(node, clock):
    """The node looks when the end was due by the clock as it was, and at least every hour. A token that the new time has not ended yet goes
    on."""
    clock.stand()
    with node.client(jwt.mint("soon", expires_s=3)) as ends, node.client(jwt.mint("later", expires_s=HOUR_S)) as stays:
        ends.start()
        stays.start()
        clock.set(HOUR_S // 2)
        ends.expect_close(1008, "token_expired")
        stays.nothing_before_pong()


def test_a_refresh_after_a_jump(node, clock):
    with node.client(long_token()) as client:
        client.start()
        clock.set(HOUR_S)
        assert seconds(client.ask("refresh", "refreshed", token=long_token())["data"]["expires_at"]) > time.time() + 9 * HOUR_S
        assert client.error("refresh", "unauthorized", token=jwt.mint())["message"]
        client.subscribe("plain")


def test_two_nodes_that_disagree(launch, clock, redis):
    """One clock is an hour off: order, ids and positions are Redis's and do not mind."""
    config = {"redis.url": redis.url, "redis.canary_interval": "1s"}
    a, b = launch(config, env=clock.env), launch(config)
    clock.set(-HOUR_S)
    for node in (a, b):
        until(node.ready, f"{node.name} is ready")
    with b.connect() as client:
        client.subscribe("log:x")
        ids = [(a, b)[n % 2].publish("log:x", n)["id"] for n in range(20)]
        got = [client.expect("test") for _ in range(20)]
        assert [(m["offset"], m["data"], m["id"]) for m in got] == [(n + 1, n, ids[n]) for n in range(20)]
    until(lambda: len(b.api("GET", "/api/v1/info").json["nodes"]) == 2, "they know each other: the registry uses Redis's clock")
