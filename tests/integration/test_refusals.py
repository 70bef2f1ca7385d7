"""Each row of the refusal table, by each carrier of the token, answered by status or by close frame (docs/protocol.md)."""
import time
from urllib.parse import quote

import pytest
from support import http, jwt, ws
from support.transports import BY_BOTH
from support.wait import DEADLINE_S, until
from support.ws import Refused

pytestmark = BY_BOTH

ORIGIN = ("Origin", "https://app.example")


def carry(carrier, token):
    """(path suffix, headers) that bring the token."""
    if token is None:
        return "", []
    if carrier == "header":
        return "", [("Authorization", f"Bearer {token}")]
    if carrier == "subprotocol":
        return "", [("Sec-WebSocket-Protocol", f"{ws.PROTOCOL}, {token}")]
    return f"?token={quote(token)}", []


def bad_tokens():
    now = int(time.time())
    good = jwt.mint()
    return {
        "missing": (None, "token_missing"),
        "no token at all": ("nonsense", "token_invalid"),
        "bad signature": (jwt.mint(secret="another secret that is long enough to be one"), "token_invalid"),
        "cut": (good[:-3], "token_invalid"),
        "expired": (jwt.mint(expires_s=-3600), "token_expired"),
        "not yet valid": (jwt.mint(nbf=now + 3600), "token_not_yet_valid"),
    }


CASES = list(bad_tokens())
CARRIERS = ["header", "subprotocol", "query"]


@pytest.fixture(scope="module")
def shared(launch_for_module):
    return launch_for_module({
        "endpoints": [
            {"path": "/http", "reject": "http"},
            {"path": "/close", "reject": "close"},
            {"path": "/auto", "reject": "auto"},
            {"path": "/mapped", "reject": "close", "close_codes": {"token_invalid": 1002, "token_expired": 4001}},
            {"path": "/scoped", "require_scopes": ["realtime"]},
            {"path": "/origin", "origins": ["https://good.example"]},
        ],
    })


def refused_by_http(node, path, headers, status, code):
    with pytest.raises(Refused) as refused:
        node.client(path=path, headers=headers)
    answer = refused.value.response
    assert answer.status == status, answer
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json["error"]["code"] == code, answer
    assert answer.json["error"]["message"], answer
    return answer


def refused_by_close(node, path, headers, close, reason, code):
    with node.client(path=path, headers=headers) as client:
        closed = client.expect_close(close, reason)
        assert [m["type"] for m in client.skipped] == ["error"], client.skipped
        assert client.skipped[0]["error"]["code"] == code
        return client, closed


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("case", CASES)
class TestTokens:
    def test_http(self, shared, case, carrier):
        token, reason = bad_tokens()[case]
        suffix, headers = carry(carrier, token)
        answer = refused_by_http(shared, f"/http{suffix}", headers, 401, "unauthorized")
        assert answer.json["error"]["reason"] == reason

    def test_close(self, shared, case, carrier):
        token, reason = bad_tokens()[case]
        suffix, headers = carry(carrier, token)
        client, _ = refused_by_close(shared, f"/close{suffix}", headers, 1008, reason, "unauthorized")
        if carrier == "subprotocol" and token:
            assert client.headers["sec-websocket-protocol"] == ws.PROTOCOL
        else:
            assert "sec-websocket-protocol" not in client.headers

    def test_auto(self, shared, case, carrier):
        token, reason = bad_tokens()[case]
        suffix, headers = carry(carrier, token)
        refused_by_http(shared, f"/auto{suffix}", headers, 401, "unauthorized")
        refused_by_close(shared, f"/auto{suffix}", [*headers, ORIGIN], 1008, reason, "unauthorized")


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_good_token_passes(shared, carrier):
    suffix, headers = carry(carrier, jwt.mint("user-1"))
    with shared.client(path=f"/http{suffix}", headers=headers) as client:
        assert client.expect("session_init")["data"]["user"] == "user-1"


def test_close_codes_can_be_mapped(shared):
    refused_by_close(shared, "/mapped", carry("header", "nonsense")[1], 1002, "token_invalid", "unauthorized")
    refused_by_close(shared, "/mapped", carry("header", jwt.mint(expires_s=-3600))[1], 4001, "token_expired", "unauthorized")
    refused_by_close(shared, "/mapped", [], 1008, "token_missing", "unauthorized")


def test_scope(shared):
    for scope in (None, "other", "realtimes real"):
        answer = refused_by_http(shared, "/scoped", carry("header", jwt.mint(scope=scope))[1], 403, "forbidden")
        assert answer.json["error"]["reason"] == "scope_missing"
    refused_by_close(shared, "/scoped", [*carry("header", jwt.mint())[1], ORIGIN], 1008, "scope_missing", "forbidden")
    with shared.connect(claims={"scope": "other realtime"}, path="/scoped"):
        pass


def test_origin(shared):
    good = carry("header", jwt.mint())[1]
    refused_by_close(shared, "/origin", [*good, ORIGIN], 1008, "origin_denied", "forbidden")
    for foreign in ("https://good.example.evil.example", "http://good.example", "https://good.example:8443", "null"):
        refused_by_close(shared, "/origin", [*good, ("Origin", foreign)], 1008, "origin_denied", "forbidden")
    with shared.client(path="/origin", headers=[*good, ("Origin", "https://good.example")]) as client:
        client.start()
    with shared.client(path="/origin", headers=good) as client:  # not a browser
        client.start()


@pytest.mark.parametrize("offered, selected", [
    (None, None), (ws.PROTOCOL, ws.PROTOCOL), ("chat", "chat"), ("chat, mqtt", "chat"), (f"chat, {ws.PROTOCOL}", ws.PROTOCOL),
    ("eyJhbGciOiJIUzI1NiJ9.e30.c2ln, chat", "chat"), ("eyJhbGciOiJIUzI1NiJ9.e30.c2ln", None), ("a b, chat", "chat"), ("a\"b", None)])
def test_a_refusal_selects_what_a_browser_offers(shared, offered, selected):
    """Else a browser shows code 1006 and no frame. Never the token."""
    headers = [ORIGIN] + ([("Sec-WebSocket-Protocol", offered)] if offered else [])
    with shared.client(None, path="/close", headers=headers) as client:
        assert client.headers.get("sec-websocket-protocol") == selected
        client.expect_close(1008)
        assert [m["type"] for m in client.skipped] == ["error"]


def test_a_stranger_s_frames_are_not_read(shared):
    """A connection that is refused with a close frame ends. Bytes that the client still sends are thrown away."""
    with shared.client(None, path="/close") as client:
        client.expect_close(1008, "token_missing")
        for _ in range(3):
            try:
                client.socket.sendall(ws.frame(ws.TEXT, b'{"type":"ping"}'))
            except OSError:
                break
        assert client.socket.recv(100) == b""


def test_two_different_tokens(shared):
    first, second = jwt.mint("one"), jwt.mint("two")
    answer = refused_by_http(shared, f"/http?token={first}", carry("header", second)[1], 400, "invalid_request")
    assert "token" in answer.json["error"]["message"]
    refused_by_http(shared, f"/http?token={first}", carry("subprotocol", second)[1], 400, "invalid_request")
    with shared.client(path=f"/http?token={first}", headers=carry("header", first)[1]) as client:
        client.start()


def test_connection_limit(launch):
    node = launch({"limits.connections": 2, "endpoints": [{"path": "/http", "reject": "http"}, {"path": "/close", "reject": "close"}]})
    token = carry("header", jwt.mint())[1]
    with node.connect(path="/http") as one, node.connect(path="/http"):
        answer = refused_by_http(node, "/http", token, 429, "rate_limited")
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json["error"]["reason"] == "connection_limit"
        assert "this node" in answer.json["error"]["message"] and "limits.connections: 2" in answer.json["error"]["message"]
        refused_by_close(node, "/close", token, 1013, "connection_limit", "rate_limited")
        one.close()
        until(lambda: admitted(node, "/http", token), "there is room again")


def admitted(node, path, headers):
    try:
        with node.client(path=path, headers=headers) as client:
            client.start()
            client.close()
            return True
    except Refused:
        return False


@pytest.mark.parametrize("config, claims, text", [
    ({"limits.connections_per_address": 1}, {}, "your address has as many connections here as are allowed (limits.connections_per_address: 1)"),
    ({"endpoints": [{"path": "/ws", "max_connections": 1}]}, {}, "this endpoint has as many connections here as are allowed (max_connections of the endpoint: 1)"),
    ({"limits.connections_per_user": 1}, {}, "this user has as many connections here as are allowed (limits.connections_per_user: 1)"),
    ({}, {"session_limit": 1}, "the session_limit of the token allows 1 connections of its user at once"),
])
def test_a_refusal_names_its_limit(launch, config, claims, text):
    node = launch(config)
    with node.connect(claims=claims), pytest.raises(Refused) as refused:
        node.connect(claims=claims)
    assert refused.value.response.status == 429 and text in refused.value.response.json["error"]["message"]


def test_connections_of_one_user(launch):
    node = launch({"limits.connections_per_user": 2,
                   "endpoints": [{"path": "/http", "reject": "http"}, {"path": "/close", "reject": "close"}]})
    token = carry("header", jwt.mint("busy"))[1]
    with node.connect("busy", path="/http") as one, node.connect("busy", path="/http"):
        answer = refused_by_http(node, "/http", token, 429, "rate_limited")
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json["error"]["reason"] == "connection_limit"
        refused_by_close(node, "/close", token, 1013, "connection_limit", "rate_limited")
        node.connect("other", path="/http").close()
        one.close()
        until(lambda: admitted(node, "/http", token), "there is room again")


def test_session_limit_of_the_token(launch):
    node = launch({"endpoints": [{"path": "/ws", "reject": "http"}]})
    token = carry("header", jwt.mint("single", session_limit=1))[1]
    with node.client(headers=token) as one:
        one.start()
        refused_by_http(node, "/ws", token, 429, "rate_limited")


def test_connections_of_one_address(launch):
    node = launch({"limits.connections_per_address": 2, "endpoints": [{"path": "/ws", "reject": "http"}]})
    with node.connect("a"), node.connect("b"):
        answer = refused_by_http(node, "/ws", carry("header", jwt.mint("c"))[1], 429, "rate_limited")
        assert int(answer.headers["retry-after"]) >= 1


def test_draining(launch):
    """A connection that was there before the drain began and asks after it."""
    node = launch({"workers": 1, "drain_window": "3s",  # one, so that what the witness hears holds for all connections
                   "endpoints": [{"path": "/http", "reject": "http"}, {"path": "/close", "reject": "close"}]})
    with node.connect(path="/http") as witness, node.dial() as late, node.dial() as later:
        token = carry("header", jwt.mint())[1]
        request, close_request = ws.upgrade_request("/http", token), ws.upgrade_request("/close", token)
        late.sendall(request[:20])
        later.sendall(close_request[:20])
        node.signal(15)
        witness.find("reconnect")
        late.sendall(request[20:])
        answer = http.parse(receive_all(late))
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json["error"]["code"] == "unavailable"
        assert answer.json["error"]["reason"] == "draining"
        later.sendall(close_request[20:])
        received = receive_all(later, closing=True)
        assert b" 101 " in received
        assert b'"unavailable"' in received
        assert (1012).to_bytes(2, "big") + b"draining" in received
        witness.expect_close(1001, "going_away")
    assert node.wait() == 0


def receive_all(connection, closing=False):
    """Reads until the server ends it. closing: answers the close frame, as a client must."""
    connection.settimeout(DEADLINE_S)
    received = b""
    while True:
        try:
            chunk = connection.recv(65536)
        except ConnectionResetError:
            return received
        if not chunk:
            return received
        received += chunk
        if closing and b"draining" in received:
            closing = False
            connection.sendall(ws.frame(ws.CLOSE, (1012).to_bytes(2, "big")))
