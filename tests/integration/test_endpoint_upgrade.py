"""What an endpoint decides before the session: the path, the subprotocol, the token or ticket, claims, first channels. The requests are those
of clients that exist and cannot be changed, each in its exact form."""
import asyncio
import json
import time
from urllib.parse import quote

import pytest
from support import jwt, ws
from support.transports import BY_BOTH
from support.ws import Refused

ORIGIN = ("Origin", "https://app.example")
ALLOW = ["subscribe", "publish", "presence", "history"]
CHANNELS = [{"match": "thread:*", "allow": ALLOW}, {"match": "user:{sub}", "allow": ALLOW}, {"match": "session:*", "allow": ["subscribe"]},
            {"match": "mute:*", "allow": ["publish"]}]

# Requests and answers with a correlation id, at the path "/".
REQUESTS = {"path": "/", "subprotocols": ["acme-v1", "acme-v2"], "token_query": ["Authorization"], "query": ["traceId"], "frames": [],
            "text": "echo", "token_expiry": "connect", "limits": {"message_bytes": "512k"}}
# Managed sockets.
SOCKETS = [
    {"path": "/ai-chat/{thread}/transcript", "subscribe": ["thread:{thread}"]},
    {"path": "/white-label/{workspace}/transcript/{thread}", "subscribe": ["thread:{workspace}:{thread}"]},
    {"path": "/notifications", "subscribe": ["user:{sub}"]},
]
# Streams of audio.
STREAMS = {"path": "/ws/transcribe", "require_claims": ["sub", "iat", "exp", "scope", "user_type"],
           "require_scopes": ["transcription:read", "transcription:write"], "frames": ["session_init", "error"], "binary": "echo", "text": "echo",
           "close_codes": {"token_missing": 1002, "token_invalid": 1002, "token_expired": 1002}}
OTHERS = [
    {"path": "/own"},
    {"path": "/ai-chat/main/transcript", "subscribe": ["user:{sub}"]},
    {"path": "/denied/{id}", "subscribe": ["mute:{id}"]},
    {"path": "/claimed", "subscribe": ["thread:{team}"]},
    {"path": "/session", "subscribe": ["session:{session_id}"]},
    {"path": "/long", "subprotocols": ["acme-v1"]},
    {"path": "/tickets", "ticket_query": ["ticket"]},
]
CONFIG = {"channels": CHANNELS, "endpoints": [REQUESTS, *SOCKETS, STREAMS, *OTHERS], "limits.head_bytes": "64k", "token.leeway": "0s",
          "token.max_bytes": "60k", "limits.event_bytes": "512k", "outbox.max_bytes": "2m"}
pytestmark = BY_BOTH


@pytest.fixture(scope="module")
def node(launch_for_module):
    return launch_for_module(CONFIG)


def offer(*names):
    return [("Sec-WebSocket-Protocol", ", ".join(names))]


def frame_of_a_request(action="interaction"):
    now = int(time.time() * 1000)
    return json.dumps({
        "action": "message",
        "headers": {"correlationId": "5f8f0c9e-8d6b-4a53-9d0c-0c8a6d1f9b11", "action": action, "schemaRef": f"{action}/1.0", "sdkVersion": "2.3.1",
                    "identifier": "message", "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "idempotencyKey": "b7c4c1b2-1f07-4b7c-a6c1-3f0f4f8f2f55",
                    "timestamp": now, "issuedAt": now, "tenantId": "t-1"},
        "payload": {"session": {"id": "s-1"}, "request": {"text": "Grüße"}}}, ensure_ascii=False).encode()


# ---- requests and answers at "/" ----

@pytest.mark.parametrize("order", ["name first", "token first", "two names", "two lines", "query"])
def test_each_form_of_a_request_client(node, order):
    token = jwt.mint(channels=None)
    path, headers = {
        "name first": ("/", offer("acme-v1", token)),
        "token first": ("/?traceId=t-1", offer(token, "acme-v1")),
        "two names": ("/", offer("acme-v2", token, "acme-v1")),
        "two lines": ("/", [*offer(token), *offer("acme-v1")]),
        "query": (f"/?Authorization={quote(token)}&traceId=4bf92f3577b34da6a3ce929d0e0e4736", []),
    }[order]
    with node.client(path=path, headers=headers) as client:
        selected = {"two names": "acme-v2", "query": None}.get(order, "acme-v1")
        assert client.headers.get("sec-websocket-protocol") == selected
        for action in ("adjust", "elevate", "customerInteraction", "insights"):
            sent = frame_of_a_request(action)
            client.send_text(sent)
            assert client.receive_text() == sent  # the first frame is the answer: no session_init came before


def test_a_request_client_of_another_library(node):
    """As its own code does it: websockets offers the names, and fails unless one of them is selected."""
    websockets = pytest.importorskip("websockets")
    token = jwt.mint()

    async def talk():
        url = "%s://%s:%d" % ("wss" if node.tls else "ws", *node.public)
        async with websockets.connect(url, subprotocols=["acme-v1", token], ssl=node.tls, max_size=None) as socket:
            assert socket.subprotocol == "acme-v1"
            text = frame_of_a_request().decode()
            await socket.send(text)
            assert await socket.recv() == text
            large = json.dumps({"headers": {"correlationId": "1"}, "payload": "ü" * 190000}, ensure_ascii=False)
            await socket.send(large)
            assert await socket.recv() == large
        with pytest.raises(websockets.InvalidHandshake) as refused:
            await websockets.connect(url, subprotocols=["acme-v1", jwt.mint(expires_s=-3600)], ssl=node.tls)
        assert "HTTP 401" in str(refused.value)

    asyncio.run(talk())


def test_the_token_counts_at_the_upgrade_only(launch, clock):
    node = launch(CONFIG, env=clock.env)
    clock.stand()
    token = jwt.mint(expires_s=1)
    with node.client(path="/", headers=offer("acme-v1", token)) as client:
        clock.set(3600)
        with pytest.raises(Refused) as refused:
            node.client(path="/", headers=offer("acme-v1", token))
        assert refused.value.response.json["error"]["reason"] == "token_expired"
        client.send_text(b"still here")
        assert client.receive_text() == b"still here"


def test_a_browser_is_told_whatever_it_offers(node):
    """Its frames are []: the close frame alone tells it, with a subprotocol selected, or a browser would hide it."""
    for offered, selected in ((["acme-v1"], "acme-v1"), (["acme-v1", jwt.mint(expires_s=-3600)], "acme-v1"), (["other"], "other")):
        client = node.client(path="/", headers=[*offer(*offered), ORIGIN])
        assert client.headers["sec-websocket-protocol"] == selected
        client.expect_close(1008, "token_expired" if len(offered) > 1 else "token_missing")
        assert client.skipped == []
        client.close()


@pytest.mark.parametrize("headers, path", [
    (offer("acme-v1", "a.b.c", "d.e.f"), "/"),
    (offer("acme-v1", "a.b.c"), "/?Authorization=d.e.f"),
    ([("Authorization", "Bearer a.b.c")], "/?Authorization=d.e.f"),
    ([("Authorization", "Bearer a.b.c")], "/tickets?ticket=abc"),
    ([], "/tickets?token=a.b.c&ticket=abc"),
    ([], "/tickets?ticket=abc&ticket=abd"),
    ([], "/?traceId=1&traceId=2&Authorization=TOKEN"),
])
def test_two_different_credentials(node, headers, path):
    with pytest.raises(Refused) as refused:
        node.client(path=path.replace("TOKEN", jwt.mint()), headers=headers)
    assert refused.value.response.status == 400
    assert refused.value.response.json["error"]["code"] == "invalid_request"


# ---- tokens of any length ----

@pytest.mark.parametrize("length", [500, 4000, 8192, 16000, 16384, 17000, 32768, 60000])
def test_a_long_token_by_each_carrier(node, length):
    """TLS cuts it into records of 16 KiB, TCP into segments."""
    bare = len(jwt.mint(pad=""))
    token = jwt.mint(pad="x" * ((length - bare) * 3 // 4))
    assert length - 8 <= len(token) <= length
    for path, headers in (("/long", offer("acme-v1", token)), ("/long", offer(token, "acme-v1")),
                          (f"/long?token={token}", []), ("/long", [("Authorization", f"Bearer {token}")])):
        with node.client(path=path, headers=headers) as client:
            client.start()
            assert client.headers.get("sec-websocket-protocol") == ("acme-v1" if "Protocol" in str(headers) else None)


def test_a_token_over_the_limits(node):
    for length, status, reason in ((61000, 401, "token_invalid"), (66000, 431, None)):
        with pytest.raises(Refused) as refused:
            node.client(path="/long", headers=offer("acme-v1", "x" * length))
        assert refused.value.response.status == status
        assert refused.value.response.json["error"].get("reason") == reason


def test_a_long_token_in_pieces(node):
    token = jwt.mint(pad="x" * 40000)
    request = ws.upgrade_request("/long", offer("acme-v1", token))
    with node.dial() as socket:
        for at in range(0, len(request), 1500):
            socket.sendall(request[at:at + 1500])
        assert socket.recv(4096).startswith(b"HTTP/1.1 101 ")


# ---- managed sockets: names in the path ----

@pytest.mark.parametrize("path, channel", [
    ("/ai-chat/8b1f/transcript", "thread:8b1f"),
    ("/ai-chat/a%3Ab%2A/transcript", "thread:a:b*"),
    ("/ai-chat/%C3%A4/transcript", "thread:ä"),
    ("/white-label/w-1/transcript/t-2", "thread:w-1:t-2"),
    ("/notifications", "user:ann"),
    ("/ai-chat/main/transcript", "user:ann"),  # the literal path goes first
])
def test_names_of_the_path_become_channels(node, path, channel):
    with node.client(jwt.mint("ann"), path=path).start() as client:
        client.expect("subscribed", channel=channel)
        node.publish(channel, {"n": 1})
        assert client.expect("test", channel=channel)["data"] == {"n": 1}
        client.nothing_before_pong()


def test_the_session_id_becomes_a_channel(node):
    with node.client(jwt.mint("ann"), path="/session").start() as client:
        client.expect("subscribed", channel=f"session:{client.init['session_id']}")


@pytest.mark.parametrize("path", ["/ai-chat//transcript", "/ai-chat/a/b/transcript", "/ai-chat/a%2Fb/transcript", "/ai-chat/a%20b/transcript",
                                  "/ai-chat/a%0d%0aX:%20y/transcript", "/ai-chat/%FF/transcript", "/ai-chat/../transcript", "/ai-chat/x/transcript/",
                                  "/white-label/transcript/t-2", "/ai-chat/%E2%80%83/transcript"])
def test_other_paths_are_not_found(node, path):
    with pytest.raises(Refused) as refused:
        node.client(jwt.mint(), path=path)
    assert refused.value.response.status == 404


@pytest.mark.parametrize("path, says", [
    ("/denied/x", '"mute:x"'),
    ("/claimed", 'no claim "team"'),
])
def test_a_first_channel_that_is_not_allowed(node, path, says):
    with pytest.raises(Refused) as refused:
        node.client(jwt.mint(), path=path)
    error = refused.value.response.json["error"]
    assert refused.value.response.status == 403 and error["code"] == "forbidden" and error["reason"] == "channel_denied"
    assert says in error["message"]
    client = node.client(jwt.mint(), path=path, headers=[ORIGIN])
    assert says in client.expect("error")["error"]["message"]
    client.expect_close(1008, "channel_denied")
    client.close()


# ---- streams ----

def stream_token(**more):
    claims = {"iat": int(time.time()), "scope": "transcription:read transcription:write", "user_type": "agent", "organization": "o-1",
              "channels": None}
    return jwt.mint(**{**claims, **more})


@pytest.mark.parametrize("carrier", ["header", "query"])
def test_a_stream(node, carrier):
    token = stream_token()
    path, headers = ("/ws/transcribe", [("Authorization", f"Bearer {token}")]) if carrier == "header" else (f"/ws/transcribe?token={token}", [])
    with node.client(path=path, headers=headers) as client:
        init = client.receive()
        assert init["type"] == "session_init" and len(init["session_id"]) == 36
        audio = bytes(range(256)) * 2 + bytes(128)
        client.send_frame(ws.BINARY, audio)
        assert client.receive_frame() == (True, ws.BINARY, audio)


@pytest.mark.parametrize("missing", ["iat", "exp", "scope", "user_type"])
def test_a_stream_without_a_claim(node, missing):
    token = stream_token(**{missing: None})
    with pytest.raises(Refused) as refused:
        node.client(token, path="/ws/transcribe")
    error = refused.value.response.json["error"]
    assert refused.value.response.status == 401 and error["reason"] == "token_invalid"
    client = node.client(path=f"/ws/transcribe?token={token}", headers=[ORIGIN])
    told = client.expect("error")["error"]
    client.expect_close(1002, "token_invalid")
    client.close()
    if missing != "exp":  # token.require_exp is on, and comes first
        assert f'no claim "{missing}"' in error["message"] and f'no claim "{missing}"' in told["message"]


def test_a_refresh_without_a_claim(launch):
    node = launch({"endpoints": [{"path": "/ws", "require_claims": ["team"]}]})
    with node.client(jwt.mint(team="a")).start() as client:
        assert client.error("refresh", "unauthorized", token=jwt.mint())["message"].startswith('token_invalid: the token has no claim "team"')
        client.ask("refresh", "refreshed", token=jwt.mint(team="b"))


def test_a_stream_without_a_scope(node):
    for scope in ("", "transcription:read", "transcription:writer transcription:read"):
        with pytest.raises(Refused) as refused:
            node.client(stream_token(scope=scope), path="/ws/transcribe")
        assert refused.value.response.status == 403 and refused.value.response.json["error"]["reason"] == "scope_missing"


def test_a_stream_without_a_token(node):
    with pytest.raises(Refused) as refused:
        node.client(path="/ws/transcribe")
    assert refused.value.response.status == 401
    client = node.client(path="/ws/transcribe", headers=[ORIGIN])
    client.expect_close(1002, "token_missing")
    client.close()
