"""TLS on the public listener: all that holds in plaintext holds there too (docs/operations/install.md, "TLS")."""
import json
import re
import signal
import socket
import ssl
import subprocess
from urllib.parse import quote

import pytest
from support import http, jwt, ws
from support.carillon import Process, run
from support.tls import Certificate
from support.wait import DEADLINE_S, until
from support.ws import Refused

ORIGIN = ("Origin", "https://app.example")
ENDPOINTS = [
    {"path": "/ws"},
    {"path": "/http", "reject": "http"},
    {"path": "/close", "reject": "close"},
    {"path": "/origin", "origins": ["https://good.example"], "reject": "http"},
    {"path": "/one", "max_connections": 1, "reject": "http"},
]


class Secure:
    """A node that speaks TLS, and clients that trust it."""

    def __init__(self, launch, folder, **config):
        self.certificate = Certificate(folder)
        self.node = launch({**self.certificate.options, "endpoints": ENDPOINTS, **config})
        self.trusted = self.certificate.trusted()

    def client(self, token=None, **options):
        return self.node.client(token, tls=self.trusted, **options)

    def connect(self, sub="user-456", claims=None, **options):
        return self.node.connect(sub, claims, tls=self.trusted, **options)

    def open(self):
        """A connection with nothing sent but the handshake."""
        return self.trusted.wrap_socket(socket.create_connection(self.node.public, DEADLINE_S), server_hostname="127.0.0.1")

    def request(self, raw):
        """Sends bytes and returns all that comes until the server closes."""
        with self.open() as connection:
            try:
                connection.sendall(raw)
            except (ConnectionError, ssl.SSLEOFError):
                pass  # closed in the face of the rest
            return read_all(connection)


def read_all(connection):
    received = b""
    while True:
        try:
            chunk = connection.recv(65536)
        except ConnectionError:
            return received
        if not chunk:
            return received
        received += chunk


@pytest.fixture
def secure(launch, tmp_path):
    return Secure(launch, tmp_path)


@pytest.fixture(scope="module")
def shared(launch_for_module, tmp_path_factory):
    return Secure(launch_for_module, tmp_path_factory.mktemp("certificate"))


def refused(secure, status, code, **options):
    with pytest.raises(Refused) as caught:
        secure.client(**options)
    answer = caught.value.response
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["error"]["code"] == code, answer
    return answer


# --- carriers ---


def test_header(shared):
    with shared.client(jwt.mint("user-1")) as client:
        assert client.expect("session_init")["data"]["user"] == "user-1"
        assert client.socket.selected_alpn_protocol() is None
        client.nothing_before_pong()


def test_query(shared):
    with shared.client(path=f"/ws?a=b%26c&token={quote(jwt.mint('user-2'))}&x=%3D%25") as client:
        assert client.expect("session_init")["data"]["user"] == "user-2"


@pytest.mark.parametrize("padding", [0, 200, 5500])
def test_subprotocol(shared, padding):
    """Of any length that a head may have."""
    token = jwt.mint("s", padding="x" * padding)
    with shared.client(headers=[("Sec-WebSocket-Protocol", f"{ws.PROTOCOL}, {token}")]) as client:
        assert client.headers["sec-websocket-protocol"] == ws.PROTOCOL
        assert client.expect("session_init")["data"]["user"] == "s"


def test_subprotocol_alone(shared):
    with shared.client(jwt.mint(), headers=[("Sec-WebSocket-Protocol", ws.PROTOCOL)]) as client:
        assert client.headers["sec-websocket-protocol"] == ws.PROTOCOL
        client.start()


# --- refusals ---


def test_bad_handshake(shared):
    for wrong, status in (("Sec-WebSocket-Version: 12", b" 426 "), ("Sec-WebSocket-Key: short", b" 400 ")):
        name = wrong.split(":")[0]
        request = re.sub(f"{name}: [^\r]*".encode(), wrong.encode(), ws.upgrade_request("/http"))
        assert status in shared.request(request).split(b"\r\n")[0], wrong


def test_a_header_cannot_be_smuggled_in_the_target(launch, tmp_path):
    """The target is not decoded before it is checked."""
    secure = Secure(launch, tmp_path, trusted_proxies=["127.0.0.1"])
    answer = http.parse(secure.request(ws.upgrade_request("/http%20HTTP/1.1%0D%0AX-Forwarded-For:%2010.9.8.7%0D%0Aa:")))
    assert answer.status == 404
    headers = [("X-Forwarded-For", "10.1.2.3")]
    with secure.connect("far", headers=headers, path="/ws?a=%0D%0AX-Forwarded-For:%2010.9.8.7"):
        sessions = secure.node.api("GET", "/api/v1/sessions").json["sessions"]
        assert [session["address"] for session in sessions] == ["10.1.2.3"]


def test_limits(launch, tmp_path):
    secure = Secure(launch, tmp_path, **{"limits.connections_per_user": 2, "limits.connections": 4})
    with secure.connect("busy"), secure.connect("busy") as one:
        assert refused(secure, 429, "rate_limited", token=jwt.mint("busy"), path="/http").headers["retry-after"]
        with secure.connect("a", path="/one"):
            refused(secure, 429, "rate_limited", token=jwt.mint("b"), path="/one")
            until(lambda: secure.node.metric("carillon_connections_open") == 3, "the refused ones are gone")
            with secure.connect("c"):
                refused(secure, 429, "rate_limited", token=jwt.mint("d"), path="/http")
        one.close()
        until(lambda: admitted(secure, "busy"), "there is room again")


def admitted(secure, sub):
    try:
        secure.connect(sub, path="/http").close()
        return True
    except Refused:
        return False


def test_silent_ones_leave_the_places_of_sessions(launch, tmp_path):
    """They do not even begin a handshake. The oldest go, and get no bytes that are not TLS."""
    secure = Secure(launch, tmp_path, **{"limits.connections": 1, "limits.pending_connections": 4})
    silent = [socket.create_connection(secure.node.public, DEADLINE_S) for _ in range(12)]
    assert [read_all(connection) for connection in silent[:4]] == [b""] * 4
    with secure.connect("one"):
        refused(secure, 429, "rate_limited", token=jwt.mint("two"), path="/http")
    for connection in silent:
        connection.close()


# --- not a WebSocket client ---


@pytest.mark.parametrize("method, path, status", [("GET", "/ws", 426), ("GET", "/", 404), ("POST", "/ws", 426), ("HEAD", "/ws", 426),
                                                  ("PUT", "/nowhere", 404)])
def test_no_upgrade(shared, method, path, status):
    received = shared.request(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
    answer = http.parse(received)
    assert answer.status == status, received
    if method != "HEAD":
        assert answer.json["error"]["code"] == ("invalid_request" if status == 426 else "not_found")


def test_nothing_else_is_spoken(shared):
    h2c = b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
    assert b" 101 " not in shared.request(h2c)
    other = h2c.replace(b"h2c", b"other")
    assert b" 101 " not in shared.request(other + h2c)
    assert b" 101 " not in shared.request(other + ws.upgrade_request("/ws"))
    assert b"101" not in shared.request(b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert shared.request(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")[:6] in (b"", b"HTTP/1")
    shared.request(b"\0" * 1000)
    shared.request(b"GET /" + b"x" * 100000)
    negotiating = shared.certificate.trusted()
    negotiating.set_alpn_protocols(["h2", "http/1.1"])
    with negotiating.wrap_socket(socket.create_connection(shared.node.public), server_hostname="127.0.0.1") as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"
    shared.connect().close()


def test_plaintext(shared):
    received = http.raw(shared.node.public, ws.upgrade_request("/ws", [("Authorization", f"Bearer {jwt.mint()}")]))
    assert b"HTTP" not in received
    shared.connect().close()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions(shared):
    old = shared.certificate.trusted()
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        shared.node.client(jwt.mint(), tls=old)
    newer = shared.certificate.trusted()
    newer.maximum_version = ssl.TLSVersion.TLSv1_2
    with shared.node.client(jwt.mint(), tls=newer) as client:
        assert client.socket.version() == "TLSv1.2"
        client.start()


def suites_offered_by_openssl():
    lines = subprocess.run(["openssl", "ciphers", "-s", "-tls1_2", "ALL:@SECLEVEL=0"], capture_output=True, text=True, check=True)
    return lines.stdout.strip().split(":")


def test_suites_of_tls_1_2(shared):
    """RFC 9325, 4.2: forward secrecy and an AEAD in each, asked for one by one as an openssl client would."""
    taken = []
    for suite in suites_offered_by_openssl():
        answer = subprocess.run(["openssl", "s_client", "-connect", "%s:%d" % shared.node.public, "-tls1_2", "-cipher",
                                 f"{suite}:@SECLEVEL=0", "-CAfile", shared.certificate.certificate],
                                input="", capture_output=True, text=True, timeout=DEADLINE_S)
        if re.search(rf"Cipher is {re.escape(suite)}\b", answer.stdout):
            taken.append(suite)
    assert sorted(taken) == ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"]


def test_a_byte_order_mark_before_the_certificate_and_its_key(launch, tmp_path):
    certificate = Certificate(tmp_path)
    trusted = certificate.trusted()
    for path in (certificate.certificate, certificate.key):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    with launch(certificate.options).connect(tls=trusted) as client:
        client.nothing_before_pong()


def test_deadlines(launch, tmp_path):
    """Of the TCP connection, the hello, and a head that comes drop by drop."""
    secure = Secure(launch, tmp_path, **{"limits.head_timeout": "2s"})
    hello = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        secure.trusted.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="127.0.0.1").do_handshake()
    sent = hello.read()
    with socket.create_connection(secure.node.public, DEADLINE_S) as silent, \
            socket.create_connection(secure.node.public, DEADLINE_S) as half, secure.open() as mute, secure.open() as slow:
        half.sendall(sent[: len(sent) // 2])
        slow.sendall(b"GET /ws HTTP/1.1\r\nHost: x\r\n")
        for connection in (silent, half, mute):
            assert read_all(connection) == b""
        assert read_all(slow).startswith(b"HTTP/1.1 408 ")
    until(lambda: secure.node.metric("carillon_connections_open") == 0, "all are gone")
    secure.connect().close()


def test_a_session_outlives_the_time_for_its_handshake(launch, tmp_path):
    """libwebsockets has a time of its own for it, three seconds here."""
    secure = Secure(launch, tmp_path, **{"limits.head_timeout": "1900ms", "ping_interval": "1s"})
    with secure.connect() as client:
        for _ in range(4):  # one a second
            _, opcode, payload = client.receive_frame(what="a ping")
            assert opcode == ws.PING
            client.send_frame(ws.PONG, payload)
        client.nothing_before_pong()


def test_many_that_never_send_their_head_keep_nobody_out(secure):
    slow = [secure.open() for _ in range(40)]
    for connection in slow:
        connection.sendall(b"GET /ws HTTP/1.1\r\n")
    secure.connect().close()
    for connection in slow:
        connection.close()


# --- sessions ---


def test_frames_in_the_record_of_the_request(shared):
    with shared.open() as connection:
        token = [("Authorization", f"Bearer {jwt.mint()}")]
        ping = json.dumps({"type": "ping", "id": "early", "data": {}}).encode()
        connection.sendall(ws.upgrade_request("/ws", token) + ws.frame(ws.TEXT, ping))
        received = b""
        while b'"early"' not in received:
            chunk = connection.recv(65536)
            assert chunk, received
            received += chunk


def test_events_to_many(secure):
    clients = [secure.connect(f"user-{n}") for n in range(50)]
    for client in clients:
        client.subscribe("news")
    for n in range(20):
        secure.node.publish("news", n)
    for client in clients:
        assert [client.expect("test")["data"] for _ in range(20)] == list(range(20))
        client.close()


def test_big_messages(launch, tmp_path):
    """Of many TLS records, in both directions, whole and in pieces."""
    secure = Secure(launch, tmp_path, **{"limits.message_bytes": "4m", "limits.event_bytes": "2m", "outbox.max_bytes": "16m"})
    with secure.connect() as client:
        client.subscribe("big")
        for size in (16383, 16384, 32768, 100000, 1900000):
            client.send("publish", id=size, channel="big", type="t", data="x" * size)
            assert len(client.find("t")["data"]) == size
        whole = json.dumps({"type": "ping", "id": "p" * 60, "data": {}}).encode().ljust(300000)
        client.send_frame(ws.TEXT, whole[:1], fin=False)
        for at in range(1, len(whole), 9999):
            client.send_frame(ws.CONTINUATION, whole[at : at + 9999], fin=at + 9999 >= len(whole))
        client.find("pong", id="p" * 60)
        client.send_text("x" * (4 << 20 | 1))
        client.expect_close(1009)


def test_stopping_with_all_kinds_of_connections(secure):
    kept = [secure.connect(), secure.open(), socket.create_connection(secure.node.public)]
    secure.node.signal(signal.SIGTERM)
    secure.node.signal(signal.SIGTERM)
    assert secure.node.wait() == 0
    for connection in kept:
        getattr(connection, "socket", connection).close()


# --- certificates ---


def served(secure):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(socket.create_connection(secure.node.public, DEADLINE_S)) as connection:
        return connection.getpeercert(binary_form=True)


def reload(node):
    seen = len(re.findall(r"reload: (?:done|refused)", node.log()))
    node.signal(signal.SIGHUP)
    until(lambda: len(re.findall(r"reload: (?:done|refused)", node.log())) > seen, "the reload is logged")


def test_reload(secure):
    first = secure.certificate.der
    with secure.connect() as client:
        assert served(secure) == first
        secure.certificate.renew()
        assert served(secure) == first
        reload(secure.node)
        for _ in range(8):  # each worker has its own
            until(lambda: served(secure) == secure.certificate.der, "the new one is shown")
        client.nothing_before_pong()
        good = secure.certificate.key.read_text()
        secure.certificate.key.write_text(good[: len(good) // 2])
        reload(secure.node)
        secure.node.logged(r"reload: tls\.key: .*server\.key")
        assert served(secure) == secure.certificate.der
        secure.certificate.key.write_text(good)


def test_bad_files(tmp_path):
    own, other = Certificate(tmp_path), Certificate(tmp_path, "other")
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    damaged = tmp_path / "damaged.pem"
    damaged.write_text(own.certificate.read_text() + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    locked = tmp_path / "locked.key"
    locked.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
    for certificate, key, told in (
        (tmp_path / "none.pem", own.key, "tls.certificate: cannot open .*none.pem: No such file"),
        (own.certificate, tmp_path / "none.key", "tls.key: cannot open .*none.key: No such file"),
        (empty, own.key, "tls.certificate: .*empty.pem has no certificate"),
        (damaged, own.key, "tls.certificate: .*damaged.pem is damaged after certificate 1"),
        (own.certificate, locked, "tls.key: .*locked.key has no private key in PEM form that can be read without a passphrase"),
        (own.certificate, other.key, "tls.key: .*other.key is not the key of the first certificate in .*server.pem"),
    ):
        ended = run("serve", "--port", "0", "--internal-port", "0", "--tls-certificate", certificate, "--tls-key", key)
        assert ended.returncode == 1
        assert re.search(told, ended.stderr), ended.stderr


def test_options_that_do_not_go_together(tmp_path):
    own = Certificate(tmp_path)
    for arguments, told in (
        (["--tls-certificate", own.certificate], "give both tls.certificate and tls.key"),
        (["--tls-key", own.key], "give both tls.certificate and tls.key"),
    ):
        ended = run("serve", "--port", "0", "--internal-port", "0", *arguments)
        assert ended.returncode != 0
        assert told in ended.stderr, ended.stderr


# --- our own client ---


def test_listen(secure, tmp_path):
    url = "wss://{}:{}/ws".format(*secure.node.public)
    token = {"CARILLON_TOKEN": jwt.mint()}
    distrusting = run("listen", "--url", url, "news", env=token)
    assert distrusting.returncode != 0
    assert "certificate" in distrusting.stderr
    listening = Process(tmp_path, ["listen", "--url", url, "news"], "listen",
                        env={**token, "SSL_CERT_FILE": str(secure.certificate.certificate)})
    try:
        until(lambda: secure.node.metric("carillon_subscriptions") == 1, "it has subscribed")
        secure.node.publish("news", {"n": 1})
        until(lambda: '"n":1' in listening.output().replace(" ", ""), "it prints the event")
    finally:
        listening.may_die = True
        listening.close()
