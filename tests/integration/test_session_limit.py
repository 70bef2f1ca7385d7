"""The session_limit of tokens, across two nodes and a real Redis."""
import signal
import time

import pytest
from support import http, jwt
from support.wait import until
from support.ws import Refused, upgrade_request

KEY = "carillon:{alice}:sessions"


@pytest.fixture
def pair(launch, redis):
    return launch.pair(redis, {"redis.session_ttl": "3s"})


def limited(limit=2):
    return jwt.mint("alice", session_limit=limit)


def refused(node, limit=2):
    """As the endpoint refuses programs. A browser gets it by a close."""
    try:
        with open_on(node, limit) as client:
            client.close()
        return False
    except Refused as refusal:
        assert refusal.response.status == 429
        error = refusal.response.json["error"]
        assert (error["code"], error["reason"]) == ("rate_limited", "connection_limit")
    with node.client(limited(limit), headers=[("Origin", "https://app.example")]) as client:
        told = client.receive()
        if told["type"] == "session_init":  # there has been room again since
            return False
        assert f"session_limit of the token allows {limit} connections" in told["error"]["message"]
        client.expect_close(1013, "connection_limit")
    return True


def open_on(node, limit=2):
    return node.client(limited(limit)).start()


def test_counts_on_all_nodes(pair, redis):
    a, b = pair
    with open_on(a) as one, open_on(b):
        assert refused(a) and refused(b)
        assert redis("ZCARD", KEY) == 2
        with a.connect("bob"), b.connect("alice"):  # another user; a token without a limit
            assert redis("ZCARD", KEY) == 2
        one.close()
        until(lambda: not refused(b), "there is room again")
    until(lambda: redis("EXISTS", KEY) == 0, "all is given back")


def test_the_same_limit_counts_at_each_opening(pair):
    a, b = pair
    with open_on(a, 3), open_on(b, 3):
        assert refused(a, 1) and refused(b, 2)
        with open_on(a, 3):
            assert refused(b, 3)


def test_what_is_sent_early_is_not_lost(pair):
    a, _ = pair
    with a.client(limited()) as client:
        client.send("subscribe", id=1, channel="news")
        client.send("ping", id=2)
        client.start()
        assert sorted(client.receive()["type"] for _ in range(2)) == ["pong", "subscribed"]


def test_a_killed_node_lets_go(pair, redis):
    a, b = pair
    with open_on(a, 1):
        assert refused(b, 1)
        a.kill()
        until(lambda: not refused(b, 1), "the dead node's session no longer counts")


def test_is_kept_for_longer_than_the_ttl(pair, redis):
    a, b = pair
    with open_on(a, 1) as one:
        first = redis("ZRANGE", KEY, 0, 0, "WITHSCORES")
        until(lambda: float(redis("ZRANGE", KEY, 0, 0, "WITHSCORES")[1]) > float(first[1]) + 2500, "it is renewed")
        assert refused(b, 1)
        one.close()


def test_without_redis_each_node_counts(pair, redis):
    a, b = pair
    with open_on(a, 1):
        redis.stop()
        until(lambda: not a.ready() and not b.ready(), "the loss is noticed")
        assert refused(a, 1)
        with open_on(b, 1):
            redis.start()
            until(lambda: redis("ZCARD", KEY) == 2, "both count again")
            until(b.ready, "the node is back")
            assert refused(b, 2)


def test_a_redis_that_lost_them_learns_them_again(pair, redis):
    a, b = pair
    with open_on(a, 1):
        redis("FLUSHALL")
        until(lambda: redis("ZCARD", KEY) == 1, "it is counted again")
        assert refused(b, 1)


def asked(node, path):
    """The status of a request without a token."""
    return http.parse(node.exchange(upgrade_request(path))).status


def test_a_path_that_goes_while_a_client_waits_is_not_there(launch, redis):
    """The client waits for Redis, and a reload removes its endpoint: it is refused like one that comes afterwards."""
    config = {"redis.url": redis.url, "workers": 1, "endpoints": [{"path": "/ws"}, {"path": "/old"}]}
    node = launch(config)
    until(node.ready, "it is ready")
    with node.client(limited(), path="/old").start(), node.dial() as waits:
        seen = node.metric("carillon_token_verifications_total")
        redis.freeze()
        waits.sendall(upgrade_request("/old", [("Authorization", f"Bearer {limited()}")]))
        until(lambda: node.metric("carillon_token_verifications_total") > seen, "the token has been looked at")
        node.reload({**config, "endpoints": [{"path": "/ws"}]})
        until(lambda: asked(node, "/old") == 404, "the worker has the new settings")
        redis.thaw()
        assert http.parse(http.read_all(waits)).status == 404
    for n in range(3):  # its last session has gone; the reloads after that have nothing left to keep
        node.reload({**config, "endpoints": [{"path": "/ws"}], "limits.channels": 10 + n})
    node.reload(config)
    until(lambda: asked(node, "/old") == 401, "the path is back")
    node.client(limited(), path="/old").start().close()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("second", ["signal", "deadline"])
def test_a_node_that_ends_in_order_gives_all_places_back(launch, redis, workers, second):
    """Also where its sessions are cut: by a second signal, or because they are not gone at the end of the drain."""
    config = {"redis.url": redis.url, "redis.canary_interval": "1s", "ping_interval": 0}
    window = {"drain_window": "1h"} if second == "signal" else {"drain_window": 0, "close_timeout": "1s"}
    a, b = launch({**config, **window, "workers": workers}), launch(config)
    for node in (a, b):
        until(node.ready, f"{node.name} is ready")
    names = [f"user-{n}" for n in range(40)]
    clients = [a.client(jwt.mint(name, session_limit=1)).start() for name in names]
    assert len(redis("KEYS", "carillon:*:sessions")) == 40
    a.signal(signal.SIGTERM)
    if second == "signal":
        clients[0].find("reconnect")
        a.hurry()
    a.may_die = True
    a.wait()
    assert redis("KEYS", "carillon:*:sessions") == []
    for name in names:
        with b.client(jwt.mint(name, session_limit=1)).start():
            pass


def test_a_silent_redis_does_not_hold_the_end_up(launch, redis):
    """The node waits two seconds for the answers, and no longer."""
    node = launch({"redis.url": redis.url, "drain_window": "1h"})
    until(node.ready, "it is ready")
    with open_on(node) as client:
        node.signal(signal.SIGTERM)
        client.find("reconnect")
        redis.freeze()
        node.hurry()
        began = time.monotonic()
        node.wait()
        assert time.monotonic() - began > 1.9
