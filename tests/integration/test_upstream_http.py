"""Clients behind an endpoint whose messages go to a backend by HTTP: what the backend gets, and what clients get of its answers."""
import base64
import gzip
import hashlib
import hmac
import json
import socket
import threading
import time

import pytest
from support import jwt, ws
from support.backend import Backend
from support.carillon import run
from support.wait import DEADLINE_S, SLOWDOWN, until

SECRET = "whsec_" + base64.b64encode(b"a secret of the tests, 32 bytes!").decode()
ERROR = {"headers": {"correlationId": "{id}"}, "state": "error", "error": {"code": "{code}", "message": "{message}"}}


def endpoint(**members):
    return {"path": "/", "subprotocols": ["frames-v1"], "text": "upstream", "binary": "reject", "upstream": "ai", "frames": [],
            "correlation": {"id": "/headers/correlationId", "error": ERROR}, **members}


@pytest.fixture
def begin(launch):
    """begin(answer, upstream={...}, endpoint={...}) -> node, backend."""
    backends = []

    def start(answer=None, upstream=None, config=None, **members):
        backend = Backend(answer)
        backends.append(backend)
        node = launch({"endpoints": [{"path": "/ws"}, endpoint(**members)],
                       "upstreams": {"ai": {"url": backend.url, "secret": [SECRET], **(upstream or {})}}, **(config or {})})
        return node, backend

    yield start
    for backend in backends:
        backend.close()


def connect(node, path="/", sub="user-456", claims=None, **options):
    return node.client(jwt.mint(sub, **(claims or {})), path=path, headers=[("Sec-WebSocket-Protocol", "frames-v1")], **options)


def message(correlation, **payload):
    return json.dumps({"action": "message", "headers": {"correlationId": correlation, "action": "summarize", "identifier": "message",
                                                       "idempotencyKey": f"key-{correlation}"},
                       "payload": {"request": payload}}, ensure_ascii=False)


def echo(call):
    call.answer(200, {"headers": {"correlationId": call.json()["headers"]["correlationId"]}, "payload": "ok"})


def signature(call, secret):
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    text = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode() + call.body
    return "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


def is_signed(call):
    return hmac.compare_digest(signature(call, SECRET), call.headers["webhook-signature"])


def test_a_message_and_its_answer(begin):
    node, backend = begin(echo, upstream={"claims": ["role"]}, query=["trace"], headers=["x-app"])
    token = jwt.mint("Jürgen", role="admin", password="x")
    headers = [("Sec-WebSocket-Protocol", f"frames-v1, {token}"), ("X-App", "a b"), ("Cookie", "c=1")]
    with node.client(path="/?trace=t%2F1", headers=headers) as client:
        sent = message("c-1", text="ü" * 10)
        client.send_text(sent)
        assert client.receive() == {"headers": {"correlationId": "c-1"}, "payload": "ok"}
    call, = backend.calls
    session = call.headers["ce-sessionid"]
    assert call.body == sent.encode() and call.path == "/frames" and call.method == "POST"
    expected = {"content-type": "application/json", "ce-specversion": "1.0", "ce-type": "carillon.message", "ce-id": f"{session}.1",
                "ce-source": f"/endpoints/sessions/{session}", "ce-userid": "J%C3%BCrgen", "ce-endpoint": "/", "ce-sequence": "1",
                "ce-partitionkey": session, "ce-subprotocol": "frames-v1", "webhook-id": f"{session}.1", "x-app": "a b"}
    assert {name: call.headers.get(name) for name in expected} == expected
    assert call.decoded("ce-claims") == {"role": "admin"} and call.decoded("ce-query") == {"trace": "t/1"}
    assert is_signed(call) and abs(int(call.headers["webhook-timestamp"]) - time.time()) < 60
    assert not {"authorization", "cookie", "sec-websocket-key", "ce-connectionstate", "ce-path"} & call.headers.keys()


def test_one_answer_in_several_frames_as_they_come(begin):
    has_come = threading.Semaphore(0)

    def answer(call):
        correlation = call.json()["headers"]["correlationId"]
        call.begin("application/x-ndjson")
        for n in range(1, 5):
            call.chunk(json.dumps({"headers": {"correlationId": correlation}, "payload": "word " * n}) + "\n")
            assert has_come.acquire(timeout=DEADLINE_S)  # each comes before the next one is sent
        call.finish()

    node, backend = begin(answer)
    with connect(node) as client:
        client.send_text(message("c-1"))
        for n in range(1, 5):
            assert client.receive()["payload"] == "word " * n
            has_come.release()


def test_an_event_stream(begin):
    def answer(call):
        call.begin("text/event-stream")
        for part in (b": hello\n\ndata: on", b"e\r\n\r\nevent: x\nda", b"ta: two\ndata: lines\n\n"):
            call.chunk(part)
        call.finish()

    node, _ = begin(answer)
    with connect(node) as client:
        client.send_text("x")
        assert client.receive_text() == b"one"
        assert client.receive_text() == b"two\nlines"


def test_large_messages(begin):
    node, _ = begin(lambda call: call.answer(200, call.body), limits={"message_bytes": "512k"})
    with connect(node) as client:
        sent = message("c-1", text="ü" * 200_000)
        assert len(sent.encode()) > 384 * 1024
        client.send_text(sent)
        assert client.receive_text() == sent.encode()


FAILURES = {
    "500": (lambda call: call.answer(500, {"secret": "stack trace"}), "internal_error"),
    "429": (lambda call: call.answer(429), "rate_limited"),
    "redirect": (lambda call: call.answer(302, Location="http://127.0.0.1:1/"), "internal_error"),
    "reset": (lambda call: call.reset(), "internal_error"),
    "not text": (lambda call: call.answer(200, b"\xff\xfe", "text/plain"), "internal_error"),
    "a picture": (lambda call: call.answer(200, b"png", "image/png"), "internal_error"),
    "compressed text": (lambda call: call.answer(200, gzip.compress(b"{}"), Content_Encoding="gzip"), "internal_error"),
    "compressed bytes": (lambda call: call.answer(200, b"audio", "audio/wav", Content_Encoding="br"), "internal_error"),
    "too large": (lambda call: call.answer(200, b"a" * 2_000_000, "text/plain"), "too_large"),
    "silence": (lambda call: time.sleep(5), "unavailable"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failures(begin, name):
    answer, code = FAILURES[name]
    node, backend = begin(lambda call: answer(call) if b"bad" in call.body else echo(call), upstream={"timeout": "3s" if name == "silence" else "1m"})
    with connect(node) as client:
        client.send_text(message("bad\r\n\u00fc-1"))
        failed = client.receive()
        assert failed["headers"]["correlationId"] == "bad\r\n\u00fc-1" and failed["state"] == "error"
        assert failed["error"]["code"] == code and "stack" not in failed["error"]["message"]
        client.send_text(message("c-2"))
        assert client.receive()["payload"] == "ok"
    lines = [line for line in node.log().splitlines() if "failed after" in line]
    assert len(lines) == 1 and ' correlation id "bad' in lines[0] and "\ufffd" not in lines[0] and backend.calls[0].headers["ce-sessionid"] in lines[0]
    assert node.metric("carillon_upstream_failures_total", error=code) == 1


@pytest.mark.parametrize("answer", [lambda call: call.answer(200, {"payload": "ok"}, Content_Encoding="identity"),
                                    lambda call: call.answer(200, b"", Content_Encoding="gzip")], ids=["identity", "no body"])
def test_content_encodings_that_do_no_harm(begin, answer):
    node, backend = begin(lambda call: answer(call) if b"odd" in call.body else echo(call))
    with connect(node) as client:
        client.send_text(message("odd"))
        client.send_text(message("c-2"))
        frames = [client.receive()["payload"]]
        until(lambda: node.metric("carillon_upstream_requests_total", upstream="ai", outcome="2xx") == 2, "both are answered")
    assert frames == ["ok"] and node.metric("carillon_upstream_failures_total", error="internal_error") == 0


def test_a_backend_that_refuses_connections(launch):
    backend = Backend()
    backend.close()
    node = launch({"endpoints": [endpoint()], "upstreams": {"ai": {"url": backend.url}}})
    with connect(node) as client:
        client.send_text(message("c-1"))
        assert client.receive()["error"] == {"code": "unavailable", "message": "the backend cannot be reached"}
    assert node.metric("carillon_upstream_retries_total") == 2


def test_the_log_is_not_flooded(launch):
    """A client makes as many failures as it likes."""
    backend = Backend()
    backend.close()
    node = launch({"endpoints": [endpoint()], "upstreams": {"ai": {"url": backend.url}}, "log": {"level": "debug"}})
    with connect(node) as client:
        for n in range(60):
            client.send_text(message(f"c-{n}"))
        for _ in range(60):
            assert client.receive()["error"]["code"] == "unavailable"
    lines = [line for line in node.log().splitlines() if "failed after" in line]
    assert len(lines) == 60 and len({line.split("correlation id ")[1] for line in lines}) == 60
    assert 20 <= sum(" WARN " in line for line in lines) <= 40  # twice as many if the ten seconds end meanwhile
    assert all(" WARN " in line or " DEBUG " in line for line in lines)


def test_a_backend_that_comes_back_in_time(launch):
    first = Backend()
    first.close()
    node = launch({"endpoints": [endpoint()], "upstreams": {"ai": {"url": first.url}}})
    with connect(node) as client:
        client.send_text(message("c-1"))
        until(lambda: node.metric("carillon_upstream_retries_total") >= 1, "a second try")
        with Backend(echo, first.port) as second:
            assert client.receive()["payload"] == "ok"
            assert second.calls[0].headers["ce-sequence"] == "1"


def test_a_stream_that_breaks(begin):
    def answer(call):
        call.begin("application/x-ndjson")
        call.chunk('{"n":1}\n{"n":')
        time.sleep(0.2)
        call.reset()

    node, backend = begin(answer)
    with connect(node) as client:
        client.send_text(message("c-1"))
        assert client.receive() == {"n": 1}
        assert client.receive()["state"] == "error"
    assert len(backend.calls) == 1


def test_the_breaker(begin):
    node, backend = begin(lambda call: call.answer(503), upstream={"breaker": {"failures": 3, "pause": "1m"}})
    with connect(node) as client:
        for n in range(6):
            client.send_text(message(f"c-{n}"))
            code = client.receive()["error"]["code"]
    assert code == "unavailable" and len(backend.calls) == 3


def test_on_failure_close(begin):
    node, _ = begin(lambda call: call.answer(500), upstream={"on_failure": "close"})
    with connect(node) as client:
        client.send_text(message("c-1"))
        assert client.receive()["state"] == "error"
        with pytest.raises(ws.Closed) as closed:
            client.receive()
        assert closed.value.code == 1011


def test_what_an_answer_asks_for(begin):
    def answer(call):
        if call.headers["ce-sequence"] == "1":
            call.answer(200, b"hello", "text/plain", ce_connectionstate="c3RhdGU=", carillon_subscribe="news, log:a")
        else:
            call.answer(200, call.headers["ce-connectionstate"], "text/plain", carillon_close="4001 bye bye")

    node, _ = begin(answer, deliver="data")
    with connect(node) as client:
        client.send_text("x")
        assert client.receive_text() == b"hello"
        until(lambda: node.metric("carillon_subscriptions") == 2, "both channels")
        node.publish("news", {"n": 1})
        assert client.receive() == {"n": 1}
        client.send_text("y")
        assert client.receive_text() == b"c3RhdGU="
        with pytest.raises(ws.Closed) as closed:
            client.receive()
        assert (closed.value.code, closed.value.reason) == (4001, "bye bye")


def test_header_injection(begin):
    node, backend = begin(path="/u/{name}", query=["q"])
    with connect(node, "/u/%C3%BC%22x?q=a%0D%0Ace-userid:%20root", sub="a\r\nce-endpoint: /x") as client:
        client.send_text("x")
        call, = backend.wait_for("message")
    assert call.headers["ce-userid"] == "a%0D%0Ace-endpoint:%20/x" and call.headers["ce-endpoint"] == "/u/{name}"
    assert call.decoded("ce-query") == {"q": "a\r\nce-userid: root"} and call.decoded("ce-path") == {"name": 'ü"x'}


def test_connected_and_disconnected(begin):
    def answer(call):
        if call.type == "connected":
            call.answer(200, {"hello": call.headers["ce-userid"]})
        else:
            call.answer()

    node, backend = begin(answer, upstream={"events": ["connected", "disconnected"]})
    with connect(node) as client:
        assert client.receive() == {"hello": "user-456"}
        client.send_frame(ws.CLOSE, (4002).to_bytes(2, "big"))
        call, = backend.wait_for("disconnected")
    assert call.json()["code"] == 4002 and call.headers["ce-id"].endswith(".disconnected")


def test_an_answer_after_the_session_has_gone(begin):
    node, backend = begin(lambda call: (time.sleep(0.5), echo(call)))
    with connect(node) as client:
        client.send_text(message("c-1"))
        backend.wait_for("message")
    until(lambda: node.metric("carillon_upstream_late_answers_total") == 1, "the late answer is counted")


def test_draining_waits_for_an_answer(begin):
    node, backend = begin(lambda call: (time.sleep(1), echo(call)), config={"drain_window": "30s"})
    with connect(node) as client:
        client.send_text(message("c-1"))
        backend.wait_for("message")
        node.signal(15)
        assert client.receive()["payload"] == "ok"
        client.expect_close(1001, "going_away")
    assert node.wait() == 0


def test_a_reload_brings_another_backend(begin):
    node, first = begin(echo)
    with Backend(echo) as second, connect(node) as before:
        node.reload({"endpoints": [endpoint()], "upstreams": {"ai": {"url": second.url}}})
        with connect(node) as client:
            client.send_text(message("c-1"))
            client.receive()
        before.send_text(message("c-2"))
        assert before.receive()["payload"] == "ok"
        assert len(second.calls) == 1 and len(first.calls) == 1


ROTATION = [["first secret of 32 bytes, a test"], ["first secret of 32 bytes, a test", SECRET], [SECRET], []]


def test_an_open_session_signs_by_new_secrets(begin):
    node, backend = begin(echo, upstream={"secret": ROTATION[0]})
    with connect(node) as client:
        for n, secrets in enumerate(ROTATION):
            if n:
                node.reload({"endpoints": [endpoint()], "upstreams": {"ai": {"url": backend.url, "secret": secrets}}})
            client.send_text(message(f"c-{n}"))
            client.receive()
            call = backend.calls[n]
            assert call.headers.get("webhook-signature", "").split() == [signature(call, one) for one in secrets]


def test_a_refused_reload_leaves_secrets_as_they_were(begin):
    node, backend = begin(echo)
    with connect(node) as client:
        node.reload({"endpoints": [endpoint()], "upstreams": {"ai": {"url": backend.url, "secret": ROTATION[0]},
                                                             "other": {"url": "https://127.0.0.1/", "tls_ca": "/no/such/file"}}})
        assert "reload: refused" in node.log()
        client.send_text(message("c-1"))
        client.receive()
    assert is_signed(backend.calls[0])


def test_an_open_session_of_azure_signs_by_new_secrets(begin):
    def answer(call):
        call.answer(200, WebHook_Allowed_Origin="*") if call.method == "OPTIONS" else call.answer(200, b"x", "text/plain")

    azure = {"dialect": "azure", "hub": "chat"}
    node, backend = begin(answer, upstream={**azure, "secret": ROTATION[1]})
    with connect(node) as client:
        client.send_text("{}")
        client.receive_text()
        node.reload({"endpoints": [endpoint()], "upstreams": {"ai": {**azure, "url": backend.url, "secret": ROTATION[2]}}})
        client.send_text("{}")
        client.receive_text()
    first, second = (call.headers["ce-signature"].split(",") for call in backend.of_type("azure.webpubsub.user.message"))
    assert len(first) == 2 and second == [first[1]]


def test_idempotency_keys(begin):
    answered = []

    def answer(call):
        time.sleep(0.3)
        answered.append(call)
        call.answer(200, {"headers": {"correlationId": call.json()["headers"]["correlationId"]}, "payload": len(answered)})

    node, backend = begin(answer, upstream={"idempotency": {"max_age": "1m"}}, correlation={
        "id": "/headers/correlationId", "idempotency_key": "/headers/idempotencyKey", "error": ERROR})

    def text(correlation, key="k"):
        return json.dumps({"action": "message", "headers": {"correlationId": correlation, "idempotencyKey": key}})

    with connect(node) as one, connect(node) as two, connect(node, sub="other") as other:
        one.send_text(text("c-1"))
        backend.wait_for("message")
        for client in (two, one):
            client.send_text(text("c-2"))
        assert [one.receive() for _ in range(2)] == [{"headers": {"correlationId": f"c-{n}"}, "payload": 1} for n in (1, 2)]
        assert two.receive() == {"headers": {"correlationId": "c-2"}, "payload": 1}
        other.send_text(text("c-3"))
        assert other.receive()["payload"] == 2
        two.send_text(text("c-4"))
        assert two.receive() == {"headers": {"correlationId": "c-4"}, "payload": 1}
    assert len(backend.calls) == 2 and node.metric("carillon_upstream_answered_again_total") == 3


# --- shape D: audio in order ---

AUDIO = dict(path="/ws/transcribe", binary="upstream", binary_type="audio/pcm", correlation={})
FAST = {"limits.message_rate": 100000, "limits.message_burst": 100000}
IN_ORDER = {"order": "session", "join": {"max_bytes": "64k"}}


def test_audio_in_order_with_joining(begin):
    heard = {}

    def answer(call):
        heard.setdefault(call.headers["ce-sessionid"], []).append(call)
        time.sleep(0.05)
        call.answer(200, {"type": "transcription", "n": len(call.body)})

    node, backend = begin(answer, upstream=IN_ORDER, config=FAST, **AUDIO)
    frames = [bytes([n % 256]) * 640 for n in range(300)]
    with connect(node, "/ws/transcribe") as client:
        for one in frames:
            client.send_frame(ws.BINARY, one)
        heard_bytes = 0
        while heard_bytes < 300 * 640:
            heard_bytes += client.receive()["n"]
    (calls,) = heard.values()
    assert b"".join(call.body for call in calls) == b"".join(frames)
    assert len(calls) < 100 and all(call.headers["content-type"] == "audio/pcm" for call in calls)
    assert int(calls[-1].headers["ce-sequence"]) == 300
    assert sum(int(call.headers.get("ce-joined", 1)) for call in calls) == 300


def test_a_stalled_backend_holds_its_client_and_nobody_else(begin):
    go_on = []

    def answer(call):
        if call.headers["ce-userid"] == "slow":
            until(lambda: go_on, "the test goes on")
        call.answer()

    node, backend = begin(answer, upstream={**IN_ORDER, "waiting_bytes": "64k", "timeout": "60s"},
                          config=FAST, **AUDIO)
    with connect(node, "/ws/transcribe", sub="slow") as slow, connect(node, "/ws/transcribe", sub="quick") as quick:
        slow.socket.settimeout(1)
        sent = 0
        with pytest.raises(TimeoutError):
            for n in range(100_000):
                slow.socket.sendall(ws.frame(ws.BINARY, bytes(1000)))
                sent += 1
        for n in range(20):
            quick.send_frame(ws.BINARY, b"x" * 100)
        until(lambda: sum(len(call.body) for call in backend.calls if call.headers["ce-userid"] == "quick") == 2000, "the quick one goes on")
        assert 64 < sent < 20_000
        go_on.append(True)
        until(lambda: sum(len(call.body) for call in backend.calls if call.headers["ce-userid"] == "slow") >= sent * 1000, "nothing is lost")


# --- bounded memory ---

def test_a_long_stream_to_a_slow_reader(begin):
    size, lines = 1000, 20_000

    def answer(call):
        call.begin("application/x-ndjson")
        for n in range(lines):
            call.chunk(json.dumps({"n": n, "x": "a" * size}) + "\n")
            call.sent = n
        call.finish()

    node, backend = begin(answer, upstream={"answer_bytes": "64m"})
    with connect(node, receive_buffer=8192) as client:
        before = node.resident_bytes()
        client.send_text("x")
        call, = backend.wait_for("message")

        def rests():
            seen = call.sent
            time.sleep(0.3)
            return call.sent == seen and seen > 10
        until(rests, "the backend is held back")
        assert call.sent < lines - 1, "TCP took it all"
        if SLOWDOWN == 1:  # sanitizers keep freed memory for a while
            assert node.resident_bytes() - before < 8 << 20
        for n in range(lines):
            assert client.receive()["n"] == n


def answer_in_lines(call):
    number = call.headers["ce-sequence"]
    call.answer(200, "".join(f"{number} {line} {'x' * 50_000}\n" for line in range(20)), "application/x-ndjson")


def answer_in_one(call):
    call.answer(200, (call.headers["ce-sequence"] + " 0 ").encode().ljust(1_000_000, b"x"), "application/octet-stream")


def receive_but_pings(client):
    while True:
        _, opcode, payload = client.receive_frame()
        if opcode != ws.PING:
            return opcode, payload
        client.send_frame(ws.PONG, payload)


@pytest.mark.parametrize("pause_s", [0, 2])
@pytest.mark.parametrize("answer, lines", [(answer_in_lines, 20), (answer_in_one, 1)])
def test_many_large_answers_at_once(begin, answer, lines, pause_s):
    """Together they are far more than the outbox may have. All of one client come at once."""
    calls = 32
    barrier = threading.Barrier(calls)

    def answer_together(call):
        barrier.wait(DEADLINE_S)
        answer(call)

    node, _ = begin(answer_together)
    with connect(node, receive_buffer=None if pause_s == 0 else 8192) as client, connect(node, sub="other") as other:
        for _ in range(calls):
            client.send_text("x")
        if pause_s:
            time.sleep(pause_s)
            other.send_frame(ws.PING, b"?")
            assert receive_but_pings(other)[0] == ws.PONG
        seen = {number: [] for number in range(1, calls + 1)}
        for _ in range(calls * lines):
            opcode, payload = receive_but_pings(client)
            assert opcode in (ws.TEXT, ws.BINARY), (opcode, payload)
            number, line, rest = payload.split(b" ", 2)
            assert rest.strip(b"x") == b""
            seen[int(number)].append(int(line))
    assert all(found == list(range(lines)) for found in seen.values())
    assert node.metric("carillon_slow_consumers_total") == 0


@pytest.mark.parametrize("code, reason", [(4002, 'why "so"\n\u00e9'), (1000, "x" * 123), (1000, ""), (None, "")])
@pytest.mark.parametrize("azure", [False, True])
def test_the_clients_close_reason_is_told(begin, code, reason, azure):
    def answer(call):
        call.answer(200, WebHook_Allowed_Origin="*") if call.method == "OPTIONS" else call.answer(204)

    node, backend = begin(answer, upstream={"events": ["disconnected"], **({"dialect": "azure"} if azure else {})})
    with connect(node) as client:
        client.send_frame(ws.CLOSE, code.to_bytes(2, "big") + reason.encode() if code else b"")
        client.expect_close(code)
    told, = backend.wait_for("azure.webpubsub.sys.disconnected" if azure else "disconnected")
    assert told.json() == ({} if azure else {"code": code or 0}) | {"reason": reason}


# --- the backend is asked first ---

ASKS = {"connect": {"on_failure": "refuse"}, "claims": ["role"]}


def refusal(node, **options):
    with pytest.raises(ws.Refused) as refused:
        connect(node, **options)
    return refused.value.response


def test_connect_and_what_its_answer_changes(begin):
    def answer(call):
        if call.type == "connect":
            call.answer(200, {"user": "bob", "claims": {"role": "admin"}, "subscribe": ["news"], "subprotocol": "frames-v2",
                              "state": {"visits": 3}})
        else:
            call.answer(200, {"user": call.headers["ce-userid"], "claims": call.decoded("ce-claims"),
                              "state": call.decoded("ce-connectionstate")})

    node, backend = begin(answer, upstream=ASKS, path="/chat/{id}", query=["trace"], headers=["x-app"], deliver="data",
                          subprotocols=["frames-v1", "frames-v2"])
    headers = [("Sec-WebSocket-Protocol", f"frames-v1, frames-v2, {jwt.mint('ann', role='guest')}"), ("X-App", "a")]
    with node.client(path="/chat/t1?trace=7", headers=headers) as client:
        assert client.headers["sec-websocket-protocol"] == "frames-v2"
        until(lambda: node.metric("carillon_subscriptions") == 1, "the channel of the answer")
        node.publish("news", {"n": 1})
        assert client.receive() == {"n": 1}
        client.send_text("x")
        assert client.receive() == {"user": "bob", "claims": {"role": "admin"}, "state": {"visits": 3}}
    call, = backend.of_type("connect")
    asked = call.json()
    session = backend.of_type("message")[0].headers["ce-sessionid"]
    assert asked == {"session_id": session, "user": "ann", "claims": {"role": "guest"}, "endpoint": "/chat/{id}", "path": {"id": "t1"},
                     "query": {"trace": "7"}, "headers": {"x-app": "a"}, "subprotocols": ["frames-v1", "frames-v2"],
                     "address": "127.0.0.1"}
    assert call.headers["ce-id"] == f"{session}.connect" and is_signed(call)


class Decides:
    """A backend whose answer to connect can be changed. It echoes the user and the claims of a binary message."""

    def __init__(self, **answer):
        self.answer = answer

    def __call__(self, call):
        if call.type == "connect":
            call.answer(200, self.answer)
        else:
            call.answer(200, {"user": call.headers["ce-userid"], "claims": call.decoded("ce-claims")})


CHANNELS = [{"match": "user:{sub}", "allow": ["subscribe"]}, {"match": "role:{role}", "allow": ["subscribe"]},
            {"match": "g:*", "require": "grant", "allow": ["subscribe"]}]


def begin_commands(begin, decides, **members):
    return begin(decides, upstream=ASKS, config={"channels": CHANNELS, "revocation.ttl": "1h"}, path="/c", text="commands",
                 binary="upstream", frames=["session_init", "subscribed", "warning", "error", "pong"], **members)


def asked_as(client):
    client.send_frame(ws.BINARY, b"x")
    return client.receive()


def has(client, channel):
    client.send("subscribe", id=channel, channel=channel)
    return client.receive()["type"] == "subscribed"


def revoke(node, **what):
    soon = {"issued_before": int(time.time()) + 5} if "user" in what else {}
    assert node.api("POST", "/api/v1/revoke", {**what, **soon}).status == 200


def test_refresh_keeps_what_connect_decided(begin):
    """A client must not get rid of the backend's decision by sending its own token again."""
    ends_at = int(time.time()) + 300
    node, _ = begin_commands(begin, Decides(claims={"role": "guest", "channels": []}, expires_at=ends_at))
    token = jwt.mint("eve", role="admin", channels=["g:*"])
    with node.client(token, path="/c") as client:
        ends = client.expect("session_init")["data"]["expires_at"]
        for again in (token, jwt.mint("eve", role="admin", channels=["g:*"], exp=ends_at + 900)):
            assert not has(client, "role:admin") and not has(client, "g:7")
            assert client.ask("refresh", "refreshed", token=again)["data"]["expires_at"] == ends
        assert not has(client, "role:admin") and not has(client, "g:7")
        assert has(client, "role:guest")
        assert asked_as(client) == {"user": "eve", "claims": {"role": "guest"}}
        shorter = client.ask("refresh", "refreshed", token=jwt.mint("eve", exp=ends_at - 100))["data"]["expires_at"]
        assert shorter < ends
        assert client.ask("refresh", "refreshed", token=token)["data"]["expires_at"] == ends


def test_refresh_of_a_session_that_a_ticket_opened(begin):
    decides = Decides(user="zoe", claims={"role": "guest"})
    node, _ = begin(decides, upstream=ASKS, path="/c", text="commands", binary="upstream", ticket_query=["ticket"],
                    frames=["session_init", "subscribed", "error"],
                    config={"channels": CHANNELS, "tickets": {"path": "/tickets", "use": "once"}})
    made = node.api("POST", "/api/v1/tickets", {"user": "ada", "claims": {"role": "admin"}})
    with node.client(path=f"/c?ticket={made.json['ticket']}") as client:
        assert client.expect("session_init")["data"]["user"] == "zoe"
        client.error("refresh", "conflict", token=jwt.mint("zoe"))
        client.ask("refresh", "refreshed", token=jwt.mint("ada", role="admin"))
        assert not has(client, "role:admin") and has(client, "role:guest")
        revoke(node, user="ada")
        client.expect_close(1008, "token_revoked")


def test_refresh_of_a_session_with_another_user(begin):
    node, _ = begin_commands(begin, Decides(user="zoe", claims={"role": "boss", "channels": ["g:1"]}))
    with node.client(jwt.mint("ada", role="low"), path="/c") as client:
        assert client.expect("session_init")["data"]["user"] == "zoe"
        assert has(client, "g:1")
        for _ in range(2):
            client.error("refresh", "conflict", token=jwt.mint("zoe"))
            client.ask("refresh", "refreshed", token=jwt.mint("ada", role="low"))
        assert asked_as(client) == {"user": "zoe", "claims": {"role": "boss"}}
        assert has(client, "user:zoe") and has(client, "role:boss")
        assert not has(client, "user:ada") and not has(client, "role:low")


@pytest.mark.parametrize("revoked", [{"user": "ada"}, {"user": "zoe"}, {"jti": "j-1"}, {"jti": "j-2"}])
def test_revoking_the_user_of_the_token_or_of_the_session(begin, revoked):
    node, _ = begin_commands(begin, Decides(user="zoe", claims={"jti": "j-2"}))
    with node.client(jwt.mint("ada", jti="j-1"), path="/c") as client:
        client.expect("session_init")
        revoke(node, **revoked)
        client.expect_close(1008, "token_revoked")


def test_revoking_after_a_refresh(begin):
    node, _ = begin_commands(begin, Decides(user="zoe"))
    with node.client(jwt.mint("ada", jti="old"), path="/c") as client:
        client.expect("session_init")
        client.ask("refresh", "refreshed", token=jwt.mint("ada", jti="new"))
        revoke(node, jti="old")
        revoke(node, user="bea")
        client.nothing_before_pong()
        revoke(node, jti="new")
        client.expect_close(1008, "token_revoked")


@pytest.mark.parametrize("token_expiry", ["close", "connect"])
def test_the_end_of_a_session_that_connect_has_set(begin, token_expiry):
    node, _ = begin_commands(begin, Decides(expires_at=time.time() + 2), token_expiry=token_expiry)
    token = jwt.mint("ada")
    with node.client(token, path="/c") as client:
        client.expect("session_init")
        assert "the backend ends this session" in client.expect("warning")["data"]["message"]
        client.send("refresh", token=token)
        client.expect("refreshed")
        client.expect_close(1008, "token_expired")


def test_connect_with_an_end_that_is_over(begin):
    node, _ = begin_commands(begin, Decides(expires_at=time.time() - 1))
    with pytest.raises(ws.Refused) as refused:
        node.client(jwt.mint("ada"), path="/c")
    assert refused.value.response.status == 401 and b"token_expired" in refused.value.response.body


def test_a_token_opens_one_connection_whatever_connect_changes(begin):
    decides = Decides(user="zoe", claims={"jti": "first"}, expires_at=time.time() + 100)
    node, _ = begin_commands(begin, decides, token_single_use=True)
    token = jwt.mint("ada", jti="j-1")
    node.client(token, path="/c").close()
    decides.answer = {"claims": {"jti": "second"}, "expires_at": time.time() + 200}
    with pytest.raises(ws.Refused) as refused:
        node.client(token, path="/c")
    assert b"token_used" in refused.value.response.body


@pytest.mark.parametrize("status, seen", [(204, None), (401, 401), (403, 403), (429, 429), (503, 503), (500, 503), (404, 503)])
def test_how_connect_is_answered(begin, status, seen):
    node, _ = begin(lambda call: call.answer(status), upstream=ASKS)
    if seen is None:
        connect(node).close()
        return
    response = refusal(node)
    assert response.status == seen
    assert seen not in (429, 503) or int(response.headers["retry-after"]) >= 1


def test_connect_refuses_browsers_by_close(begin):
    node, _ = begin(lambda call: call.answer(500), upstream=ASKS)
    headers = [("Sec-WebSocket-Protocol", f"frames-v1, {jwt.mint('ann')}"), ("Origin", "https://example.com")]
    with node.client(path="/", headers=headers) as client:
        assert client.headers["sec-websocket-protocol"] == "frames-v1"
        with pytest.raises(ws.Closed) as closed:
            while True:
                client.receive()
    assert (closed.value.code, closed.value.reason) == (1013, "backend_unavailable")


@pytest.mark.parametrize("query", ["q=1&q=2", "q=%zz"])
def test_a_parameter_that_cannot_be_handed_on(begin, query):
    node, _ = begin(query=["q"])
    assert refusal(node, path=f"/?{query}").status == 400
    connect(node, "/?other=1&other=2&q=1").close()


def test_connect_without_an_answer_may_accept(launch):
    gone = Backend()
    gone.close()
    node = launch({"endpoints": [endpoint()], "upstreams": {"ai": {"url": gone.url, "connect": {"on_failure": "accept"}}}})
    connect(node).close()


def test_a_client_that_goes_while_the_backend_is_asked(begin):
    node, backend = begin(lambda call: (time.sleep(0.5), call.answer()), upstream=ASKS)
    client = socket.create_connection(node.public)
    client.sendall(ws.upgrade_request("/", [("Authorization", f"Bearer {jwt.mint('ann')}")]))
    backend.wait_for("connect")
    assert node.metric("carillon_upstream_requests_in_flight", upstream="ai") == 1
    client.close()
    until(lambda: node.metric("carillon_upstream_requests_in_flight", upstream="ai") == 0, "the question is taken back")
    connect(node).close()


def test_subscribe_is_asked(begin):
    def answer(call):
        call.answer(403 if call.type == "subscribe" and call.json()["channel"] == "secret" else 204)

    node, backend = begin(answer, upstream={"subscribe": {"on_failure": "refuse"}}, text="commands",
                          frames=["session_init", "subscribed", "error"])
    with connect(node) as client:
        client.find("session_init")
        client.send("subscribe", id=1, channel="news")
        client.expect("subscribed", id=1)
        client.send("subscribe", id=2, channel="secret")
        assert client.expect("error", id=2)["error"]["code"] == "forbidden"
        node.publish("news", 1)
        client.expect("test")
    assert [call.json()["channel"] for call in backend.of_type("subscribe")] == ["news", "secret"]


SUBSCRIBE_ANSWERS = [(204, None), (200, None), *((status, "forbidden") for status in (400, 401, 403, 404, 409, 413, 429)),
                     *((status, "unavailable") for status in (302, 500, 502))]


@pytest.mark.parametrize("status, code", SUBSCRIBE_ANSWERS)
def test_how_subscribe_is_answered(begin, status, code):
    node, _ = begin(lambda call: call.answer(status if call.type == "subscribe" else 204), text="commands",
                    upstream={"subscribe": {"on_failure": "refuse"}}, frames=["session_init", "subscribed", "error"])
    with connect(node) as client:
        client.find("session_init")
        client.send("subscribe", id=1, channel="news")
        if code is None:
            client.expect("subscribed", id=1)
            return
        error = client.expect("error", id=1)["error"]
        assert error["code"] == code and "channel" in error["message"]
    told = node.metric("carillon_upstream_failures_total")
    assert bool(told) == (code == "unavailable"), "a no is no failure"


# --- the dialect of Azure Web PubSub ---

AZURE = {"dialect": "azure", "hub": "chat", "connect": {"on_failure": "refuse"}, "events": ["connected", "disconnected"],
         "claims": ["role"], "secret": ["0123456789abcdef0123456789abcdef"]}


def test_azure(begin):
    def answer(call):
        if call.method == "OPTIONS":
            call.answer(200, WebHook_Allowed_Origin="carillon")
        elif call.type == "azure.webpubsub.sys.connect":
            call.answer(200, {"userId": "bob", "groups": ["news"], "subprotocol": "frames-v1", "roles": ["x"]}, ce_connectionState="e30=")
        elif call.type == "azure.webpubsub.user.message":
            call.answer(200, call.headers["ce-connectionstate"], "text/plain")
        else:
            call.answer()

    node, backend = begin(answer, upstream=AZURE, query=["q"], binary="upstream")
    with connect(node, "/?q=7", sub="ann", claims={"role": "admin"}) as client:
        client.send_text("{}")
        assert client.receive_text() == b"e30="
        client.send_frame(ws.BINARY, b"x")
        client.receive_text()
        until(lambda: node.metric("carillon_subscriptions") == 1, "the group")
    backend.wait_for("azure.webpubsub.sys.disconnected")
    asked, *calls = backend.calls
    assert asked.method == "OPTIONS" and asked.headers["webhook-request-origin"] == "carillon"
    assert [call.method for call in calls] == ["POST"] * 5
    connected = next(call for call in calls if call.type.endswith("connect"))
    assert connected.json() == {"claims": {"role": ["admin"]}, "query": {"q": ["7"]}, "headers": {}, "subprotocols": ["frames-v1"],
                                "clientCertificates": []}
    id = connected.headers["ce-connectionid"]
    signature = "sha256=" + hmac.new(b"0123456789abcdef0123456789abcdef", id.encode(), hashlib.sha256).hexdigest()
    for call in calls:
        expected = {"ce-specversion": "1.0", "ce-awpsversion": "1.0", "ce-hub": "chat", "ce-connectionid": id, "ce-signature": signature,
                    "ce-source": f"/hubs/chat/client/{id}", "ce-eventname": call.type.rpartition(".")[2],
                    "webhook-request-origin": "carillon"}
        assert {name: call.headers.get(name) for name in expected} == expected
    types = [call.headers["content-type"] for call in backend.of_type("azure.webpubsub.user.message")]
    assert types == ["text/plain; charset=utf-8", "application/octet-stream"]
    assert backend.of_type("azure.webpubsub.sys.connected")[0].json() == {}
    assert backend.of_type("azure.webpubsub.sys.disconnected")[0].json() == {"reason": ""}


@pytest.mark.parametrize("status, seen", [(400, 403), (401, 401), (403, 403), (404, 403), (422, 403), (429, 429), (500, None)])
def test_how_connect_is_answered_by_azure(begin, status, seen):
    def answer(call):
        if call.method == "OPTIONS":
            call.answer(200, WebHook_Allowed_Origin="*")
        else:
            call.answer(status)

    node, _ = begin(answer, upstream={**AZURE, "connect": {"on_failure": "accept"}, "events": []})
    if seen is None:
        connect(node).close()
    else:
        assert refusal(node).status == seen
        assert " failed after " not in node.log()


@pytest.mark.parametrize("on_failure, seen", [("accept", None), ("refuse", 503)])
def test_a_refused_options_is_no_decision(begin, on_failure, seen):
    node, _ = begin(lambda call: call.answer(405), upstream={**AZURE, "connect": {"on_failure": on_failure}, "events": []})
    if seen is None:
        connect(node).close()
    else:
        assert refusal(node).status == seen


@pytest.mark.parametrize("azure", [False, True])
def test_no_list_names_a_header_of_a_request_itself(begin, tmp_path, azure):
    """Whatever header a request has of its own is refused in `headers`: a backend would get it twice."""
    def answer(call):
        call.answer(200, WebHook_Allowed_Origin="*", **{"ce-connectionstate": "e30="})

    asks = {"connect": {"on_failure": "refuse"}, "events": ["connected", "disconnected"], "claims": ["role"]}
    node, backend = begin(answer, path="/x/{id}", query=["q"], binary="upstream",
                          upstream={**asks, **({"dialect": "azure"} if azure else {"subscribe": {"on_failure": "refuse"}})})
    with connect(node, "/x/1?q=7", claims={"role": "a"}) as client:
        for n in range(2):
            client.send_text(message(f"c-{n}"))
            client.send_frame(ws.BINARY, b"x")
            until(lambda n=n: len(backend.calls) >= 2 * n + 4, "the messages have come")
    backend.wait_for("azure.webpubsub.sys.disconnected" if azure else "disconnected")
    names = set().union(*(call.headers for call in backend.calls)) - {"accept"}  # a client's takes the place of it
    assert len(names) > 12 and "traceparent" in names
    for name in sorted(names | {"accept-encoding"}):
        path = tmp_path / "check.json"
        path.write_text(json.dumps({"token": {"secret": "0123456789abcdef0123456789abcdef"}, "upstreams": {"ai": {"url": "http://h/"}},
                                    "endpoints": [endpoint(headers=[name])]}))
        answer = run("check", "--config", path)
        assert answer.returncode != 0 and "expected the name of a header that may be handed on" in answer.stderr, name


def test_azure_must_allow_this_server(begin):
    node, backend = begin(lambda call: call.answer(200, WebHook_Allowed_Origin="other.example"), upstream=AZURE)
    assert refusal(node).status == 503
    assert {call.method for call in backend.calls} == {"OPTIONS"}


# --- answers of 100 MB ---

def send_whole(call):
    call.answer(200, bytes(100_000_000), "application/octet-stream")


def send_chunks(call, part):
    call.begin("text/plain")
    for _ in range(100):
        call.chunk(part)
    call.finish()


@pytest.mark.parametrize("answer", [send_whole, lambda call: send_chunks(call, b"a" * 1_000_000)], ids=["whole", "in chunks"])
def test_an_answer_of_100_mb(begin, answer):
    node, _ = begin(lambda call: answer(call) if b"large" in call.body else echo(call))
    with connect(node) as client:
        client.send_text(message("warm"))
        client.receive()
        before = node.resident_bytes()
        client.send_text(message("large"))
        assert client.receive()["error"]["code"] == "too_large"
        assert node.resident_bytes() - before < 8 << 20
        client.send_text(message("c-3"))
        assert client.receive()["payload"] == "ok"


@pytest.mark.parametrize("order", ["session", "none"])
def test_a_node_ends_while_messages_of_ended_sessions_wait(begin, order):
    hang = threading.Event()
    node, backend = begin(lambda call: hang.wait(2 * DEADLINE_S), upstream={"order": order, "events": ["disconnected"]},
                          config={"close_timeout": "100ms"})
    for _ in range(3):
        with connect(node) as client:
            for n in range(3):
                client.send_text(message(f"c-{n}"))
            client.close()
    until(lambda: len(backend.calls) >= 3, "calls are under way")
    assert node.terminate() == 0
    hang.set()


def test_many_headers_of_a_client(begin):
    names = [f"x-{n}" for n in range(70)]
    node, backend = begin(echo, headers=names)
    headers = [("Sec-WebSocket-Protocol", "frames-v1"), *((name, name) for name in names)]
    with node.client(jwt.mint("user-456"), path="/", headers=headers) as client:
        client.send_text(message("c-1"))
        assert client.receive()["payload"] == "ok"
    call, = backend.calls
    assert all(call.headers[name] == name for name in names)
    assert call.type == "message" and call.headers["content-type"] == "application/json" and is_signed(call)
