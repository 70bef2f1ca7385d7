"""Revoked tokens: refused everywhere from then on, their sessions closed, and none of it forgotten."""
import time

import pytest
from support import jwt
from support.wait import until
from support.ws import Refused


def revoke(node, status=200, **body):
    answer = node.api("POST", "/api/v1/revoke", body)
    assert answer.status == status, answer
    return answer.json


def refused(node, token):
    with pytest.raises(Refused) as refusal:
        node.client(token)
    assert refusal.value.response.status == 401
    return b"revoked" in refusal.value.response.body


def test_by_jti(node):
    token, other = jwt.mint("alice", jti="t-1"), jwt.mint("alice", jti="t-2")
    with node.client(token) as hit, node.client(other) as spared:
        hit.start()
        spared.start()
        assert revoke(node, jti="t-1") == {}
        assert "revoked" in hit.expect("error")["error"]["message"]
        hit.expect_close(1008, "token_revoked")
        spared.nothing_before_pong()
    assert refused(node, token)  # also out of the cache of verified tokens
    assert node.accepts(other)
    assert node.metric("carillon_revocations") == 1
    assert node.metric("carillon_sessions_closed_total", reason="token_revoked") == 1
    assert node.metric("carillon_token_verifications_total", result="revoked") == 1


def test_by_user_and_time(node):
    now = int(time.time())
    old, new, unknown = jwt.mint("bob", iat=now - 100), jwt.mint("bob", iat=now - 10), jwt.mint("bob")
    with node.client(old) as first, node.client(new) as second, node.connect("carol") as third:
        first.start()
        second.start()
        revoke(node, user="bob", issued_before=now - 50)
        first.expect("error")
        first.expect_close(1008, "token_revoked")
        second.nothing_before_pong()
        third.nothing_before_pong()
        revoke(node, user="bob")
        second.expect("error")
        second.expect_close(1008, "token_revoked")
        third.nothing_before_pong()
    for token in (old, new, unknown):
        assert refused(node, token)
    assert node.accepts(jwt.mint("bob", iat=int(time.time()) + 5))  # within the leeway: issued after it


def test_refresh_does_not_bring_it_back(node):
    revoked = jwt.mint("dave", jti="d-2")
    revoke(node, jti="d-2")
    with node.connect("dave") as client:
        answer = client.error("refresh", "unauthorized", token=revoked)
        assert "token_revoked" in answer["message"]


def test_bad_requests(node):
    assert node.api("POST", "/api/v1/revoke", {"jti": "a"}, key="wrong").status == 401
    revoke(node, 400)
    revoke(node, 400, jti="a", user="b")
    revoke(node, 400, user="b", issued_before="yesterday")


def test_the_list_is_bounded(launch):
    node = launch({"revocation.max": 2})
    revoke(node, jti="one")
    revoke(node, jti="two")
    assert "revocation.max" in revoke(node, 503, jti="three")["error"]["message"]


@pytest.fixture
def pair(launch, redis):
    return launch.pair(redis)


def test_on_all_nodes(pair):
    a, b = pair
    token = jwt.mint("erin", jti="weird {jti} \u00fc")
    with a.client(token) as at_a, b.client(token) as at_b:
        at_a.start()
        at_b.start()
        revoke(a, jti="weird {jti} \u00fc")
        for client in (at_a, at_b):
            client.expect("error")
            client.expect_close(1008, "token_revoked")
    assert refused(a, token)
    assert refused(b, token)


def test_a_restarted_node_knows_them(pair, launch):
    a, b = pair
    many = [jwt.mint("frank", jti=f"f-{n}") for n in range(3)]
    for n in range(700):
        revoke(a, jti=f"f-{n}", exp=int(time.time()) + 3600)
    a.terminate()
    b.terminate()
    again = launch(a.config)
    until(again.ready, "it is ready")
    until(lambda: again.metric("carillon_revocations") == 700, "it has read them")
    for token in many:
        assert refused(again, token)


def test_without_redis_nothing_is_promised(pair, redis):
    a, b = pair
    token = jwt.mint("grace", jti="g-1")
    revoke(a, jti="g-0")
    redis.stop()
    until(lambda: not a.ready(), "the loss is noticed")
    answer = revoke(a, 503, jti="g-1")
    assert answer["error"]["code"] == "unavailable"
    assert a.accepts(token)
    assert refused(a, jwt.mint("grace", jti="g-0"))  # what is known stays
    redis.start()
    until(a.ready, "it is back")
    revoke(a, jti="g-1")
    assert refused(a, token)
    until(b.ready, "the other is back too")
    until(lambda: b.metric("carillon_revocations") == 2, "the other knows it too")


def test_a_node_that_was_cut_off_learns_it(pair, redis):
    a, b = pair
    token = jwt.mint("heidi", jti="h-1")
    with b.client(token) as client:
        client.start()
        for line in redis("CLIENT", "LIST").splitlines():
            fields = dict(field.partition("=")[::2] for field in line.split(" "))
            if fields["name"].endswith(b.api("GET", "/api/v1/info").json["node"]):
                redis("CLIENT", "KILL", "ID", fields["id"])
        revoke(a, jti="h-1")
        client.expect("error")
        client.expect_close(1008, "token_revoked")
    assert refused(b, token)


def test_redis_that_lost_everything_gets_them_back(pair, redis):
    a, _ = pair
    revoke(a, jti="i-1")
    redis("FLUSHALL")
    for kind in ("normal", "pubsub"):
        redis("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
    until(lambda: redis("ZCARD", "carillon:revoked") == 1, "it is written back")
