"""The handshake of TLS and its end: what strangers do to it, resumption, a change of certificate, the PROXY header before it."""
import json
import os
import socket
import ssl
import struct
import subprocess
from pathlib import Path

import pytest
from support import http, jwt, tls, tls13, ws
from support.tls import Certificate
from support.wait import DEADLINE_S, until

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
V1 = b"PROXY TCP4 203.0.113.7 192.0.2.9 5555 443\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H", 12) + socket.inet_aton("203.0.113.7") + socket.inet_aton("192.0.2.9") \
    + struct.pack("!HH", 5555, 443)


class Secure:
    def __init__(self, launch, folder, **config):
        self.certificate = Certificate(folder)
        self.node = launch({**self.certificate.options, **config})

    def context(self, version=None):
        """Of a client to which an end without close_notify is an error."""
        context = self.certificate.trusted()
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        if version:
            context.minimum_version = context.maximum_version = version
        return context

    def dial(self, before=b"", context=None, session=None):
        """A connection that has shaken hands, after bytes in plaintext."""
        plain = socket.create_connection(self.node.public, DEADLINE_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in (before if isinstance(before, list) else [before]):
            plain.sendall(part)
        try:
            return (context or self.context()).wrap_socket(plain, server_hostname="127.0.0.1", session=session,
                                                           suppress_ragged_eofs=False)
        except (OSError, ssl.SSLError):
            plain.close()
            raise

    def greet(self, raw, size=1 << 20):
        """Sends bytes, so many at a time, and returns what the server says at once: the first bytes, or none when it closes."""
        with socket.create_connection(self.node.public, DEADLINE_S) as plain:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(raw), size):
                plain.sendall(raw[at:at + size])
            try:
                return plain.recv(65536)
            except ConnectionResetError:
                return b""

    def is_well(self):
        """Each worker takes a session."""
        for _ in range(2 * self.node.config["workers"]):
            with self.node.connect(tls=self.context()) as client:
                client.nothing_before_pong()
                client.close()


@pytest.fixture
def secure(launch, tmp_path):
    return Secure(launch, tmp_path)


@pytest.fixture(scope="module")
def shared(launch_for_module, tmp_path_factory):
    """Its deadline for a handshake is one that no test waits for."""
    return Secure(launch_for_module, tmp_path_factory.mktemp("certificate"), **{"limits.head_timeout": "5m"})


def upgrade(user="user-1"):
    """Names of tests have one too, which must be good until they have run."""
    return ws.upgrade_request(headers=[("Authorization", f"Bearer {jwt.mint(user, expires_s=86400)}")])


def read_until(connection, wanted):
    received = b""
    while wanted not in received:
        chunk = connection.recv(65536)
        assert chunk, received
        received += chunk
    return received


def read_to_the_end(connection):
    """Raises ssl.SSLError where the end is not told by close_notify."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


# --- resumption ---


def resume(secure, context, times):
    """Whether each of so many connections, each with the session of the one before, has been resumed."""
    session, resumed = None, []
    for n in range(times):
        with secure.dial(context=context, session=session) as connection:
            connection.sendall(upgrade(f"user-{n}"))
            read_until(connection, b"session_init")  # tickets of TLS 1.3 come before it
            resumed.append(connection.session_reused)
            session = connection.session
    return resumed


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])
def test_sessions_are_resumed_at_each_of_four_workers(launch, tmp_path, version):
    secure = Secure(launch, tmp_path, workers=4)
    assert resume(secure, secure.context(version), 9) == [False] + [True] * 8  # connections go to the workers in turn


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])
def test_a_session_is_not_resumed_after_a_change_of_certificate(launch, tmp_path, version):
    """It would go on with the old one. A session that begins on the new one is resumed."""
    secure = Secure(launch, tmp_path, workers=4)
    context = secure.context(version)
    with secure.dial(context=context) as connection:
        connection.sendall(upgrade())
        read_until(connection, b"session_init")
        session = connection.session
        secure.certificate.renew()
        secure.node.reload(secure.node.config)
        until(lambda: shown(secure, 8) == {secure.certificate.der}, "each worker shows the new one")
        connection.sendall(ws.frame(ws.TEXT, b'{"type":"ping","id":"still here"}'))
        read_until(connection, b"still here")
        context.load_verify_locations(secure.certificate.certificate)
        for _ in range(4):
            with secure.dial(context=context, session=session) as again:
                assert not again.session_reused
                assert again.getpeercert(binary_form=True) == secure.certificate.der
        assert resume(secure, secure.context(version), 5) == [False] + [True] * 4


def shown(secure, times):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    certificates = set()
    for _ in range(times):
        with secure.dial(context=context) as connection:
            certificates.add(connection.getpeercert(binary_form=True))
    return certificates


def test_a_certificate_of_another_kind_takes_the_place_of_the_old_one(launch, tmp_path):
    """The certificate goes from ECDSA to RSA and back. Clients that take either must not be shown the old one."""
    secure = Secure(launch, tmp_path)
    for kind in (("rsa:2048",), ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"), ("ed25519",), ("rsa:2048",)):
        secure.certificate.renew(kind)
        secure.node.reload(secure.node.config)
        until(lambda: shown(secure, 4) == {secure.certificate.der}, f"{kind[0]} is shown")
        secure.is_well()


def test_no_session_is_kept_for_clients_without_tickets(shared):
    """Their sessions could only be resumed from the server's memory."""
    context = shared.context(TLS_1_2)
    context.options |= ssl.OP_NO_TICKET
    assert resume(shared, context, 3) == [False] * 3


# --- what is negotiated ---


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])
@pytest.mark.parametrize("offered", [["http/1.1"], ["h2", "http/1.1"], ["http/1.1", "h2"], ["x", "http/1.1"]])
def test_alpn(shared, version, offered):
    context = shared.context(version)
    context.set_alpn_protocols(offered)
    with shared.node.connect(tls=context) as client:
        assert client.socket.selected_alpn_protocol() == "http/1.1"
        client.nothing_before_pong()


@pytest.mark.parametrize("offered", [["h2"], ["http/1.0"], ["mqtt", "spdy/3"], ["HTTP/1.1"]])
def test_other_protocols_alone_are_refused(shared, offered):
    """RFC 7301, 3.2: the server SHALL respond with a fatal no_application_protocol alert."""
    context = shared.context()
    context.set_alpn_protocols(offered)
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        shared.dial(context=context)


def test_renegotiation_is_refused(shared):
    """TLS 1.2 (RFC 9325, 3.5): the client gets a warning, and its connection is of no use to it for that."""
    asked = subprocess.run(["openssl", "s_client", "-connect", "%s:%d" % shared.node.public, "-tls1_2", "-CAfile", shared.certificate.certificate],
                           input="R\n", capture_output=True, text=True, timeout=DEADLINE_S)
    assert "RENEGOTIATING" in asked.stdout + asked.stderr
    assert "no renegotiation" in asked.stderr, asked.stderr
    shared.is_well()


@pytest.mark.parametrize("name, answer", [
    (b"localhost", "hello"), (b"internal", "hello"), (b"public", "hello"), (b".public", "hello"), (b"*", "hello"),
    (b"", "hello"), (b"x" * 255, "hello"), (b"x" * 256, "alert 112"), (b"x" * 10000, "alert 112"), (b"a\0b", "alert 112"), (b"\0", "alert 112"),
    ("bücher.example".encode(), "hello"), (b"\xff\xfe\x80", "hello"), (b"a" * 64 + b"." * 100, "hello"), (b"../../etc/passwd", "hello"),
    (b"%s%n%s", "hello"), (b"127.0.0.1:80\r\nX: y", "hello")], ids=lambda value: None if isinstance(value, str) else repr(value[:12]))
def test_any_server_name(shared, name, answer):
    """No name changes the certificate that is shown. Names that RFC 6066 does not allow are refused by an alert."""
    assert tls.first_answer(shared.greet(tls.record(tls.client_hello(tls.server_name(name))))) == answer


def test_after_any_server_name_all_is_well(shared):
    for name in (b"internal", b"", b"\0", b"\xff" * 255):
        shared.greet(tls.record(tls.client_hello(tls.server_name(name) * 2)))
    shared.is_well()


def test_names_of_virtual_hosts_mean_nothing(shared):
    context = shared.context()
    context.check_hostname = False
    for name in ("internal", "public", "x" * 60 + ".example"):
        plain = socket.create_connection(shared.node.public, DEADLINE_S)
        with context.wrap_socket(plain, server_hostname=name) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert http.parse(read_to_the_end(connection)).status == 404, name


# --- what is no handshake ---


HELLO = tls.client_hello()
NO_HANDSHAKES = {
    "a request in plaintext": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a WebSocket in plaintext": ws.upgrade_request(),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "a PROXY header that nobody waits for": V1 + tls.record(HELLO),
    "zeros": bytes(1000),
    "noise": bytes(range(255, -1, -1)) * 100,
    "a hello of SSL 2": b"\x80\x2e\1\0\2\0\x15\0\0\0\x10\1\0\x80" + bytes(40),
    "application data": tls.record(b"x" * 100, tls.APPLICATION_DATA),
    "an alert": tls.record(b"\2\x28", tls.ALERT),
    "a record that is too long": b"\x16\3\1\xff\xff" + bytes(65535),
    "an empty record, often": tls.record(b"") * 100,
    "a message that is too long": tls.record(b"\1\xff\xff\xff" + bytes(100)),
    "another message than a hello": tls.record(b"\x10\0\0\4abcd"),
    "a hello that ends early": tls.record(struct.pack("!I", 1 << 24 | 20) + HELLO[4:24]),
    "a hello and then plaintext": tls.record(HELLO) + upgrade(),
    "a hello twice": tls.record(HELLO) * 2,
    "half of a hello of 128 KB": tls.record(b"\1\1\xff\xf0\3\3" + bytes(16000)) + tls.record(bytes(16000)) * 3,
}


@pytest.mark.parametrize("what", NO_HANDSHAKES)
def test_what_is_no_handshake_ends_at_once(shared, what):
    """The connection ends by an alert or without a word, long before the deadline. It never ends by HTTP."""
    received = b""
    with socket.create_connection(shared.node.public, DEADLINE_S) as plain:
        try:
            plain.sendall(NO_HANDSHAKES[what])
            while chunk := plain.recv(65536):
                received += chunk
        except ConnectionError:
            pass
    assert received[:1] in (b"", bytes([tls.ALERT]), bytes([tls.HANDSHAKE])), received[:100]
    assert b"HTTP" not in received


def has_read_all(plain):
    """The node has taken from the kernel what this client has sent, or has closed the connection."""
    def key(address):
        return "%08X:%04X" % (struct.unpack("=I", socket.inet_aton(address[0]))[0], address[1])

    there = [key(plain.getpeername()), key(plain.getsockname())]  # as the node's side has them
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return not any(row[1:3] == there and not row[4].endswith(":00000000") for row in rows)


def test_half_of_a_long_hello_in_parts(shared):
    """The first part alone is no more than a hello may be."""
    raw = NO_HANDSHAKES["half of a hello of 128 KB"]
    for first in (3, 1000, 16011, 20000, 40000):
        with socket.create_connection(shared.node.public, DEADLINE_S) as plain:
            plain.sendall(raw[:first])
            until(lambda: has_read_all(plain), "the node has read the first part")
            try:
                plain.sendall(raw[first:])
                assert b"HTTP" not in plain.recv(65536)
            except ConnectionError:
                pass


def test_a_hello_may_be_long(shared):
    """As long as a client may need for keys and names; RFC 7685 pads it."""
    assert tls.first_answer(shared.greet(tls.record(tls.client_hello(tls.extension(21, bytes(12000)))))) == "hello"


def test_after_all_that_all_is_well(shared):
    for raw in NO_HANDSHAKES.values():
        with socket.create_connection(shared.node.public, DEADLINE_S) as plain:
            try:
                plain.sendall(raw)
            except ConnectionError:
                pass
    shared.is_well()
    until(lambda: shared.node.metric("carillon_connections_open") == 0, "all are gone")


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_hello_in_pieces(shared, size):
    """Of TCP, and of records."""
    in_records = b"".join(tls.record(HELLO[at:at + size]) for at in range(0, len(HELLO), size))
    assert tls.first_answer(shared.greet(in_records, size)) == "hello"
    assert tls.first_answer(shared.greet(tls.record(HELLO), size)) == "hello"


def test_tls_at_a_listener_of_plaintext(launch, tmp_path):
    """Both listeners say 400 at once, and not one byte of TLS."""
    node = launch()
    for address in (node.public, node.internal):
        received = http.raw(address, tls.record(HELLO))
        assert http.parse(received).status == 400, received
        with pytest.raises(ssl.SSLError):
            Certificate(tmp_path).trusted().wrap_socket(socket.create_connection(address, DEADLINE_S), server_hostname="127.0.0.1")
    node.connect().close()


# --- deadlines and places ---


def test_handshakes_that_do_not_end_are_cut(launch, tmp_path):
    """At limits.head_timeout from the connection's beginning, however many bytes keep coming."""
    secure = Secure(launch, tmp_path, **{"limits.head_timeout": "2s"})
    raw = tls.record(HELLO)
    half, dripping, after_hello = [socket.create_connection(secure.node.public, DEADLINE_S) for _ in range(3)]
    half.sendall(raw[:len(raw) // 2])
    after_hello.sendall(raw)
    sent = 0

    def drip():
        """Sends a byte each time it is called. The hello has enough of them."""
        nonlocal sent
        try:
            dripping.sendall(raw[sent:sent + 1])
            sent = min(sent + 1, len(raw) - 2)
            dripping.setblocking(False)
            return dripping.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True

    until(drip, "the one that drips is cut")
    assert half.recv(1) == b""
    received = b""
    while chunk := after_hello.recv(65536):
        received += chunk
    assert tls.first_answer(received) == "hello"
    until(lambda: secure.node.metric("carillon_connections_open") == 0, "all are gone")
    for one in (half, dripping, after_hello):
        one.close()


def test_handshakes_take_the_places_of_pending_connections(launch, tmp_path):
    """Half a hello, and one that waits for the client's turn: the oldest goes, and those that become sessions are not hindered."""
    secure = Secure(launch, tmp_path, **{"limits.pending_connections": 8, "limits.connections": 4, "limits.head_timeout": "5m"})
    crowd = []
    for n in range(80):
        one = socket.create_connection(secure.node.public, DEADLINE_S)
        one.sendall(tls.record(HELLO)[:None if n % 2 else 50])
        crowd.append(one)
        if n % 20 == 19:
            secure.is_well()
    until(lambda: secure.node.metric("carillon_connections_open") <= 8, "the older ones are gone")
    assert secure.node.metric("carillon_connections_evicted_total") >= 60
    assert secure.node.metric("carillon_sessions") == 0
    for one in crowd:
        one.close()


# --- the PROXY header ---


def addresses(node):
    return [session["address"] for session in node.api("GET", "/api/v1/sessions").json["sessions"]]


def split(raw):
    return [raw[at:at + 1] for at in range(len(raw))]


PROXY = {"trusted_proxies": ["127.0.0.1"]}


@pytest.mark.parametrize("mode", ["optional", "required"])
@pytest.mark.parametrize("header", [V1, V2, split(V1), split(V2)], ids=["v1", "v2", "v1 in bytes", "v2 in bytes"])
def test_a_proxy_header_before_the_handshake(launch, tmp_path, mode, header):
    secure = Secure(launch, tmp_path, **PROXY, proxy_protocol=mode)
    for version in (TLS_1_2, TLS_1_3):
        with secure.dial(header, secure.context(version)) as connection:
            connection.sendall(upgrade())
            read_until(connection, b"session_init")
            assert addresses(secure.node) == ["203.0.113.7"]
            connection.sendall(ws.frame(ws.CLOSE, struct.pack("!H", 1000)))
            read_to_the_end(connection)
            until(lambda: not addresses(secure.node), "it is gone")


def test_a_proxy_header_in_the_segment_of_the_hello(launch, tmp_path):
    secure = Secure(launch, tmp_path, **PROXY, proxy_protocol="required")
    for header in (V1, V2):
        assert tls.first_answer(secure.greet(header + tls.record(HELLO))) == "hello"
        assert tls.first_answer(secure.greet(header + tls.record(HELLO), size=1)) == "hello"


def test_no_proxy_header(launch, tmp_path):
    """Where a header is optional the peer counts. Where it is required the connection ends without a word."""
    optional = Secure(launch, tmp_path, **PROXY, proxy_protocol="optional")
    with optional.node.connect(tls=optional.context()):
        assert addresses(optional.node) == ["127.0.0.1"]
    required = Secure(launch, tmp_path, **PROXY, proxy_protocol="required")
    assert required.greet(tls.record(HELLO)) == b""
    with pytest.raises((OSError, ssl.SSLError)):
        required.node.connect(tls=required.context())


@pytest.mark.parametrize("mode", ["optional", "required"])
def test_a_broken_proxy_header(launch, tmp_path, mode):
    secure = Secure(launch, tmp_path, **PROXY, proxy_protocol=mode)
    for header in (V1[:20] + b"\r\n", V1.replace(b"203", b"999"), V2[:13] + b"\x11\xff\xff", V1.replace(b"TCP4", b"TCP9"), V1.replace(b"\r\n", b"\n")):
        assert secure.greet(header + tls.record(HELLO)) == b"", header
    secure.dial(V1).close()


@pytest.mark.parametrize("mode", ["optional", "required"])
def test_a_proxy_header_from_a_stranger(launch, tmp_path, mode):
    """It is no handshake, and a stranger need not send one."""
    secure = Secure(launch, tmp_path, trusted_proxies=["192.0.2.0/24"], proxy_protocol=mode)
    for header in (V1, V2):
        with pytest.raises((OSError, ssl.SSLError)):
            secure.dial(header)
    with secure.node.connect(tls=secure.context()):
        assert addresses(secure.node) == ["127.0.0.1"]


@pytest.mark.parametrize("begun", [b"P", b"PRO", b"\r\n\r\n\0"])
def test_plaintext_does_not_get_before_what_comes_by_tls(launch, tmp_path, begun):
    """Bytes that may have become a PROXY header, then a good handshake: they are not the beginning of the request."""
    secure = Secure(launch, tmp_path, **PROXY, proxy_protocol="optional", workers=1)
    plain = socket.create_connection(secure.node.public, DEADLINE_S)
    plain.sendall(begun)
    secure.node.connect(tls=secure.context()).close()  # the worker has looked at it
    with pytest.raises((OSError, ssl.SSLError)):
        with secure.context().wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            connection.sendall(b"OST /ws HTTP/1.1\r\nHost: x\r\n\r\n")
            received = connection.recv(65536)
            assert not received, received
            raise ConnectionError("closed")
    plain.close()


# --- the end ---


ENDS = {
    "a refusal": (b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 404"),
    "a refusal by close frame": (ws.upgrade_request(headers=[("Origin", "https://x.example")]), b"token_missing"),
    "a head that is wrong": (b"\0\r\n\r\n", b"HTTP/1.1 400"),
    "a client's close frame": (upgrade() + ws.frame(ws.CLOSE, struct.pack("!H", 1000)), b"session_init"),
    "a frame that is wrong": (upgrade() + ws.frame(ws.TEXT, b"x", masked=False), b"protocol_error"),
}


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])
@pytest.mark.parametrize("what", ENDS)
def test_an_end_can_be_told_from_a_cut(shared, version, what):
    """RFC 8446, 6.1: close_notify comes after the last byte."""
    sent, wanted = ENDS[what]
    with shared.dial(context=shared.context(version)) as connection:
        connection.sendall(sent)
        assert wanted in read_to_the_end(connection)


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])
def test_a_client_that_ends_by_close_notify_gets_one(shared, version):
    for sent in (b"", b"GET /ws HTTP/1.1\r\n", upgrade()):
        with shared.dial(context=shared.context(version)) as connection:
            connection.sendall(sent)
            if sent.endswith(b"\r\n\r\n"):
                read_until(connection, b"session_init")
            connection.unwrap().close()  # raises unless the server's has come
    until(lambda: shared.node.metric("carillon_connections_open") == 0, "all are gone")


def test_a_client_that_ends_its_side_gets_its_answer(shared):
    """Half-closed by TCP, without close_notify, behind a whole request."""
    with shared.dial() as connection, socket.socket(fileno=os.dup(connection.fileno())) as tcp:
        connection.sendall(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
        tcp.shutdown(socket.SHUT_WR)
        assert read_to_the_end(connection).startswith(b"HTTP/1.1 404 ")


def test_the_end_of_the_server_is_told(launch, tmp_path):
    secure = Secure(launch, tmp_path)
    with secure.dial() as connection:
        connection.sendall(upgrade())
        read_until(connection, b"session_init")
        secure.node.signal(15)
        received = read_until(connection, b"going_away")
        connection.sendall(ws.frame(ws.CLOSE, struct.pack("!H", 1001)))
        received += read_to_the_end(connection)
    assert json.dumps("reconnect").encode() in received
    assert secure.node.wait() == 0


# --- after the handshake ---


@pytest.mark.parametrize("version, command", [("-tls1_3", b"K\n"), ("-tls1_2", b"R\n")])
def test_a_flood_of_handshake_messages_is_ended(launch, tmp_path, version, command):
    """New keys, or a renegotiation, as often as a client likes: each costs the server more than the client."""
    node = launch({**Certificate(tmp_path).options, "limits.head_timeout": "5m"})
    client = subprocess.Popen(["openssl", "s_client", version, "-connect", "%s:%d" % node.public], stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def is_ended():
            try:
                client.stdin.write(command)
                client.stdin.flush()
            except BrokenPipeError:
                pass
            return client.poll() is not None
        until(is_ended, "the client is cut")
    finally:
        client.kill()
        client.wait()
    until(lambda: node.metric("carillon_connections_open") == 0, "nothing of it is left")


def test_half_a_handshake_message_ends_what_must_be_written_to(launch, tmp_path):
    """While OpenSSL waits for the rest of a message it writes nothing. The server must neither spin nor keep what comes for that client."""
    secure = Secure(launch, tmp_path, **{"workers": 1})
    client = tls13.Client(secure.node.public, secure.certificate.trusted(), tmp_path)
    client.send(ws.upgrade_request(headers=[("Authorization", f"Bearer {jwt.mint()}")]))
    assert client.recv().startswith(b"HTTP/1.1 101 ")
    client.send(ws.frame(ws.TEXT, b'{"type":"subscribe","data":{"channel":"room:1"}}'))
    received = b""
    while b'"subscribed"' not in received:
        received += client.recv()
    client.send(bytes([24, 0, 0, 1]), tls13.HANDSHAKE)  # KeyUpdate (RFC 8446 4.6.3) without its one byte
    secure.node.publish("room:1", {"n": 1})
    until(lambda: secure.node.metric("carillon_sessions") == 0, "that session has ended")
    secure.is_well()
