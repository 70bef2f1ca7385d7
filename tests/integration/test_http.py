"""HTTP/1.1 to the letter, on both listeners and by TLS: what RFC 9110 and RFC 9112 demand of a server."""
import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
from http.client import HTTPConnection
from pathlib import Path

import pytest
from support import http
from support.carillon import API_KEY
from support.tls import Certificate
from support.wait import DEADLINE_S, SLOWDOWN, TOOL_S, until

OK = "ok"  # 200 of /livez on the internal listener; 426 of /ws, which wants a WebSocket, on the public one
LINES = "".join(f"X-{i}: {i}\r\n" for i in range(100))

# name, request ({p}: a path that is there, {h}: "Host: x" and a line end), status. Bytes after an error are not read.
REQUESTS = [
    ("plain", "GET {p} HTTP/1.1\r\n{h}\r\n", OK),
    ("HTTP/1.0 without Host", "GET {p} HTTP/1.0\r\n\r\n", OK),
    ("HEAD", "HEAD {p} HTTP/1.1\r\n{h}\r\n", OK),
    # RFC 9112, 2.2: lines
    ("empty line before the request", "\r\nGET {p} HTTP/1.1\r\n{h}\r\n", OK),
    ("bare LF", "GET {p} HTTP/1.1\nHost: x\n\n", 400),
    ("bare LF in a header line", "GET {p} HTTP/1.1\r\n{h}X: a\nY: b\r\n\r\n", 400),
    ("bare CR", "GET {p} HTTP/1.1\r\n{h}X: a\rb\r\n\r\n", 400),
    ("NUL", "GET {p} HTTP/1.1\r\n{h}X: a\0b\r\n\r\n", 400),
    ("white space before the first header line", "GET {p} HTTP/1.1\r\n {h}\r\n", 400),
    # 2.3, 3: version, method, request line
    ("HTTP/2.0", "GET {p} HTTP/2.0\r\n{h}\r\n", 505),
    ("preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("version in small letters", "GET {p} http/1.1\r\n{h}\r\n", 400),
    ("HTTP/0.9", "GET {p}\r\n\r\n", 400),
    ("two spaces", "GET  {p} HTTP/1.1\r\n{h}\r\n", 400),
    ("no method", " {p} HTTP/1.1\r\n{h}\r\n", 400),
    # 3.2: targets
    ("absolute target", "GET http://other:80{p} HTTP/1.1\r\n{h}\r\n", OK),
    ("absolute target in capitals", "GET HTTPS://other{p}?a=b HTTP/1.1\r\n{h}\r\n", OK),
    ("absolute target without a path", "GET http://other HTTP/1.1\r\n{h}\r\n", 404),
    ("absolute target without Host", "GET http://other{p} HTTP/1.1\r\n\r\n", 400),
    ("absolute target with a user", "GET http://me@other{p} HTTP/1.1\r\n{h}\r\n", 400),
    ("target of CONNECT", "CONNECT other:443 HTTP/1.1\r\n{h}\r\n", 400),
    ("fragment", "GET {p}#x HTTP/1.1\r\n{h}\r\n", 400),
    ("malformed escape", "GET {p}%2 HTTP/1.1\r\n{h}\r\n", 400),
    ("escaped NUL", "GET {p}%00 HTTP/1.1\r\n{h}\r\n", 400),
    ("dots are not resolved", "GET /a/..{p} HTTP/1.1\r\n{h}\r\n", 404),
    # 3.2.2, RFC 9110, 7.2: Host
    ("no Host", "GET {p} HTTP/1.1\r\n\r\n", 400),
    ("two Hosts", "GET {p} HTTP/1.1\r\n{h}{h}\r\n", 400),
    ("bad Host", "GET {p} HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    ("empty Host", "GET {p} HTTP/1.1\r\nHost:\r\n\r\n", OK),
    # 5: header lines
    ("white space before a colon", "GET {p} HTTP/1.1\r\nHost : x\r\n\r\n", 400),
    ("continued line", "GET {p} HTTP/1.1\r\n{h}X: a\r\n b\r\n\r\n", 400),
    ("no colon", "GET {p} HTTP/1.1\r\n{h}nonsense\r\n\r\n", 400),
    ("no name", "GET {p} HTTP/1.1\r\n{h}: x\r\n\r\n", 400),
    ("white space around a value", "GET {p} HTTP/1.1\r\nhOST:\t x \t\r\n\r\n", OK),
    ("100 more lines", "GET {p} HTTP/1.1\r\n{h}" + LINES + "\r\n", OK),
    ("200 more lines", "GET {p} HTTP/1.1\r\n{h}" + LINES + LINES + "\r\n", 431),
    ("a long line", "GET {p} HTTP/1.1\r\n{h}X: " + "x" * 20000 + "\r\n\r\n", 431),
    ("a long target", "GET {p}?" + "x" * 20000 + " HTTP/1.1\r\n{h}\r\n", 414),
    # 6: bodies
    ("two lengths", "GET {p} HTTP/1.1\r\n{h}Content-Length: 0\r\nContent-Length: 0\r\n\r\n", 400),
    ("a list of lengths", "GET {p} HTTP/1.1\r\n{h}Content-Length: 0, 0\r\n\r\n", 400),
    ("negative length", "GET {p} HTTP/1.1\r\n{h}Content-Length: -1\r\n\r\n", 400),
    ("huge length", "GET {p} HTTP/1.1\r\n{h}Content-Length: 99999999999999999999\r\n\r\n", 400),
    ("length and chunks", "POST {p} HTTP/1.1\r\n{h}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("chunks in HTTP/1.0", "POST {p} HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("not chunked at the end", "POST {p} HTTP/1.1\r\n{h}Transfer-Encoding: chunked, gzip\r\n\r\n", 400),
    ("chunked twice", "POST {p} HTTP/1.1\r\n{h}Transfer-Encoding: chunked, chunked\r\n\r\n", 400),
    ("unknown coding alone", "POST {p} HTTP/1.1\r\n{h}Transfer-Encoding: xyz\r\n\r\n", 400),
]

NAMES = [name for name, _, _ in REQUESTS]


@pytest.fixture(scope="module")
def node(launch_for_module):
    return launch_for_module({"limits.head_bytes": "16k", "limits.head_timeout": "1m", "limits.http_keepalive": "1m"})


@pytest.fixture(scope="module")
def secure(launch_for_module, tmp_path_factory):
    certificate = Certificate(tmp_path_factory.mktemp("certificate"))
    node = launch_for_module({"limits.head_bytes": "16k", **certificate.options})
    return node, certificate.trusted()


def make(request, path):
    return request.replace("{p}", path).replace("{h}", "Host: x\r\n").encode("latin-1")


def exchange(address, sent, trusted=None):
    """Sends a request, then one that ends the connection. Returns the bytes that came."""
    with socket.create_connection(address, DEADLINE_S) as plain:
        connection = trusted.wrap_socket(plain, server_hostname="127.0.0.1") if trusted else plain
        try:
            connection.sendall(sent)
        except (ConnectionError, ssl.SSLError):
            pass  # refused before the end of it
        received = b""
        while True:
            try:
                chunk = connection.recv(65536)
            except (ConnectionError, ssl.SSLError):
                return received
            if not chunk:
                return received
            received += chunk


def check_answer(sent, received, status):
    assert re.match(rb"HTTP/1\.1 %d " % status, received), received[:300]
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")[1:]
    names = [line.split(b":")[0].lower() for line in lines]
    assert len(set(names)) == len(names), lines
    assert b"date" in names and b"content-length" in names, "RFC 9110, 6.6.1 and 8.6"
    if sent.startswith(b"HEAD"):
        assert not body.startswith(b"{")
    if status == 426:
        assert b"upgrade" in names, "RFC 9110, 15.5.22"


LAST = "GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("name, request_text, status", REQUESTS, ids=NAMES)
def test_internal(node, name, request_text, status):
    sent = make(request_text, "/livez")
    received = exchange(node.internal, sent + LAST.encode())
    status = 405 if status == OK and sent.startswith(b"POST") else status
    check_answer(sent, received, 200 if status == OK else status)
    answers = received.count(b"\r\nDate: ")
    goes_on = status in (OK, 404) and b"HTTP/1.0" not in sent
    assert answers == (2 if goes_on else 1), "what follows a request that cannot be read is not a request"


@pytest.mark.parametrize("name, request_text, status", REQUESTS, ids=NAMES)
def test_public(node, name, request_text, status):
    sent = make(request_text, "/ws")
    received = exchange(node.public, sent + LAST.encode())
    check_answer(sent, received, 426 if status == OK else status)
    assert received.count(b"\r\nDate: ") == 1 and b"onnection: " in received


@pytest.mark.parametrize("name, request_text, status", REQUESTS, ids=NAMES)
def test_tls(secure, name, request_text, status):
    node, trusted = secure
    sent = make(request_text, "/ws")
    check_answer(sent, exchange(node.public, sent + LAST.encode(), trusted), 426 if status == OK else status)


# --- bodies of the internal listener ---

EVENT = {"channel": "news", "type": "note", "data": 1}
CHUNKED = "POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nX-API-Key: " + API_KEY + "\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunks(text, size=7):
    parts = [text[i:i + size] for i in range(0, len(text), size)]
    return "".join(f"{len(part):x}\r\n{part}\r\n" for part in parts)


@pytest.mark.parametrize("body, status", [
    (chunks(json.dumps(EVENT)) + "0\r\n\r\n", 200),
    (chunks(json.dumps(EVENT)) + "0;last\r\nDigest: x\r\nContent-Length: 3\r\n\r\n", 200),
    ("00000031 ; a=\"b;c\"\r\n" + json.dumps(EVENT).ljust(49) + "\r\n000\r\n\r\n", 200),
    (chunks("[]") + "0\r\n\r\n", 400),
    ("0\r\n\r\n", 400),
    ("100001\r\n", 413),
    ("x\r\n", 400),
    ("5\nhello\n0\n\n", 400),
    ("5\r\nhello0\r\n\r\n", 400),
    ("1;" + "a" * 20000 + "\r\n", 413),
    ("0\r\n" + "X: y\r\n" * 5000, 413),
])
def test_chunks(node, body, status):
    answer = http.parse(http.raw(node.internal, (CHUNKED + body + LAST).encode()))
    assert answer.status == status, answer


def test_a_coding_that_is_not_known(node):
    sent = CHUNKED.replace("chunked", "gzip, chunked") + "0\r\n\r\n" + LAST
    assert http.parse(http.raw(node.internal, sent.encode())).status == 501


def test_a_chunked_body_has_a_limit_and_a_deadline(launch):
    node = launch({"api.max_body": "1k", "limits.body_timeout": "200ms"})
    answer = http.parse(http.raw(node.internal, (CHUNKED + chunks("x" * 1025)).encode()))
    assert answer.status == 413 and "size limit" in answer.json["error"]["message"], answer
    assert http.parse(http.raw(node.internal, (CHUNKED + "5\r\nhel").encode())).status == 408


def test_clients_that_send_chunks(node, tmp_path):
    """The standard library with a body of unknown length, curl from a pipe, Node's http module."""
    connection = http_client(node)
    for _ in range(3):  # on one connection
        connection.request("POST", "/api/v1/publish", iter([json.dumps(EVENT).encode()]), {"X-API-Key": API_KEY})
        answer = connection.getresponse()
        assert answer.status == 200 and "id" in json.load(answer)
    connection.close()
    url = "http://%s:%d/api/v1/publish" % node.internal
    curl = subprocess.run(["curl", "-s", "-X", "POST", "-T", "-", "-H", f"X-API-Key: {API_KEY}", "-H", "Expect: 100-continue", url],
                          input=json.dumps(EVENT), capture_output=True, text=True, timeout=TOOL_S)
    assert '"id"' in curl.stdout, curl
    if not shutil.which("node"):
        pytest.skip("there is no Node.js")
    script = tmp_path / "send.js"
    script.write_text("const [url, key, body] = process.argv.slice(2);"
                      "const r = require('http').request(url, {method: 'POST', headers: {'X-API-Key': key}},"
                      " answer => { answer.resume(); console.log(answer.statusCode); }); r.write(body.slice(0, 5)); r.end(body.slice(5))")
    sent = subprocess.run(["node", script, url, API_KEY, json.dumps(EVENT)], capture_output=True, text=True, timeout=TOOL_S)
    assert sent.stdout == "200\n", sent


def http_client(node):
    return HTTPConnection(*node.internal, timeout=DEADLINE_S)


def test_http_1_0_clients_are_told_that_the_connection_is_kept(node):
    with socket.create_connection(node.internal, DEADLINE_S) as connection:
        for _ in range(3):
            connection.sendall(b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            received = b""
            while b"}\n" not in received:
                received += connection.recv(65536)
            assert b"\r\nConnection: keep-alive\r\n" in received
    assert b"\r\nConnection: close\r\n" in http.raw(node.internal, b"GET /livez HTTP/1.0\r\n\r\n")
    if shutil.which("ab"):
        url = "http://%s:%d/readyz" % node.internal
        ab = subprocess.run(["ab", "-q", "-k", "-n", "40", "-c", "2", url], capture_output=True, text=True, timeout=TOOL_S)
        assert re.search(r"Keep-Alive requests: +40\n", ab.stdout), ab


def test_options_of_the_whole_server(node):
    answer = http.parse(http.raw(node.internal, b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
    assert answer.status == 200 and "POST" in answer.headers["allow"] and answer.headers["content-length"] == "0", answer


@pytest.mark.parametrize("method, path, allow", [("GET", "/api/v1/publish", "POST"), ("DELETE", "/metrics", "GET, HEAD"),
                                                 ("OPTIONS", "/livez", "GET, HEAD")])
def test_a_wrong_method_is_told_the_right_one(node, method, path, allow):
    answer = node.api(method, path)
    assert (answer.status, answer.headers["allow"]) == (405, allow)


# --- what a body costs ---


@pytest.mark.parametrize("lines", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("method, path, key, status", [
    ("POST", "/api/v1/publish", "wrong", b"401"), ("POST", "/api/v1/publish", "", b"401"), ("POST", "/nowhere", API_KEY, b"404"),
    ("PUT", "/api/v1/publish", API_KEY, b"405"), ("GET", "/livez", API_KEY, b"400"), ("GET", "/api/v1/info", "", b"401"),
])
def test_the_key_is_looked_at_before_the_body(node, lines, method, path, key, status):
    """The answer comes while the body is still to come, in place of 100 Continue too."""
    for expect in ("", "Expect: 100-continue\r\n"):
        with socket.create_connection(node.internal, DEADLINE_S) as connection:
            connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n{expect}{lines}\r\n\r\n".encode())
            received = b""
            while b"}\n" not in received:
                chunk = connection.recv(65536)
                assert chunk, received
                received += chunk
            assert received.split(b" ")[1] == status and b"\r\nConnection: close\r\n" in received, received


def hold_body(node, length=1 << 20):
    """A request with the key, whose body has come but for its last byte."""
    connection = socket.create_connection(node.internal, DEADLINE_S)
    connection.sendall(b"POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Length: %d\r\n\r\n"
                       % (API_KEY.encode(), length) + b" " * (length - 1))
    return connection


def test_all_bodies_together_have_a_limit(launch):
    node = launch({"api.max_bodies": "8m", "api.max_body": "1m", "limits.body_timeout": "1m"})
    before = node.resident_bytes()
    waiting = [hold_body(node) for _ in range(40)]
    refused = []
    for connection in waiting:
        connection.setblocking(False)

    def count_refused():
        for connection in waiting:
            try:
                received = connection.recv(65536)
            except (BlockingIOError, ConnectionResetError):
                continue
            if received:
                assert received.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: " in received, received
                refused.append(connection)
        return len(refused) == 32

    until(count_refused, "32 of 40 are refused")
    if SLOWDOWN == 1:  # sanitizers keep freed memory for a while
        assert node.resident_bytes() - before < 32 << 20
    assert node.publish("news", 1)["id"], "a small one has its place"
    for connection in waiting:
        connection.close()
    until(lambda: http.request(node.internal, "POST", "/api/v1/publish", json.dumps(EVENT).encode() + b" " * 1000000,
                               {"X-API-Key": API_KEY}).status == 200, "there is room again")


def test_the_limit_of_all_bodies_follows_a_reload(launch):
    node = launch({"api.max_bodies": "4m", "api.max_body": "1m", "limits.body_timeout": "1m"})
    body = json.dumps(EVENT).encode() + b" " * 1000000

    def status():
        return http.request(node.internal, "POST", "/api/v1/publish", body, {"X-API-Key": API_KEY}).status

    with hold_body(node):
        until(lambda: status() == 200, "there is room for two")
        for limit, expected in (("1m", 503), ("4m", 200)):
            node.write_config({"api.max_bodies": limit, "api.max_body": "1m", "limits.body_timeout": "1m"})
            node.signal(signal.SIGHUP)
            until(lambda: status() == expected, f"{limit} hold")


# --- a client that ends its side ---


@pytest.mark.parametrize("workers", [1, 3])
def test_a_client_that_has_ended_its_side_is_answered(launch, workers):
    """Whether its end is seen before the call has been served, or afterwards."""
    node = launch({"workers": workers})
    body = json.dumps(EVENT).encode()
    request = b"POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Length: %d\r\n\r\n" % (API_KEY.encode(), len(body))
    for _ in range(50):
        with socket.create_connection(node.internal, DEADLINE_S) as connection:
            connection.sendall(request + body)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    until(lambda: len(list(Path(f"/proc/{node.pid}/fd").iterdir())) < 100, "no descriptor is kept")


def test_pipelined_requests_before_the_end_of_a_side_are_served(launch):
    node = launch()
    body = json.dumps(EVENT).encode()
    request = b"POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Length: %d\r\n\r\n" % (API_KEY.encode(), len(body))
    for more in (b"", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", request + body[:-1], b"GET /li"):
        answers = http.raw(node.internal, (request + body) * 5 + more, shut=True)
        assert answers.count(b"HTTP/1.1 200 ") == 5 + more.startswith(b"GET /livez"), (more, answers)
    assert node.metric("carillon_events_in_total", source="http") == 20
    until(lambda: len(list(Path(f"/proc/{node.pid}/fd").iterdir())) < 100, "no descriptor is kept")
