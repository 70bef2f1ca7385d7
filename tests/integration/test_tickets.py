"""Tickets, as browsers and programs of managed sockets use them: POST with a token, then a WebSocket with the ticket in the query,
again with the same URL after a lost connection. With one node, and with two nodes on one Redis."""
import concurrent.futures
import json
import re
import signal
import time

import pytest
from support import http, jwt
from support.wait import until
from support.ws import CLOSE, Closed, Refused

ROUTE = "/websocket/ticket"
ORIGIN = "https://app.example"
TICKETS = {
    "tickets.path": ROUTE,
    "tickets.origins": [ORIGIN],
    "tickets.ttl": "30s",
    "tickets.use": "resume",
    "tickets.resume_ttl": "30s",
    "tickets.lease": "3s",
    "ping_interval": "1s",
    "endpoints": [
        {"path": "/ws"},
        {"path": "/ai-chat/{thread}/transcript", "preset": "ticket-sockets", "ticket": {"purpose": "chat", "resource": "{thread}"},
         "subscribe": ["log:chat-{thread}"]},
        {"path": "/white-label/{workspace}/transcript/{id}", "preset": "ticket-sockets",
         "ticket": {"purpose": "transcript", "resource": "{id}"}, "subscribe": ["log:{id}"]},
    ],
}
RETRIED = {1006, 1011, 1012, 1013, 1014}


def ask(node, body=None, token=None, headers=None):
    token = token or jwt.mint("alice")
    body = {"purpose": "chat", "resourceId": "t1"} if body is None else body
    return http.request(node.public, "POST", ROUTE, body, {"Authorization": f"Bearer {token}", **(headers or {})})


def ticket_of(node, **options):
    answer = ask(node, **options)
    assert answer.status == 200, answer
    return answer.json["ticket"]


def url(ticket, thread="t1"):
    return f"/ai-chat/{thread}/transcript?ticket={ticket}"


def enter(node, ticket, thread="t1", **options):
    return node.client(path=url(ticket, thread), **options)


def refusal(node, path, headers=()):
    """The reason of a program's refusal."""
    with pytest.raises(Refused) as refused:
        node.client(path=path, headers=headers)
    return refused.value.response.status, refused.value.response.json["error"]["reason"]


class Reconnecting:
    """A client of these APIs: it tries again with the same URL after an unclean end, and stops after the other codes."""

    def __init__(self, nodes, ticket, pause_s=1.0, tries=10):
        self.nodes, self.ticket, self.pause_s, self.tries = nodes, ticket, pause_s, tries
        self.frames, self.client, self.connections = [], None, 0
        self.connect()

    def connect(self):
        for attempt in range(self.tries):
            node = self.nodes[(self.connections + attempt) % len(self.nodes)]
            try:
                self.client = enter(node, self.ticket)
                self.connections += 1
                return
            except (Refused, OSError):
                time.sleep(self.pause_s)
        raise AssertionError("the client has given up")

    def read_until(self, last):
        while last not in self.frames:
            try:
                self.frames.append(self.client.receive()["n"])
            except (Closed, OSError) as end:
                code = getattr(end, "code", None) or 1006
                assert code in RETRIED, f"closed for good with {code}"
                if code != 1006:
                    self.client.send_frame(CLOSE, code.to_bytes(2, "big"))
                    http.read_all(self.client.socket)
                self.connect()


@pytest.fixture
def node(launch):
    return launch(TICKETS)


@pytest.fixture
def pair(launch, redis):
    return launch.pair(redis, TICKETS)


# --- the route ---

def test_the_answer_and_the_errors(node):
    answer = ask(node, headers={"Origin": ORIGIN})
    assert answer.status == 200
    assert set(answer.json) == {"ticket", "expiresIn"} and answer.json["expiresIn"] == 30
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", answer.json["ticket"])
    assert answer.headers["cache-control"] == "no-store" and answer.headers["vary"] == "Origin"
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    cases = [({"token": "nonsense"}, 401, "unauthorized"), ({"token": jwt.mint("alice", expires_s=-100)}, 401, "unauthorized"),
             ({"body": b""}, 400, "invalid_request"), ({"body": b"[]"}, 400, "invalid_request"),
             ({"body": b"{"}, 400, "invalid_request"), ({"body": {"purpose": ["x"]}}, 400, "invalid_request"),
             ({"body": {"purpose": "x" * 256}}, 400, "invalid_request"),
             ({"headers": {"Origin": "https://evil.example"}}, 403, "forbidden")]
    for options, status, code in cases:
        answer = ask(node, **options)
        assert answer.status == status and set(answer.json) == {"code", "message"} and answer.json["code"] == code, (options, answer)
    assert "access-control-allow-origin" not in answer.headers
    answer = http.request(node.public, "POST", ROUTE, {"purpose": "chat"})
    assert answer.status == 401 and answer.json["message"].endswith("in the header Authorization: Bearer")
    answer = ask(node, body=b'{"purpose":"' + b"x" * 5000 + b'"}', headers={"Origin": ORIGIN})
    assert answer.status == 413 and set(answer.json) == {"code", "message"} and answer.json["code"] == "too_large"
    assert answer.headers["access-control-allow-origin"] == ORIGIN and answer.headers["cache-control"] == "no-store"
    answer = http.request(node.public, "GET", ROUTE)
    assert answer.status == 405 and answer.headers["allow"] == "POST, OPTIONS"
    assert node.metric("carillon_ticket_requests_refused_total", status="4xx") == 11


def test_preflight_and_post_on_one_connection(node):
    """As a browser does it."""
    body = b'{"purpose":"chat","resourceId":"t1"}'
    preflight = (f"OPTIONS {ROUTE} HTTP/1.1\r\nHost: x\r\nOrigin: {ORIGIN}\r\nAccess-Control-Request-Method: POST\r\n"
                 "Access-Control-Request-Headers: authorization,content-type\r\n\r\n").encode()
    post = (f"POST {ROUTE} HTTP/1.1\r\nHost: x\r\nOrigin: {ORIGIN}\r\nAuthorization: Bearer {jwt.mint('alice')}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode() + body
    got = node.exchange(preflight + post).decode()
    first, second = got.split("\r\n\r\n", 1)
    assert first.startswith("HTTP/1.1 204 ") and "content-length" not in first.lower()
    for line in (f"Access-Control-Allow-Origin: {ORIGIN}", "Access-Control-Allow-Methods: POST",
                 "Access-Control-Allow-Headers: Authorization, Content-Type", "Vary: Origin"):
        assert line in first, first
    assert second.startswith("HTTP/1.1 200 ") and '"ticket"' in second
    chunked = (f"POST {ROUTE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {jwt.mint('alice')}\r\nTransfer-Encoding: chunked\r\n"
               "Connection: close\r\n\r\n5\r\n{\"pur\r\n").encode()
    assert b" 200 " in node.exchange(chunked + b'11\r\npose":"chat","x":\r\n3\r\n1}\n\r\n0\r\n\r\n')


def test_rates_by_user_and_address(launch):
    node = launch({**TICKETS, "tickets.rate_per_user": 2, "tickets.rate_per_address": 5})
    assert [ask(node).status for _ in range(3)] == [200, 200, 429]
    answer = ask(node, token=jwt.mint("bob"))
    assert answer.status == 200
    answer = ask(node, token=jwt.mint("carol"))
    assert answer.status == 200
    answer = ask(node, token=jwt.mint("dave"))
    assert answer.status == 429 and answer.json["code"] == "rate_limited" and int(answer.headers["retry-after"]) >= 1


def test_a_slow_poster_is_cut(launch):
    node = launch({**TICKETS, "limits.body_timeout": "1s", "limits.head_timeout": "1s"})
    head = f"POST {ROUTE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {jwt.mint('alice')}\r\nContent-Length: 30\r\n\r\n"
    assert b" 408 " in node.exchange(head.encode() + b"{")
    assert b" 401 " in node.exchange(f"POST {ROUTE} HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n".encode())  # by the head alone


def test_the_route_follows_a_reload(node):
    node.reload({**TICKETS, "tickets.path": "/t", "tickets.answer": {"data": {"token": "{ticket}"}}})
    until(lambda: ask(node).status == 404, "the old path is gone")
    answer = http.request(node.public, "POST", "/t", {"purpose": "x"}, {"Authorization": f"Bearer {jwt.mint()}"})
    assert answer.status == 200 and set(answer.json["data"]) == {"token"}


# --- entering ---

def test_purpose_and_resource(node):
    ticket = ticket_of(node)
    assert refusal(node, url(ticket, "t2")) == (401, "ticket_invalid")
    assert refusal(node, f"/white-label/w/transcript/t1?ticket={ticket}") == (401, "ticket_invalid")
    assert refusal(node, url("A" * 22)) == (401, "ticket_invalid")
    assert refusal(node, url("nonsense")) == (401, "ticket_invalid")
    assert refusal(node, "/ai-chat/t1/transcript") == (401, "ticket_missing")
    with enter(node, ticket) as client:
        subscribed(node)
        node.publish("log:chat-t1", {"n": 1})
        assert client.receive() == {"n": 1}  # as the backend wrote it, and nothing before
        client.close()
    transcript = ticket_of(node, body={"purpose": "transcript", "resourceId": "r"})
    with node.client(path=f"/white-label/any/transcript/r?ticket={transcript}"):
        pass


def test_once(launch):
    node = launch({**TICKETS, "tickets.use": "once"})
    ticket = ticket_of(node)
    with enter(node, ticket):
        assert refusal(node, url(ticket)) == (401, "ticket_used")
    assert refusal(node, url(ticket)) == (401, "ticket_used")
    client = enter(node, ticket, headers=[("Origin", ORIGIN)])
    client.expect_close(1008, "ticket_used")
    assert node.metric("carillon_connections_refused_total", reason="ticket_used") == 3


def test_a_clean_end_uses_the_ticket(node):
    ticket = ticket_of(node)
    with enter(node, ticket) as client:
        client.close()
    until(lambda: refusal(node, url(ticket)) == (401, "ticket_used"), "it is used")


def test_one_session_at_a_time(node):
    ticket = ticket_of(node)
    with enter(node, ticket) as client:
        assert refusal(node, url(ticket)) == (409, "ticket_held")
        second = enter(node, ticket, headers=[("Origin", ORIGIN)])
        second.expect_close(1013, "ticket_held")
        assert node.metric("carillon_tickets_held") == 1
        client.drop()


def test_a_dead_connection_does_not_hold_its_own_client_off(launch):
    """The client's network has gone without a word. It comes back with the same ticket, long before the pong timeout."""
    node = launch({**TICKETS, "pong_timeout": "5m"})
    ticket = ticket_of(node)
    dead = enter(node, ticket)  # is never read from again, so it answers no ping
    again = Reconnecting([node], ticket)
    again.client.close()
    dead.drop()


def test_expiry_and_rights_count_at_each_use(launch):
    node = launch({**TICKETS, "tickets.ttl": "1s"})
    ticket = ticket_of(node)
    time.sleep(1.1)
    assert refusal(node, url(ticket)) == (401, "ticket_invalid")
    node.reload(TICKETS)
    until(lambda: ask(node).json["expiresIn"] == 30, "tickets are good for longer")
    ticket = ticket_of(node)
    assert node.api("POST", "/api/v1/revoke", {"user": "alice", "issued_before": time.time() + 1}).status == 200
    until(lambda: refusal(node, url(ticket)) == (401, "token_revoked"), "the user is revoked")


def test_a_backend_gets_tickets(node):
    answer = node.api("POST", "/api/v1/tickets", {"user": "zoe", "purpose": "chat", "resource": "t1", "ttl": 5,
                                                  "claims": {"department": "x"}})
    assert answer.status == 200 and answer.json["expires_in"] == 5
    with enter(node, answer.json["ticket"]):
        found = node.api("GET", "/api/v1/sessions?user=zoe").json["sessions"]
        assert len(found) == 1
    for body in ({}, {"user": ""}, {"user": "a", "ttl": 0}, {"user": "a", "ttl": 86401}, {"user": "a", "claims": {"sub": "b"}},
                 {"user": "a", "claims": {"exp": "x"}}, {"user": "a", "purpose": "x" * 256}, {"purpose": "chat"}):
        assert node.api("POST", "/api/v1/tickets", body).status == 400, body


def test_claims_of_a_backend_are_bounded(launch):
    node = launch({**TICKETS, "token.max_bytes": "1k"})

    def give(size):
        claims = json.dumps({"department": "x" * (size - len('{"department":""}'))}, separators=(",", ":"))
        assert len(claims) == size
        return node.api("POST", "/api/v1/tickets", {"user": "zoe", "purpose": "chat", "resource": "t1", "claims": json.loads(claims)})

    assert give(1000).status == 200
    answer = give(1100)
    assert answer.status == 400 and "token.max_bytes" in answer.json["error"]["message"]
    node.reload({**TICKETS, "token.max_bytes": "2k"})
    until(lambda: give(1100).status == 200, "the bound is live")


# --- across nodes ---

def test_ten_at_once_on_two_nodes(pair):
    for _ in range(5):
        ticket = ticket_of(pair[0])

        def attempt(i):
            try:
                return enter(pair[i % 2], ticket)
            except Refused as refused:
                assert refused.response.json["error"]["reason"] == "ticket_held"
                return None

        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            clients = list(filter(None, pool.map(attempt, range(10))))
        assert len(clients) == 1
        clients[0].drop()


def test_what_was_missed_comes_after_a_reconnect(pair):
    a, b = pair
    client = Reconnecting([a, b], ticket_of(a))
    subscribed(a)
    for n in range(10):
        a.publish("log:chat-t1", {"n": n})
    client.read_until(9)
    client.client.drop()
    for n in range(10, 20):
        b.publish("log:chat-t1", {"n": n})
    client.read_until(19)
    assert sorted(set(client.frames)) == list(range(20)) and client.connections == 2
    client.client.close()


@pytest.mark.parametrize("broker", ["memory", "redis"])
def test_what_is_left_comes_when_the_history_is_too_short(launch, request, broker):
    """Its client cannot ask for it: it knows of no positions."""
    config = {**TICKETS, "channels": [{"match": "log:*", "allow": ["subscribe"], "history": {"size": 5, "ttl": "10m"}}]}
    node = launch({**config, **({"redis.url": request.getfixturevalue("redis").url} if broker == "redis" else {})})
    until(node.ready, "ready")
    ticket = ticket_of(node)
    client = enter(node, ticket)
    subscribed(node)
    node.publish("log:chat-t1", 0)
    assert client.receive() == 0
    client.drop()
    until(lambda: node.metric("carillon_sessions") == 0, "the loss is seen")
    for n in range(1, 21):
        node.publish("log:chat-t1", n)
    client = enter(node, ticket)
    assert [client.receive() for _ in range(5)] == [16, 17, 18, 19, 20]
    node.publish("log:chat-t1", 21)
    assert client.receive() == 21
    client.close()


def test_a_killed_node(pair, redis):
    a, b = pair
    client = Reconnecting([a, b], ticket_of(a))
    subscribed(a)
    for n in range(10):
        b.publish("log:chat-t1", {"n": n})
    client.read_until(9)
    a.kill()
    for n in range(10, 20):
        b.publish("log:chat-t1", {"n": n})
    client.read_until(19)
    assert sorted(set(client.frames)) == list(range(20))
    client.client.close()


def test_a_draining_node_sends_its_clients_on_without_repeats(pair):
    a, b = pair
    client = Reconnecting([a, b], ticket_of(a))
    subscribed(a)
    a.publish("log:chat-t1", {"n": 1})
    client.read_until(1)
    a.signal(signal.SIGTERM)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        published = pool.submit(lambda: (until(lambda: b.metric("carillon_tickets_held"), "the client is there"),
                                         b.publish("log:chat-t1", {"n": 2})))
        client.read_until(2)
        published.result()
    assert client.frames == [1, 2] and client.connections == 2
    client.client.close()


def test_redis_away(pair, redis):
    a, _ = pair
    held = ticket_of(a)
    client = enter(a, held)
    waiting = ticket_of(a)
    redis.freeze()
    try:
        answer = ask(a)
        assert answer.status == 503 and answer.json["code"] == "unavailable" and "retry-after" in answer.headers
        status, reason = refusal(a, url(waiting))
        assert status == 503 and reason in ("broker_away", "not_ready")
    finally:
        redis.thaw()
    until(lambda: _enters(a, waiting), "the ticket is good again")
    a.publish("log:chat-t1", {"n": 1})
    assert client.receive() == {"n": 1}
    client.close()


def subscribed(node, channel="log:chat-t1"):
    """The session begins before the broker has answered for its channels."""
    until(lambda: node.api("GET", f"/api/v1/channels/{channel}").json.get("subscribers"), f"{channel} has a subscriber")


def _enters(node, ticket):
    try:
        enter(node, ticket).close()
        return True
    except Refused:
        return False


def test_redis_never_has_a_ticket(pair, redis):
    ticket = ticket_of(pair[0])
    keys = redis("KEYS", "*:ticket")
    assert len(keys) == 1 and ticket.encode() not in keys[0].encode() + str(redis("HGETALL", keys[0])).encode()
    assert 25000 < redis("PTTL", keys[0]) <= 30000
    with enter(pair[1], ticket):
        pass
    for node in pair:
        assert ticket not in node.log()


# --- tokens for one connection ---

SINGLE = {"endpoints": [{"path": "/ws", "token_single_use": True}]}


def test_a_token_opens_one_connection_on_all_nodes(launch, redis):
    a, b = launch.pair(redis, SINGLE)
    for more in ({}, {"jti": "one"}):
        token = jwt.mint("alice", **more)
        with a.client(token).start():
            for node in (a, b):
                with pytest.raises(Refused) as refused:
                    node.client(token)
                assert refused.value.response.status == 401
                assert refused.value.response.json["error"]["reason"] == "token_used"
    assert 0 < redis("PTTL", redis("KEYS", "*:token")[0]) <= 700000


def test_a_token_for_one_connection_needs_an_end(launch):
    node = launch({**SINGLE, "token.require_exp": False})
    with pytest.raises(Refused) as refused:
        node.client(jwt.mint("alice", exp=None))
    assert refused.value.response.status == 401 and "exp" in refused.value.response.json["error"]["message"]
