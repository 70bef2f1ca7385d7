"""listen, publish and healthcheck against servers that refuse, break off, answer nonsense or are not who they should be."""
import json
import re
import subprocess

import pytest
from support import jwt, ws
from support.carillon import BINARY, clean_environment, run
from support.scripted import Scripted
from support.wait import DEADLINE_S


def listen(server, *arguments, env=None, path="/ws", scheme="ws", **options):
    return run("listen", "--url", server.url(scheme, path, **options), *arguments, env=env)


def accepting(*steps):
    """A scene: the upgrade is accepted, one subscription taken, then each step done."""
    def scene(connection):
        connection.accept()
        _, payload = connection.receive()
        command = json.loads(payload)
        assert command["type"] == "subscribe"
        connection.text(json.dumps({"type": "subscribed", "id": command["id"], "channel": command["data"]["channel"], "data": {}}))
        for step in steps:
            step(connection)
    return scene


def refusing(status, code, message, *headers):
    return lambda connection: connection.refuse(status, code, message, *headers)


def event(n):
    return lambda connection: connection.event(n)


def closing(code, reason=""):
    return lambda connection: (connection.close(code, reason), connection.wait_end())


def hanging(connection):
    connection.wait_end()


# --- listen ---


def test_token_goes_into_the_header_only():
    heads = []

    def scene(connection):
        connection.accept()
        heads.append(connection.head)
        connection.event(1)
        connection.wait_end()

    token = jwt.mint()
    with Scripted(scene) as server:
        answer = listen(server, "--count", "1", "c", env={"CARILLON_TOKEN": token})
        assert answer.returncode == 0
        assert "connected to " + server.url("ws", "/ws") + " as user-456" in answer.stderr
        assert listen(server, "--count", "1", "--token", token, "c").returncode == 0
        assert listen(server, "--count", "1", "c", env={"CARILLON_TOKEN": "other"}, path="/ws?token=" + token).returncode == 0
    assert f"Authorization: Bearer {token}" in heads[0] and heads[0].startswith("GET /ws HTTP/1.1\r\n")
    assert f"Authorization: Bearer {token}" in heads[1]
    assert "Authorization" not in heads[2] and heads[2].startswith(f"GET /ws?token={token} ")


def test_query_is_never_shown():
    with Scripted(refusing(401, "unauthorized", "the token has expired")) as server:
        answer = listen(server, "c", path="/ws?token=secret")
        assert answer.returncode == 1
        assert "the token has expired" in answer.stderr and "secret" not in answer.stderr


@pytest.mark.parametrize("status", [400, 401, 403, 404, 301])
def test_refusals_that_stay(status):
    with Scripted(refusing(status, "some_code", "some words")) as server:
        answer = listen(server, "c")
        assert answer.returncode == 1 and "some words" in answer.stderr and str(status) in answer.stderr
        assert server.played == 1


@pytest.mark.parametrize("more", [b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"Content-Length: 100000\r\n\r\n{", b"\r\n"],
                         ids=["chunks", "cut off", "none"])
def test_refusals_without_words(more):
    """What counts then is the status."""
    def refuse(connection):
        connection.read_head()
        connection.send(b"HTTP/1.1 503 Because\r\n" + more)

    with Scripted(refuse, accepting(event(1), hanging)) as server:
        answer = listen(server, "--count", "1", "c")
        assert answer.returncode == 0
        assert "refused: the server answered with HTTP status 503; trying again in" in answer.stderr


def test_retry_after_is_honoured():
    with Scripted(refusing(503, "unavailable", "draining", "Retry-After: 1"), accepting(event(1), hanging)) as server:
        answer = listen(server, "--count", "1", "c")
        assert answer.returncode == 0
        assert re.search(r"draining .*; trying again in 1\.\d s", answer.stderr), answer.stderr


def test_reconnects_after_every_kind_of_end():
    scenes = [accepting(event(1), lambda c: None), accepting(event(2), closing(1001, "going_away")),
              accepting(event(3), closing(1013, "slow_consumer")), accepting(event(4), lambda c: c.send(b"\x83\x00")),
              lambda c: None, refusing(502, "x", "y"), accepting(event(5), hanging)]
    with Scripted(*scenes) as server:
        answer = listen(server, "--count", "5", "c")
        assert answer.returncode == 0, answer.stderr
        assert [json.loads(line)["data"] for line in answer.stdout.splitlines()] == [1, 2, 3, 4, 5]
        assert server.played == len(scenes)


def test_reconnect_notice_says_when():
    notice = json.dumps({"type": "reconnect", "data": {"reason": "draining", "after_ms": 1000}})
    with Scripted(accepting(lambda c: c.text(notice), closing(1012, "draining")), accepting(event(1), hanging)) as server:
        answer = listen(server, "--count", "1", "c")
        assert re.search(r"1012 draining; trying again in 1\.\d s", answer.stderr), answer.stderr


@pytest.mark.parametrize("code, reason", [(1008, "token_expired"), (1002, ""), (4001, "kicked"), (1013, "token_revoked")])
def test_closes_that_stay(code, reason):
    error = json.dumps({"type": "error", "error": {"code": "unauthorized", "message": "some words"}})
    with Scripted(accepting(lambda c: c.text(error), closing(code, reason))) as server:
        answer = listen(server, "c")
        assert answer.returncode == 1 and f"{code} {reason}".strip() in answer.stderr and "some words" in answer.stderr
        assert server.played == 1


def test_subscription_refused():
    def scene(connection):
        connection.accept()
        answers = {}
        for _ in range(2):
            command = json.loads(connection.receive()[1])
            answers[command["data"]["channel"]] = command["id"]
        connection.text(json.dumps({"type": "error", "id": answers["second"],
                                    "error": {"code": "unauthorized", "message": "no grant \x1b[31m", "channel": "second"}}))
        connection.wait_end()

    with Scripted(scene) as server:
        answer = listen(server, "first", "second")
        assert answer.returncode == 1
        assert "second" in answer.stderr and "no grant ?[31m" in answer.stderr


def history_scene(asked, told, *steps):
    """A scene on a channel with history: what the client asks for is kept in asked, told is the data of `subscribed`."""
    def scene(connection):
        connection.accept()
        command = json.loads(connection.receive()[1])
        asked.append(command["data"])
        connection.text(json.dumps({"type": "subscribed", "id": command["id"], "channel": "c", "data": told}))
        for step in steps:
            step(connection)
    return scene


def numbered(n):
    return lambda c: c.text(json.dumps({"type": "tick", "channel": "c", "id": f"id{n}", "offset": n, "data": n}))


def test_goes_on_where_it_was():
    """From the last event; from the position of `subscribed` where none came; not from one that a gap has ended."""
    asked = []
    gap = {"type": "gap", "channel": "c", "data": {"reason": "epoch_changed", "epoch": "e2", "offset": 0}}
    none = {"type": "gap", "channel": "c", "data": {"reason": "connection_lost"}}
    scenes = [history_scene(asked, {"epoch": "e1", "offset": 6, "id": "id6", "recovered": False}),
              history_scene(asked, {"epoch": "e1", "offset": 6, "recovered": True}, numbered(7), numbered(8)),
              history_scene(asked, {"epoch": "e1", "offset": 8, "recovered": True}, lambda c: c.text(json.dumps(gap))),
              history_scene(asked, {"epoch": "e2", "offset": 4, "recovered": False}, numbered(5), lambda c: c.text(json.dumps(none))),
              history_scene(asked, {}, numbered(6), hanging)]
    with Scripted(*scenes) as server:
        answer = listen(server, "--count", "4", "c")
        assert answer.returncode == 0, answer.stderr
    assert asked == [{"channel": "c"}, {"channel": "c", "since": {"epoch": "e1", "offset": 6, "id": "id6"}},
                     {"channel": "c", "since": {"epoch": "e1", "offset": 8, "id": "id8"}},
                     {"channel": "c", "since": {"epoch": "e2", "offset": 0}}, {"channel": "c"}]
    assert [json.loads(line)["data"] for line in answer.stdout.splitlines()] == [7, 8, 5, 6]
    told = [line for line in answer.stderr.splitlines() if "subscribed to c" in line]
    assert ["missed" in line for line in told] == [False, True, True, True, False], told
    assert "follows" in told[1] and "cannot be had" in told[3], told


def test_last():
    asked = []
    scenes = [history_scene(asked, {"epoch": "e1", "offset": 6, "recovered": False}, numbered(7)),
              history_scene(asked, {"epoch": "e1", "offset": 7, "recovered": True}, numbered(8), hanging)]
    with Scripted(*scenes) as server:
        assert listen(server, "--last", "3", "--count", "2", "c").returncode == 0
        assert listen(server, "--last", "some", "c").returncode == 2
    assert asked == [{"channel": "c", "last": 3}, {"channel": "c", "since": {"epoch": "e1", "offset": 7, "id": "id7"}}]


def test_no_reconnect():
    with Scripted(accepting(closing(1000))) as server:
        assert listen(server, "--no-reconnect", "c").returncode == 1
        assert server.played == 1


def test_one_line_an_event():
    spread = '{"type":"tick",\r\n "channel":"c","data":{\n"text":"a\\nb","n":12345678901234567890}}'
    parts = [(ws.TEXT, b'{"type":"tick","chan', False), (ws.PING, b"there?", True), (0, b'nel":"c","data":"\xc3', False),
             (0, b'\xa4"}', True)]

    def scene(connection):
        connection.accept(more=connection.frame(ws.TEXT, spread.encode()))
        connection.receive()
        for opcode, payload, fin in parts:
            connection.send(connection.frame(opcode, payload, fin))
        assert connection.receive() == (ws.PONG, b"there?")
        assert connection.receive() == (ws.CLOSE, b"\x03\xe8")

    with Scripted(scene) as server:
        answer = listen(server, "--count", "2", "c")
        first, second = answer.stdout.splitlines()
        assert "12345678901234567890" in first and json.loads(first)["data"]["text"] == "a\nb"
        assert json.loads(second)["data"] == "ä"


def test_reader_that_has_gone():
    """Like `carillon listen c | head -1`: it does not wait for another event to find out."""
    with Scripted(accepting(event(1), hanging)) as server:
        process = subprocess.Popen([BINARY, "listen", "--url", server.url("ws", "/ws"), "c"], stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, env=clean_environment())
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(DEADLINE_S) == 0


def test_not_a_websocket_server():
    with Scripted(lambda c: c.answer(200, b"hello")) as server:
        answer = listen(server, "c")
        assert answer.returncode == 1 and "200" in answer.stderr


# --- TLS ---


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    files = str(folder / "certificate.pem"), str(folder / "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-out",
                    files[0], "-keyout", files[1], "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                   check=True, capture_output=True)
    return files


def test_tls(certificate):
    with Scripted(accepting(event(1), hanging), certificate=certificate) as server:
        trusting = {"SSL_CERT_FILE": certificate[0]}
        answer = listen(server, "--count", "1", "c", scheme="wss", host="localhost", env=trusting)
        assert answer.returncode == 0, answer.stderr
        assert json.loads(answer.stdout)["data"] == 1
        for host, env in (("localhost", None), ("127.0.0.1", trusting)):
            answer = listen(server, "c", scheme="wss", host=host, env=env)
            assert answer.returncode == 1 and "certificate" in answer.stderr, (host, answer)


def test_tls_publish(certificate):
    with Scripted(lambda c: c.answer(200, b'{"id":"1"}'), certificate=certificate) as server:
        answer = run("publish", "--url", server.url("https", host="localhost"), "c", "t", "1", env={"SSL_CERT_FILE": certificate[0]})
        assert answer.stdout == '{"id":"1"}\n', answer


# --- publish and healthcheck ---


def test_publish_sends_what_it_was_given(tmp_path):
    sent = []

    def scene(connection):
        head = connection.answer(200, b'{"id":"1"}')
        sent.append((head, connection.buffer.decode()))

    key_file = tmp_path / "key"
    key_file.write_text("key-of-the-file\n")
    with Scripted(scene) as server:
        answer = run("publish", "--url", server.url("http", "/base/"), "--api-key-file", key_file, "--event-id", "e-1", 'a"b', "t",
                     '{"n": 12345678901234567890}')
        assert answer.returncode == 0 and answer.stdout == '{"id":"1"}\n', answer
    head, body = sent[0]
    assert head.startswith("POST /base/api/v1/publish HTTP/1.1\r\n")
    assert "\r\nAuthorization: Bearer key-of-the-file\r\n" in head
    assert '"data":{"n": 12345678901234567890}' in body
    assert {k: v for k, v in json.loads(body).items() if k != "data"} == {"channel": 'a"b', "type": "t", "event_id": "e-1"}


def test_publish_refused():
    with Scripted(refusing(400, "invalid_request", "data.level is wrong")) as server:
        answer = run("publish", "--url", server.url("http"), "c", "t", "1")
        assert answer.returncode == 1 and "data.level is wrong" in answer.stderr and not answer.stdout


def test_publish_refused_before_it_was_sent():
    """A body too large is refused on the request's head alone."""
    def scene(connection):
        connection.read_head()
        connection.send(b"HTTP/1.1 413 Because\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        connection.wait_end()

    with Scripted(scene) as server:
        answer = run("publish", "--url", server.url("http"), "c", "t", "-", given=json.dumps("x" * (15 << 20)))
        assert answer.returncode == 1 and "not published: the server answered with HTTP status 413" in answer.stderr


CLOSED, TOO_LARGE = "the server closed the connection", "the answer is over 16777216 bytes"


@pytest.mark.parametrize("raw, why", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", CLOSED),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nsho", ""),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n", TOO_LARGE),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", ""),
    (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 17_000_000, TOO_LARGE),
    (b"HTTP/1.1 200 OK\r\nServer: x\r\n", ""),
    (b"HTTP/1.1 200", ""),
    (b"SSH-2.0-something\r\n", "the answer does not begin with an HTTP/1.1 status line"),
    (b"", CLOSED),
], ids=["short", "chunk", "long", "longest", "endless", "half a head", "half a line", "other", "nothing"])
def test_bad_answers(raw, why):
    with Scripted(lambda c: (c.read_head(), c.send(raw))) as server:
        answer = run("healthcheck", "--url", server.url("http"))
        assert answer.returncode == 1 and not answer.stdout, answer
        assert f"no good answer from 127.0.0.1:{server.port}: {why}" in answer.stderr


@pytest.mark.parametrize("raw", [
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.0 200 OK\r\n\r\nok",
], ids=["chunks", "interim", "until the end"])
def test_good_answers(raw):
    with Scripted(lambda c: (c.read_head(), c.send(raw))) as server:
        answer = run("healthcheck", "--url", server.url("http"))
        assert answer.returncode == 0 and answer.stdout == "ok\n", answer


def test_redirects_and_proxies_are_not_followed():
    with Scripted(lambda c: c.answer(200, b"ok")) as other:
        with Scripted(lambda c: c.answer(302, b"", ("Location: " + other.url("http"),))) as server:
            answer = run("healthcheck", "--url", server.url("http"), env={"http_proxy": other.url("http"), "ALL_PROXY": other.url("http")})
            assert answer.returncode == 1 and "HTTP status 302" in answer.stderr
        assert other.played == 0


def test_no_connection():
    with Scripted(hanging) as server:
        pass
    for command, url in (("healthcheck", "http"), ("listen", "ws")):
        arguments = ("--no-reconnect", "c") if command == "listen" else ()
        answer = run(command, "--url", server.url(url), *arguments)
        assert answer.returncode == 1
        assert answer.stderr == f"carillon {command}: cannot connect to 127.0.0.1:{server.port}: Connection refused\n"


def test_healthcheck_times_out():
    with Scripted(hanging) as server:
        answer = run("healthcheck", "--timeout", "1", "--url", server.url("http"))
        assert answer.returncode == 1 and "in time" in answer.stderr


def test_healthcheck_prints_the_state():
    with Scripted(lambda c: c.answer(200, b'{"status":"ready"}'), lambda c: c.answer(503, b'{"status":"draining"}')) as server:
        ready = run("healthcheck", "--url", server.url("http"))
        assert ready.returncode == 0 and ready.stdout == '{"status":"ready"}\n'
        draining = run("healthcheck", "--url", server.url("http"))
        assert draining.returncode == 1 and "draining" in draining.stdout
