"""Clients behind an endpoint whose messages go to a backend by WebSocket, one connection a session."""
import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time

import pytest
import websockets
from support import jwt, ws
from support.tls import Certificate
from support.wait import DEADLINE_S, until
from support.ws_backend import WsBackend

SECRET = "whsec_" + base64.b64encode(b"a secret of the tests, 32 bytes!").decode()
ERROR = {"id": "{id}", "error": {"code": "{code}", "message": "{message}"}}


def endpoint(**members):
    return {"path": "/asr/{room}", "subprotocols": ["asr-v1"], "text": "upstream", "binary": "upstream", "upstream": "stt", "frames": [],
            "correlation": {"id": "/id", "error": ERROR}, "rate": {"counts": []}, **members}


@pytest.fixture(params=["plain", "tls"])
def secured(request, certificate):
    """The certificate of the backend; None: it does not speak TLS."""
    return certificate if request.param == "tls" else None


@pytest.fixture
def begin(launch):
    """begin(serve, upstream={...}, **endpoint) -> node, backend."""
    backends = []

    def start(serve=lambda connection: connection.accept().echo(), upstream=None, config=None, tls=None, trusted=None, url=None,
              receive_buffer=None, **members):
        backend = WsBackend(serve, certificate=tls, receive_buffer=receive_buffer)
        backends.append(backend)
        ca = {"tls_ca": str((trusted or tls).certificate)} if tls else {}
        node = launch({"endpoints": [{"path": "/ws"}, endpoint(**members)],
                       "upstreams": {"stt": {"url": url or backend.url, **ca, **(upstream or {})}}, **(config or {})})
        return node, backend

    yield start
    for backend in backends:
        backend.close()


def connect(node, sub="user-456", path="/asr/kitchen", claims=None, **options):
    return node.client(jwt.mint(sub, **(claims or {})), path=path, headers=[("Sec-WebSocket-Protocol", "asr-v1")], **options)


def data(client):
    """The next text or binary message as (opcode, payload). Pings are answered."""
    while True:
        fin, opcode, payload = client.receive_frame()
        if opcode != ws.PING:
            return opcode, payload
        client.send_frame(ws.PONG, payload)


def requests(node, outcome):
    return node.metric("carillon_upstream_requests_total", upstream="stt", outcome=outcome)


def decoded(value):
    return json.loads(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)))


def test_frames_go_both_ways_as_they_are(begin, secured):
    node, backend = begin(tls=secured)
    with connect(node) as client:
        for opcode, payload in [(ws.TEXT, "grüße".encode()), (ws.BINARY, bytes(range(256)) * 200), (ws.TEXT, b""), (ws.BINARY, b"")]:
            client.send_frame(opcode, payload)
            assert data(client) == (opcode, payload)
        client.send_frame(ws.CLOSE, b"\x10\x68bye")
        client.expect_close(4200)
    ended, = backend.wait_for_ends()
    assert ended.code == 4200
    assert requests(node, "upgraded") == 1
    assert node.metric("carillon_upstream_request_duration_seconds_count", upstream="stt") == 1
    assert node.metric("carillon_upstream_sent_bytes_total", upstream="stt") == 7 + 256 * 200
    assert node.metric("carillon_upstream_received_bytes_total", upstream="stt") == 7 + 256 * 200
    until(lambda: node.metric("carillon_upstream_connections", upstream="stt") == 0, "the connection is closed")


def test_what_the_upgrade_request_tells(begin):
    node, backend = begin(lambda one: one.accept("asr-v1").echo(), upstream={"claims": ["role"], "secret": [SECRET]}, query=["lang"],
                          headers=["x-app"])
    token = jwt.mint("Jürgen", role="admin", password="x")
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with node.client(path="/asr/k%C3%BCche?lang=d%2Fe&other=1", headers=[
            ("Sec-WebSocket-Protocol", f"asr-v1, {token}"), ("X-App", "a b"), ("Cookie", "c=1"), ("traceparent", trace)]) as client:
        client.send_text("x")
        assert data(client) == (ws.TEXT, b"x")
    one, = backend.connections
    session = one.headers["ce-sessionid"]
    expected = {"host": f"127.0.0.1:{backend.port}", "ce-specversion": "1.0", "ce-type": "carillon.connected",
                "ce-id": f"{session}.connected", "ce-userid": "J%C3%BCrgen", "ce-endpoint": "/asr/{room}", "ce-subprotocol": "asr-v1",
                "sec-websocket-protocol": "asr-v1", "x-app": "a b", "traceparent": trace, "webhook-id": f"{session}.connected"}
    assert {name: one.headers.get(name) for name in expected} == expected and one.path == "/asr?model=small"
    assert decoded(one.headers["ce-claims"]) == {"role": "admin"}
    assert decoded(one.headers["ce-query"]) == {"lang": "d/e"} and decoded(one.headers["ce-path"]) == {"room": "küche"}
    text = f"{one.headers['webhook-id']}.{one.headers['webhook-timestamp']}.".encode()
    signature = base64.b64encode(hmac.new(base64.b64decode(SECRET[6:]), text, hashlib.sha256).digest()).decode()
    assert one.headers["webhook-signature"] == f"v1,{signature}"
    assert not {"authorization", "cookie", "sec-websocket-extensions"} & one.headers.keys() and token not in str(one.headers)


def test_the_backend_may_speak_first_and_messages_wait_for_it(begin, secured):
    go = threading.Event()

    def serve(one):
        go.wait(DEADLINE_S)
        one.accept(extra=ws.frame(ws.TEXT, b"welcome", masked=False))
        return one.echo()

    node, _ = begin(serve, tls=secured)
    with connect(node) as client:
        for i in range(50):
            client.send_text(f"{i}")
        go.set()
        assert client.receive_text() == b"welcome"
        assert [client.receive_text() for _ in range(50)] == [b"%d" % i for i in range(50)]


def test_fragments_and_pings_of_the_backend(begin):
    pongs = []

    def serve(one):
        one.accept()
        one.send(ws.TEXT, b"one ", fin=False)
        one.send(ws.PING, b"are you there?")
        one.send(ws.CONTINUATION, b"two")
        pongs.append(one.receive())
        one.send(ws.TEXT, b"done")
        return one.echo()

    node, _ = begin(serve)
    with connect(node) as client:
        assert client.receive_text() == b"one two" and client.receive_text() == b"done"
    assert pongs == [(ws.PONG, b"are you there?")]


@pytest.mark.parametrize("sent, got, reason", [(1000, 1000, "done"), (1001, 1001, "done"), (4711, 4711, "done"), (1013, 1013, "done"),
                                               (None, 1011, ""), (3000, 3000, "")])
def test_the_backends_close_code_goes_to_the_client(begin, sent, got, reason):
    node, backend = begin(lambda one: one.accept().close(sent, reason) or one.receive())
    with connect(node) as client:
        client.expect_close(got, reason)
    ended, = backend.wait_for_ends()
    assert ended.code == (sent or 1005)


def test_the_clients_close_reason_goes_to_the_backend(begin):
    node, backend = begin(lambda one: one.accept().echo())
    with connect(node) as client:
        client.send_text("x")
        client.receive_text()
        client.send_frame(ws.CLOSE, (4002).to_bytes(2, "big") + "w\u00e9".encode())
    ended, = backend.wait_for_ends()
    assert (ended.code, ended.reason) == (4002, "w\u00e9")


def test_a_lost_connection_closes_with_1011(begin, secured):
    node, _ = begin(lambda one: one.accept().receive() and one.reset(), tls=secured)
    with connect(node) as client:
        client.send_text("x")
        client.expect_close(1011)
    node.logged("upstream.*the connection of session .* has failed")


def test_the_end_of_the_session_closes_the_backends_connection(begin):
    node, backend = begin()
    client = connect(node)
    client.send_text("x")
    client.receive_text()
    client.socket.close()
    ended, = backend.wait_for_ends()
    assert ended.code == 1001


def test_messages_of_a_client_that_left_at_once_still_arrive(begin):
    got = []

    def serve(one):
        time.sleep(0.3)
        one.accept()
        while True:
            got.append(one.receive())

    node, backend = begin(serve)
    with connect(node) as client:
        client.send_text("last words")
        client.send_frame(ws.CLOSE, b"\x03\xe8")
        client.expect_close(1000)
    ended, = backend.wait_for_ends()
    assert got == [(ws.TEXT, b"last words")] and ended.code == 1000


# --- connections that cannot be opened ---

FAILURES = {
    "refused": (None, "unavailable", "refused", 1013),
    "dns": (None, "unavailable", "dns", 1013),
    "hangs": (lambda one: one.read_request() and one.socket.recv(1), "unavailable", "timeout", 1013),
    "closes": (lambda one: one.read_request() and None, "unavailable", "reset", 1013),
    "401": (lambda one: one.refuse(401), "unauthorized", "4xx", 1011),
    "403": (lambda one: one.refuse(403), "forbidden", "4xx", 1011),
    "404": (lambda one: one.refuse(404), "not_found", "4xx", 1011),
    "500": (lambda one: one.refuse(500), "internal_error", "5xx", 1011),
    "503": (lambda one: one.refuse(503), "unavailable", "5xx", 1013),
    "200": (lambda one: one.refuse(200), "internal_error", "2xx", 1011),
    "wrong accept": (lambda one: one.accept(key="s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "internal_error", "invalid", 1011),
    "wrong protocol": (lambda one: one.accept(protocol="other"), "internal_error", "invalid", 1011),
    "no http": (lambda one: one.read_request() and one.socket.sendall(b"220 mail.example ESMTP\r\n\r\n"), "internal_error", "invalid", 1011),
}


@pytest.mark.parametrize("on_failure", ["answer", "close"])
@pytest.mark.parametrize("case", FAILURES)
def test_a_connection_that_cannot_be_opened(begin, case, on_failure):
    serve, code, outcome, close = FAILURES[case]
    url = {"refused": "ws://127.0.0.1:1/x", "dns": "ws://no-such-host.invalid/x"}.get(case)
    node, _ = begin(serve, url=url, upstream={"timeout": "500ms" if case == "hangs" else "10s", "on_failure": on_failure})
    with connect(node) as client:
        client.send_text('{"id":"m-1"}')
        if on_failure == "close":
            client.expect_close(close)
        else:
            for number in (2, 3):  # and the next message tries again
                answer = client.receive()
                assert answer["id"] == f"m-{number - 1}" and answer["error"]["code"] == code, answer
                client.send_text(json.dumps({"id": f"m-{number}"}))
    assert requests(node, outcome) >= 1
    node.logged("stt: no connection for session ")


@pytest.mark.parametrize("case", ["not trusted", "other host", "no tls", "tls against plain"])
def test_tls_that_is_not_right(begin, tmp_path, case, certificate):
    other = Certificate(tmp_path, "other")
    named = Certificate(tmp_path, "named", "DNS:backend.example")
    speaks = {"not trusted": certificate, "other host": named, "no tls": None, "tls against plain": certificate}[case]
    with_ca = {"tls_ca": str((other if case == "not trusted" else speaks or other).certificate)}
    backend = WsBackend(lambda one: one.socket.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n") if case == "no tls" else one.accept().echo(),
                        certificate=speaks)
    try:
        scheme = "ws" if case == "tls against plain" else "wss"
        node, _ = begin(url=f"{scheme}://127.0.0.1:{backend.port}/", upstream=with_ca)
        with connect(node) as client:
            client.send_text('{"id":1}')
            assert client.receive() == {"id": 1, "error": {"code": "unavailable", "message": {
                "tls against plain": "the backend has broken off the connection"}.get(case, "the backend cannot be reached")}}
        assert requests(node, "reset" if case == "tls against plain" else "tls") >= 1
    finally:
        backend.close()


def test_a_backend_that_comes_back_is_used_again(begin):
    node, backend = begin(lambda one: one.refuse(503))
    with connect(node) as client:
        client.send_text('{"id":1}')
        assert client.receive()["error"]["code"] == "unavailable"
        backend.serve = lambda one: one.accept().echo()
        client.send_text("now")
        assert client.receive_text() == b"now"


def test_an_open_session_signs_by_a_new_secret(begin):
    node, backend = begin(lambda one: one.refuse(503), upstream={"secret": ["0123456789abcdef"]})
    asked = []

    def serve(one):
        asked.append(one.accept().headers)
        return one.echo()

    with connect(node) as client:
        client.send_text('{"id":1}')
        assert client.receive()["error"]["code"] == "unavailable"
        backend.serve = serve
        node.reload({"endpoints": [endpoint()], "upstreams": {"stt": {"url": backend.url, "secret": ["fedcba9876543210"]}}})
        client.send_text("now")
        assert client.receive_text() == b"now"
    text = f"{asked[0]['webhook-id']}.{asked[0]['webhook-timestamp']}.".encode()
    assert asked[0]["webhook-signature"] == "v1," + base64.b64encode(hmac.digest(b"fedcba9876543210", text, "sha256")).decode()


def test_the_breaker(begin):
    node, backend = begin(lambda one: one.refuse(503), upstream={"breaker": {"failures": 2, "pause": "3s"}})
    with connect(node) as client:
        for i in range(6):
            client.send_text(json.dumps({"id": i}))
            assert client.receive()["error"]["code"] == "unavailable"
        assert requests(node, "breaker_open") >= 2 and len(backend.connections) <= 4
        backend.serve = lambda one: one.accept().echo()

        def is_tried_again():
            client.send_text('{"id":"again"}')
            return client.receive() == {"id": "again"}

        until(is_tried_again, "the pause is over")


def test_in_flight_bounds_the_connections_of_a_node(begin):
    node, _ = begin(upstream={"in_flight": 2})
    with connect(node) as one, connect(node) as two:
        for client in (one, two):
            client.send_text("x")
            client.receive_text()
        with connect(node) as three:
            three.send_text('{"id":3}')
            assert three.receive()["error"]["code"] == "unavailable"
        assert requests(node, "too_many") >= 1
        one.send_frame(ws.CLOSE, b"\x03\xe8")
        until(lambda: node.metric("carillon_upstream_connections", upstream="stt") == 1, "one connection is closed")
        with connect(node) as four:
            four.send_text("x")
            assert four.receive_text() == b"x"


# --- misbehaving ---

def test_a_frame_over_frame_bytes_closes_both_with_1009(begin):
    def serve(one):
        one.accept()
        one.socket.sendall(ws.frame(ws.BINARY, b"", masked=False)[:1] + b"\x7f" + (100 << 20).to_bytes(8, "big"))
        try:
            for _ in range(1600):
                one.socket.sendall(bytes(65536))
        except OSError:
            pass
        return one.echo()

    node, backend = begin(serve, upstream={"frame_bytes": "64k"})
    before = node.resident_bytes()
    with connect(node) as client:
        client.expect_close(1009)
    assert node.resident_bytes() - before < 8 << 20
    node.logged("has failed")


@pytest.mark.parametrize("sent", [ws.frame(ws.TEXT, b"masked"), ws.frame(ws.TEXT, b"\xff", masked=False),
                                  ws.frame(ws.TEXT, b"x", masked=False, rsv=4), ws.frame(3, b"x", masked=False),
                                  ws.frame(ws.CLOSE, b"\x00", masked=False)],
                         ids=["masked", "not UTF-8", "reserved bit", "unknown opcode", "bad close"])
def test_a_backend_that_breaks_the_protocol(begin, sent):
    node, backend = begin(lambda one: one.accept(extra=sent).echo())
    with connect(node) as client:
        client.expect_close(1011)
    ended, = backend.wait_for_ends()
    assert ended.code in (1002, 1007)


def test_a_silent_backend_gets_pings_and_is_left(begin):
    pings = []

    def serve(one):
        one.accept()
        while True:
            pings.append(one.receive())

    node, _ = begin(serve, upstream={"timeout": "300ms"})
    started = time.monotonic()
    with connect(node) as client:
        client.expect_close(1011)
    assert time.monotonic() - started > 0.5
    assert pings == [(ws.PING, b"")]
    node.logged("has not answered a ping")


def test_a_backend_that_answers_pings_is_kept(begin):
    pings = []

    def serve(one):
        one.accept()
        while len(pings) < 2:
            opcode, payload = one.receive()
            pings.append(opcode)
            one.send(ws.PONG, payload)
        one.send(ws.TEXT, "still here")
        return one.echo()

    node, _ = begin(serve, upstream={"timeout": "2s"})
    with connect(node) as client:
        assert client.receive_text() == b"still here"


# --- back-pressure ---

def test_a_slow_backend_stops_the_reading_of_its_client_alone(begin):
    go = threading.Event()
    got = {}

    def serve(one):
        one.accept()
        name = one.receive()[1]
        if name == b"slow":
            go.wait(DEADLINE_S)
        got[name] = []
        while True:
            frame = one.receive()
            got[name].append(frame[1])
            if name != b"slow":
                one.send(*frame)

    node, _ = begin(serve, upstream={"waiting_bytes": "64k"}, receive_buffer=32768)
    with connect(node) as slow, connect(node) as quick:
        slow.send_text("slow")
        quick.send_text("quick")
        sent = []

        def fill():
            for i in range(600):
                sent.append(bytes([i % 256]) * 30000)
                slow.send_frame(ws.BINARY, sent[-1])

        sender = threading.Thread(target=fill, daemon=True)
        sender.start()
        until(lambda: len(sent) and stable(lambda: len(sent)), "the sender stands still")
        stood = len(sent)
        assert stood < 500, "nothing has held the client back"
        for i in range(20):
            quick.send_text(f"{i}")
            assert quick.receive_text() == b"%d" % i
        assert node.resident_bytes() < 100 << 20
        go.set()
        sender.join(DEADLINE_S)
        until(lambda: len(got.get(b"slow", [])) == 600, "all has arrived")
        assert got[b"slow"] == sent


def stable(value, seconds=0.7):
    before = value()
    time.sleep(seconds)
    return value() == before


def test_a_slow_client_stops_the_reading_of_its_backend_alone(begin, secured):
    state = {"sent": 0}

    def serve(one):
        one.accept()
        if one.receive()[1] == b"flood":
            for i in range(1500):
                one.send(ws.BINARY, i.to_bytes(4, "big") * 4096)
                state["sent"] = i + 1
        return one.echo()

    node, backend = begin(serve, tls=secured, config={"outbox": {"max_bytes": "256k"}})
    with connect(node, receive_buffer=16384) as slow, connect(node) as quick:
        slow.send_text("flood")
        quick.send_text("x")
        until(lambda: state["sent"] and stable(lambda: state["sent"]), "the backend stands still")
        assert state["sent"] < 1300
        for i in range(20):
            quick.send_text(f"{i}")
            assert quick.receive_text() == b"%d" % i
        for i in range(1500):
            assert data(slow) == (ws.BINARY, i.to_bytes(4, "big") * 4096)


def test_frames_as_large_as_the_outbox_do_not_end_a_slow_client(begin):
    """Each of them alone fits, and two do not."""
    def serve(one):
        one.accept()
        for i in range(20):
            one.send(ws.TEXT, f"{i}")
            one.send(ws.BINARY, bytes([i]) * 250000)
        return one.echo()

    node, _ = begin(serve, config={"outbox": {"max_bytes": "256k"}})
    with connect(node, receive_buffer=16384) as client:
        time.sleep(0.5)
        for i in range(20):
            assert data(client) == (ws.TEXT, b"%d" % i)
            assert data(client) == (ws.BINARY, bytes([i]) * 250000)
    assert node.metric("carillon_slow_consumers_total") == 0


def test_many_small_frames_at_once_do_not_fill_the_outbox(begin):
    node, _ = begin(lambda one: one.accept(extra=b"".join(ws.frame(ws.TEXT, b"%d" % i, masked=False) for i in range(20000))).echo(),
                    config={"outbox": {"max_messages": 100}})
    with connect(node) as client:
        for i in range(20000):
            assert client.receive_text() == b"%d" % i


def test_twenty_sessions_with_500_frames_a_second_each(begin):
    """Both ways, in order, for three seconds."""
    node, _ = begin()
    failures = []

    def run(number):
        try:
            with connect(node, sub=f"user-{number}") as client:
                began = time.monotonic()
                read = 0
                for step in range(300):
                    client.send_raw(b"".join(ws.frame(ws.BINARY, b"%d:%d" % (number, step * 5 + i)) for i in range(5)))
                    while client.buffer or read < step * 5 - 500:
                        assert data(client)[1] == b"%d:%d" % (number, read)
                        read += 1
                    time.sleep(max(0, began + step / 100 - time.monotonic()))
                while read < 1500:
                    assert data(client)[1] == b"%d:%d" % (number, read)
                    read += 1
        except Exception as failure:  # noqa: BLE001
            failures.append((number, failure))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert not failures, failures[0]


# --- the node's own life ---

def test_a_node_that_stops_closes_the_backends_connections(begin):
    node, backend = begin(config={"close_timeout": "500ms"})
    clients = [connect(node) for _ in range(5)]
    for client in clients:
        client.send_text("x")
        client.receive_text()
    assert node.terminate() == 0
    assert {ended.code for ended in backend.wait_for_ends(5)} <= {1001, 1012}
    for client in clients:
        client.socket.close()


def test_a_node_stops_while_a_connection_hangs(begin):
    asked, over = threading.Event(), threading.Event()
    node, _ = begin(lambda one: one.read_request() and asked.set() or over.wait(DEADLINE_S), upstream={"timeout": "5m"},
                    config={"close_timeout": "500ms"})
    client = connect(node)
    client.send_text("x")
    assert asked.wait(DEADLINE_S)
    client.socket.close()
    assert node.terminate() == 0
    over.set()


def test_a_reload_keeps_the_open_connections(begin):
    node, backend = begin(upstream={"in_flight": 1})
    with connect(node) as client:
        client.send_text("x")
        client.receive_text()
        node.reload({**node.config, "upstreams": {"stt": {"url": backend.url, "in_flight": 1, "timeout": "9s"}}})
        client.send_text("y")
        assert client.receive_text() == b"y"
        with connect(node) as other:  # the connection still counts
            other.send_text('{"id":1}')
            assert other.receive()["error"]["code"] == "unavailable"


def test_the_library_websockets_as_the_backend(begin):
    """With compression offered by nobody, and its own pings."""
    ready, stop = threading.Event(), threading.Event()
    told = {}

    async def echo(connection, *_):
        async for text in connection:
            await connection.send(text)

    async def main():
        async with websockets.serve(echo, "127.0.0.1", 0, ping_interval=0.1, ping_timeout=60, subprotocols=["asr-v1"]) as server:
            told["port"] = server.sockets[0].getsockname()[1]
            ready.set()
            await asyncio.get_running_loop().run_in_executor(None, stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    ready.wait(DEADLINE_S)
    try:
        node, _ = begin(url=f"ws://localhost:{told['port']}/")
        with connect(node) as client:
            for i in range(5):
                client.send_text(f"text {i}")
                assert client.receive_text() == b"text %d" % i
                client.send_frame(ws.BINARY, bytes([i]) * 40000)
                assert data(client) == (ws.BINARY, bytes([i]) * 40000)
                time.sleep(0.1)
            client.send_frame(ws.CLOSE, b"\x03\xe8")
            client.expect_close(1000)
    finally:
        stop.set()
        thread.join(DEADLINE_S)


def test_a_reload_reads_another_authority_from_the_same_file(begin, tmp_path):
    right, wrong = Certificate(tmp_path, "right"), Certificate(tmp_path, "wrong")
    trusted = tmp_path / "authorities.pem"
    trusted.write_bytes(wrong.certificate.read_bytes())
    backend = WsBackend(lambda one: one.accept().echo(), certificate=right)
    try:
        node, _ = begin(url=backend.url, upstream={"tls_ca": str(trusted)})
        with connect(node) as client:
            client.send_text('{"id":1}')
            assert client.receive()["error"]["code"] == "unavailable"
        node.logged("the certificate is not trusted")
        trusted.write_bytes(right.certificate.read_bytes())
        node.reload(node.config)

        def echoes():
            with connect(node) as other:
                other.send_text('{"id":2}')
                return other.receive() == {"id": 2}

        until(echoes, "the backend is trusted")
    finally:
        backend.close()


def test_interim_answers_come_before_the_upgrade(begin):
    def serve(connection):
        connection.socket.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 100 Conti")
        time.sleep(0.1)
        connection.socket.sendall(b"nue\r\n\r\n")
        connection.accept(extra=ws.frame(ws.TEXT, b"first", masked=False))
        return connection.echo()

    node, _ = begin(serve)
    with connect(node) as client:
        client.send_text("hello")
        assert [data(client)[1] for _ in range(2)] == [b"first", b"hello"]


def test_interim_answers_without_end(begin):
    def serve(connection):
        connection.read_request()
        connection.socket.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000)
        connection.echo()

    node, _ = begin(serve)
    with connect(node) as client:
        client.send_text('{"id":1}')
        assert client.receive()["error"]["message"] == "the backend's answer is not valid"
