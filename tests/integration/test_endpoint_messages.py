"""What an open session does by its endpoint: what becomes of its messages, which frames it gets, and what of an event. Also how a failure
is told, and what the end of its token means. Clients imitate those that cannot be changed."""
import json
import os
import time

import pytest
from support import jwt, ws
from support.backend import Backend
from support.wait import until

CHANNELS = [{"match": "*", "allow": ["subscribe", "publish", "presence", "history"]}]
ENVELOPE = {"correlation": {"id": "/headers/correlationId",
                            "error": {"headers": {"correlationId": "{id}", "action": "error"}, "state": "error",
                                      "error": {"code": "{code}", "text": "failed: {message}"}}}}


def start(launch, members, env=None, **config):
    return launch({"workers": 1, "channels": CHANNELS, "endpoints": [{"path": "/ws", **members}, {"path": "/own"}], **config}, env=env)


def connect(node, sub="ann", **claims):
    return node.client(jwt.mint(sub, **claims))


def echoes(client, text=b"fence"):
    client.send_text(text)
    assert client.receive_text() == text


@pytest.fixture(params=["plain", "tls"])
def launch_both(request, launch, tmp_path_factory):
    if request.param == "tls":
        launch.certificate = request.getfixturevalue("certificate")
    yield launch
    launch.certificate = None


def test_echo_of_both_kinds(launch_both):
    """No frame of Carillon's own is among them: each is an answer for such a client."""
    node = start(launch_both, {"text": "echo", "binary": "echo", "frames": [], "limits": {"message_bytes": "512k"}})
    with connect(node) as client:
        for size in (0, 1, 125, 126, 65535, 65536, 393216):
            text, audio = ("\u00e9" * (size // 2)).encode(), os.urandom(size)
            client.send_text(text)
            assert client.receive_frame() == (True, ws.TEXT, text)
            client.send_frame(ws.BINARY, audio)
            assert client.receive_frame() == (True, ws.BINARY, audio)
        half = os.urandom(100)
        client.send_frame(ws.BINARY, half, fin=False)
        client.send_frame(ws.PING, b"between")
        client.send_frame(0, half)
        assert client.receive_frame() == (True, ws.PONG, b"between")
        assert client.receive_frame() == (True, ws.BINARY, half + half)
        client.send_frame(ws.TEXT, b"\xff")
        client.expect_close(1007, "not_utf8")
        assert client.skipped == []


def test_ignored_messages(launch):
    node = start(launch, {"text": "ignore", "binary": "ignore", "frames": ["session_init"]})
    with connect(node).start() as client:
        client.send_text("{\"type\":\"ping\"}")
        client.send_frame(ws.BINARY, b"x")
        client.send_frame(ws.PING, b"fence")
        assert client.receive_frame() == (True, ws.PONG, b"fence")


@pytest.mark.parametrize("members,opcode", [({}, ws.BINARY), ({"text": "reject", "binary": "commands"}, ws.TEXT)])
def test_a_kind_that_is_not_taken(launch, members, opcode):
    node = start(launch, members)
    with connect(node).start() as client:
        if opcode == ws.TEXT:
            client.send_frame(ws.BINARY, json.dumps({"type": "ping", "id": 1}).encode())
            client.expect("pong", id=1)
        client.send_frame(opcode, b"{}")
        client.expect_close(1003, "data_kind")
        assert client.skipped[0]["error"]["code"] == "invalid_request"


@pytest.mark.parametrize("frames", [[], ["session_init"], ["subscribed"], ["error", "pong"]])
def test_frames(launch, frames):
    node = start(launch, {"frames": frames})
    with connect(node) as client:
        client.send("subscribe", id=1, channel="room:a")
        until(lambda: node.api("GET", "/api/v1/channels/room%3Aa").status == 200, "subscribed")  # an unsubscribe before it would end it
        client.send("ping", id=2)
        client.send("what", id=3)
        client.send("history", id=4, channel="room:a")
        client.send("unsubscribe", id=5, channel="room:a")
        client.send("subscribe", id=6, channel="room:b")
        until(lambda: node.publish("room:b", "fence") and node.metric("carillon_deliveries_total") >= 1, "delivered")
        got = []
        while not got or got[-1].get("data") != "fence":
            got.append(client.receive())
    expected = {"session_init": ["session_init"], "subscribed": ["subscribed", "history", "unsubscribed", "subscribed"],
                "error": ["error"], "pong": ["pong"], "test": ["test"]}
    assert sorted(message["type"] for message in got) == sorted(name for word in [*frames, "test"] for name in expected[word])


def test_data_alone(launch):
    """Byte for byte, live and recovered, next to sessions that get whole events."""
    node = start(launch, {"frames": [], "deliver": "data"}, channels=[{**CHANNELS[0], "history": {"size": 10, "ttl": "1m"}}])
    raw = b'{ "type" : "transcript", "n":1.50e2, "text":"\\u00e9\\/" }'
    body = b'{"channel":"room:a","type":"custom","data":' + raw + b"}"
    with node.connect(path="/own") as whole:
        whole.subscribe("room:a")
        with connect(node) as client:
            client.send("subscribe", channel="room:a")
            client.send("subscribe", channel="room:b")
            client.send("publish", channel="room:b", type="test", data=[1, "two"])
            assert client.receive_text() == b'[1, "two"]'
            assert node.api("POST", "/api/v1/publish", body).status == 200
            assert client.receive_text() == raw
            event = whole.expect("custom", channel="room:a")
        with connect(node) as client:
            client.send("subscribe", channel="room:a", last=1)
            assert client.receive_text() == raw
        assert json.dumps(event["data"]) == json.dumps(json.loads(raw))


def test_failures_are_told_in_the_frame_of_the_endpoint(launch):
    node = start(launch, {"text": "echo", "frames": [], **ENVELOPE, "limits": {"message_rate": 1, "message_burst": 2, "bad_messages": 0}})

    def envelope(id):
        return json.dumps({"action": "message", "headers": {"correlationId": id, "action": "translate"}, "payload": {}})

    with connect(node) as client:
        for id in ("one", "two"):
            client.send_text(envelope(id))
            assert client.receive()["headers"]["correlationId"] == id
        for id in ("a \"quoted\" \u00e9 id", 17, -1.5, ""):
            client.send_text(envelope(id))
            answer = client.receive()
            assert answer == {"headers": {"correlationId": id, "action": "error"}, "state": "error",
                              "error": {"code": "rate_limited", "text": answer["error"]["text"]}}
            assert answer["error"]["text"].startswith("failed: too many messages; wait ")
        for text in ("no JSON", "{}", "[1]", envelope({"an": "object"}), envelope("x" * 2000)):
            client.send_text(text)
            assert client.receive()["headers"]["correlationId"] is None


@pytest.mark.parametrize("counts", [["text"], ["binary"], []])
def test_what_the_rate_counts(launch, counts):
    node = start(launch, {"text": "echo", "binary": "echo", "frames": ["error"], "rate": {"counts": counts}, "limits": {"bad_messages": 0}})
    with connect(node, rate_limit=6) as client:
        for kind, opcode in (("text", ws.TEXT), ("binary", ws.BINARY)):
            for _ in range(20):
                client.send_frame(opcode, b"{}")
            refused = 0
            for _ in range(20):
                _, came, payload = client.receive_frame()
                refused += came == ws.TEXT and b"rate_limited" in payload
            assert refused == (14 if kind in counts else 0)


def test_the_end_of_a_token_is_none(launch, clock):
    """Its exp counts at the upgrade only. A refresh is answered, and a token that has ended opens nothing."""
    node = start(launch, {"token_expiry": "connect"}, clock.env, **{"token.leeway": 0, "token.expiry_warning": "1s"})
    now_s = int(time.time())
    clock.stand(now_s)
    end = {"exp": now_s + 2}
    with node.connect("ann", end) as client, node.connect("bob", end, path="/own") as other:
        clock.stand(now_s + 1)
        other.find("warning")
        clock.stand(now_s + 2)
        other.expect_close(1008, "token_expired")
        client.nothing_before_pong()
        assert client.skipped == []
        client.ask("refresh", "refreshed", token=jwt.mint("ann", exp=now_s + 3))
        with pytest.raises(ws.Refused):
            node.client(jwt.mint("ann", **end))


def test_draining_without_frames(launch):
    node = start(launch, {"frames": [], "close_codes": {"going_away": 1012}}, drain_window="100ms")
    with connect(node) as client, node.connect(path="/own") as other:
        client.send_frame(ws.PING, b"")
        client.receive_frame()
        node.signal(15)
        client.expect_close(1012, "going_away")
        assert client.skipped == []
        other.find("reconnect")
        other.expect_close(1001, "going_away")


def test_refusals_by_close_without_frames(launch):
    node = start(launch, {"frames": [], "reject": "close"})
    with node.client() as client:
        client.expect_close(1008, "token_missing")
        assert client.skipped == []


def test_pings_of_an_endpoint(launch):
    node = start(launch, {"ping_interval": "300ms", "pong_timeout": "200ms"}, ping_interval="1h")
    with connect(node).start() as client, node.connect(path="/own") as other:
        client.pong = False
        client.expect_close(1001, "pong_timeout")
        with pytest.raises(TimeoutError):
            other.receive_frame(0.1)


def test_limits_of_an_endpoint(launch):
    node = start(launch, {"limits": {"message_bytes": "2k", "channels": 1}}, **{"limits.message_bytes": "64k"})
    with connect(node).start() as client, node.connect(path="/own") as other:
        assert client.init["data"]["limits"] == {"message_bytes": 2048, "channels": 1}
        assert other.init["data"]["limits"]["message_bytes"] == 65536
        client.subscribe("room:a")
        client.error("subscribe", "subscription_failed", channel="room:b")
        client.send_text(b"x" * 2049)
        client.expect_close(1009, "message_too_big")


def limits_told(node, path):
    with node.connect(path=path) as client:
        return client.init["data"]["limits"]


def test_sessions_of_an_endpoint_that_goes_keep_its_limits(launch):
    node = start(launch, {"limits": {"channels": 2}}, **{"limits.channels": 5})
    with connect(node).start() as client:
        node.reload({**node.config, "endpoints": [{"path": "/own"}], "limits.channels": 1})
        until(lambda: limits_told(node, "/own")["channels"] == 1, "the worker has it")
        client.subscribe("room:a")
        client.subscribe("room:b")
        client.error("subscribe", "subscription_failed", channel="room:c")


def test_a_held_client_loses_nothing(launch_both):
    """What had been read when the backend became slow comes later, in order; with TLS too. Meanwhile the session gets its pings."""
    go_on = []

    def answer(call):
        until(lambda: go_on, "the test goes on")
        call.answer()

    backend = Backend(answer)
    try:
        node = start(launch_both, {"binary": "upstream", "upstream": "slow", "rate": {"counts": []}, "ping_interval": "500ms",
                                   "pong_timeout": "2s", "frames": []},
                     upstreams={"slow": {"url": backend.url, "order": "session", "join": {"max_bytes": "64k"}, "waiting_bytes": "64k"}})
        with connect(node) as client:
            client.socket.settimeout(1)
            sent = bytearray()
            with pytest.raises(TimeoutError):
                for n in range(1_000_000):
                    payload = b"%08d" % n * 200
                    client.socket.sendall(ws.frame(ws.BINARY, payload))
                    sent += payload
            pings = 0
            while pings < 6:  # for longer than the pong timeout
                pings += client.receive_frame()[1] == ws.PING
            go_on.append(True)
            # The last frame was sent in part, or not at all.
            until(lambda: sum(len(call.body) for call in backend.calls) >= len(sent), "all has come")
            heard = b"".join(call.body for call in sorted(backend.calls, key=lambda call: int(call.headers["ce-sequence"])))
            assert heard[: len(sent)] == sent
    finally:
        go_on.append(True)
        backend.close()
