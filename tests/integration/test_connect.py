"""From the TCP connection to session_init: the handshake, the subprotocol, carriers, origins, proxies, caps and clocks."""
import asyncio
import json
import re
import selectors
import socket
import struct
import threading
import time
import uuid
from urllib.parse import quote

import pytest
import websockets
from support import http, jwt, ws
from support.transports import BY_BOTH
from support.wait import DEADLINE_S, until
from support.ws import Refused

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def sessions(node):
    return node.api("GET", "/api/v1/sessions").json["sessions"]


def addresses(node):
    return {session["user"]: session["address"] for session in sessions(node)}


def test_session_init(node):
    with node.client(jwt.mint("user-456", exp=4000000000)) as client:
        message = client.expect("session_init")
        assert uuid.UUID(message["session_id"]).version == 7
        assert TIMESTAMP.fullmatch(message["timestamp"])
        data = message["data"]
        assert data["user"] == "user-456"
        assert data["expires_at"] == "2096-10-02T07:06:40.000Z"
        assert data["ping_interval_s"] == 25
        assert data["limits"] == {"message_bytes": 65536, "channels": 128}
        client.nothing_before_pong()


def test_session_ids_differ(node):
    with node.connect() as one, node.connect() as two:
        assert one.init["session_id"] != two.init["session_id"]


def test_stock_client(node):
    async def talk():
        uri = "ws://{}:{}/ws?token={}".format(*node.public, jwt.mint("stock"))
        async with websockets.connect(uri, subprotocols=[ws.PROTOCOL]) as client:
            assert client.subprotocol == ws.PROTOCOL
            assert json.loads(await client.recv())["data"]["user"] == "stock"
            await client.send(json.dumps({"type": "subscribe", "id": 1, "data": {"channel": "news"}}))
            assert json.loads(await client.recv())["type"] == "subscribed"
            await asyncio.get_running_loop().run_in_executor(None, node.publish, "news", {"n": 1})
            assert json.loads(await client.recv())["data"] == {"n": 1}
            await (await client.ping())

    asyncio.run(asyncio.wait_for(talk(), DEADLINE_S))


def test_stock_client_with_token_as_subprotocol(node):
    async def talk():
        token = jwt.mint("browser", filler="x" * 1000)
        uri = "ws://{}:{}/ws".format(*node.public)
        async with websockets.connect(uri, subprotocols=[ws.PROTOCOL, token], origin="https://app.example") as client:
            assert client.subprotocol == ws.PROTOCOL
            assert json.loads(await client.recv())["data"]["user"] == "browser"

    asyncio.run(asyncio.wait_for(talk(), DEADLINE_S))


@pytest.mark.parametrize("offered", [f"{ws.PROTOCOL}, %s", f"%s, {ws.PROTOCOL}", f"{ws.PROTOCOL},%s", f"{ws.PROTOCOL}  ,  %s"])
def test_subprotocol_answer_is_never_the_token(node, offered):
    token = jwt.mint("sub")
    with node.client(headers=[("Sec-WebSocket-Protocol", offered % token)]) as client:
        assert client.headers["sec-websocket-protocol"] == ws.PROTOCOL
        client.start()


def test_subprotocol_in_two_headers(node):
    with node.client(headers=[("Sec-WebSocket-Protocol", ws.PROTOCOL), ("Sec-WebSocket-Protocol", jwt.mint("two"))]) as client:
        assert client.headers["sec-websocket-protocol"] == ws.PROTOCOL
        client.start()


def test_no_subprotocol_asked_none_answered(node):
    with node.client(jwt.mint()) as client:
        assert "sec-websocket-protocol" not in client.headers


def test_query_is_percent_decoded(node):
    token = jwt.mint("percent")
    every_byte = "".join(f"%{ord(c):02x}" for c in token)
    with node.client(path=f"/ws?a=b&%74oken={every_byte}&c=") as client:
        assert client.start().init["data"]["user"] == "percent"
    with node.client(path=f"/ws?token={quote(token, safe='')}") as client:
        client.start()


@BY_BOTH
def test_long_token_in_each_carrier(node):
    token = jwt.mint("long", filler="x" * 3000)
    for path, headers in (("/ws", [("Authorization", f"Bearer {token}")]), (f"/ws?token={token}", []),
                          ("/ws", [("Sec-WebSocket-Protocol", f"{ws.PROTOCOL}, {token}")])):
        with node.client(path=path, headers=headers) as client:
            assert client.start().init["data"]["user"] == "long"


def test_bearer_in_any_case(node):
    with node.client(headers=[("authorization", f"bearer {jwt.mint()}")]) as client:
        client.start()


def test_names_of_carriers_are_configurable(launch):
    node = launch({"endpoints": [{"path": "/a", "token_header": False, "token_subprotocol": False, "token_query": ["access_token", "jwt"]},
                                 {"path": "/b", "token_subprotocol": False, "token_query": [], "reject": "http"}]})
    token = jwt.mint()
    for name in ("access_token", "jwt"):
        with node.client(path=f"/a?{name}={token}") as client:
            client.start()
    for path, headers in ((f"/a?token={token}", []), ("/a", [("Authorization", f"Bearer {token}")]), (f"/b?token={token}", [])):
        with pytest.raises(Refused) as refused:
            node.client(path=path, headers=headers)
        assert refused.value.response.status == 401


# --- what is no upgrade, or no good one ---


def get(node, path):
    return http.parse(node.exchange(f"GET {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: x\r\n\r\n".encode()))


@BY_BOTH
def test_unknown_path(node):
    with pytest.raises(Refused) as refused:
        node.client(jwt.mint(), path="/nowhere")
    assert refused.value.response.status == 404
    assert refused.value.response.json["error"]["code"] == "not_found"
    assert get(node, "/").status == 404


@BY_BOTH
def test_the_api_is_not_on_the_public_listener(node):
    for path in ("/api/v1/info", "/metrics"):
        assert get(node, path).status == 404


@BY_BOTH
def test_plain_get_of_an_endpoint(node):
    answer = get(node, "/ws")
    assert answer.status == 426
    assert answer.headers["upgrade"].lower() == "websocket"


@BY_BOTH
def test_wrong_websocket_version(node):
    request = ws.upgrade_request(headers=[("Authorization", f"Bearer {jwt.mint()}")]).replace(b"Version: 13", b"Version: 8")
    answer = http.parse(node.exchange(request))
    assert answer.status == 426
    assert answer.headers["sec-websocket-version"] == "13"


@BY_BOTH
@pytest.mark.parametrize("spoil", [
    lambda r: r.replace(b"Sec-WebSocket-Key: ", b"Sec-WebSocket-Key: short"),
    lambda r: r.replace(b"HTTP/1.1", b"HTTP/1.0"),
    lambda r: r.replace(b"GET ", b"POST "),
    lambda r: r.replace(b"Host: localhost\r\n", b""),
    lambda r: r.replace(b"Host: localhost", b"Host: a\r\nHost: b"),
    lambda r: r.replace(b"\r\n", b"\n"),
    lambda r: r.replace(b"GET /ws", b"GET ftp://localhost/ws"),
    lambda r: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + r,
    lambda r: b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    lambda r: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
], ids=["key", "1.0", "post", "no host", "two hosts", "bare lf", "ftp", "tls", "connect", "h2"])
def test_bad_upgrade(node, spoil):
    request = ws.upgrade_request(headers=[("Authorization", f"Bearer {jwt.mint()}")])
    received = node.exchange(spoil(request))
    assert not received or 400 <= http.parse(received).status < 600, received
    assert b" 101 " not in received
    node.connect().close()


@BY_BOTH
def test_h2c_upgrade_is_not_taken(node):
    received = node.exchange(b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                        b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n", shut=True)
    assert b" 101 " not in received
    node.connect().close()


@BY_BOTH
def test_a_body_is_not_read(node):
    received = node.exchange(b"POST /ws HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    assert 400 <= http.parse(received).status < 600
    assert received.count(b"\r\nDate: ") == 1, "the chunks were taken for another request"


@BY_BOTH
def test_an_absolute_target(node):
    """RFC 9112, 3.2.2: a server must take it."""
    request = ws.upgrade_request("/ws?token=" + jwt.mint()).replace(b"GET ", b"GET http://localhost:80")
    with node.dial() as connection:
        connection.sendall(request)
        received = b""
        while b"session_init" not in received:
            chunk = connection.recv(65536)
            assert chunk, received
            received += chunk
    assert received.startswith(b"HTTP/1.1 101 "), received


@BY_BOTH
def test_head_too_large(node):
    received = node.exchange(b"GET /ws HTTP/1.1\r\nHost: x\r\nX-Filler: " + b"y" * 70000)
    assert http.parse(received).status == 431
    node.connect().close()


@BY_BOTH
def test_too_many_headers(node):
    fields = b"".join(b"X-%d: y\r\n" % n for n in range(200))
    received = node.exchange(b"GET /ws HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n")
    assert http.parse(received).status == 431


@BY_BOTH
def test_head_timeout(launch):
    node = launch({"limits.head_timeout": "2s"})
    with node.dial() as silent, node.dial() as slow:
        slow.sendall(b"GET /ws HTTP/1.1\r\nHost:")
        for connection in (silent, slow):
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
            assert not received or http.parse(received).status == 408


def test_head_timeout_counts_from_the_connection(launch):
    """Time that a PROXY header took is not given again to the request's head."""
    node = launch({"limits.head_timeout": "8s", "trusted_proxies": ["127.0.0.1"], "proxy_protocol": "required"})
    header = b"PROXY TCP4 203.0.113.7 192.0.2.9 5555 80\r\n"
    first = node.dial()
    first.sendall(header[:20])
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 4, "a part of its time is over")
    second = node.dial()
    second.sendall(header[:20])
    first.sendall(header[20:] + b"GET /ws HTTP/1.1\r\n")
    received = b""
    while chunk := first.recv(65536):
        received += chunk
    assert http.parse(received).status == 408
    second.setblocking(False)
    with pytest.raises(BlockingIOError):  # it has come later, and has time left
        second.recv(1)
    first.close()
    second.close()


@BY_BOTH
def test_request_in_single_bytes(node):
    request = ws.upgrade_request(headers=[("Authorization", f"Bearer {jwt.mint()}")])
    with node.dial() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request:
            connection.sendall(bytes([byte]))
        assert connection.recv(65536).startswith(b"HTTP/1.1 101 ")


@BY_BOTH
def test_frames_in_one_packet_with_the_request(node):
    """A client may not, but some do; and a proxy may join what came apart."""
    request = ws.upgrade_request(headers=[("Authorization", f"Bearer {jwt.mint()}")])
    with node.dial() as connection:
        connection.sendall(request + ws.frame(ws.TEXT, b'{"type":"ping","id":7}'))
        received = b""
        while b'"pong"' not in received:
            chunk = connection.recv(65536)
            assert chunk, received
            received += chunk
        assert received.index(b'"session_init"') < received.index(b'"pong"')


# --- behind proxies ---


def v2(source, port=5555, command=1, family=0x11):
    body = socket.inet_aton(source) + socket.inet_aton("192.0.2.9") + struct.pack("!HH", port, 80) if family == 0x11 else \
        socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, "2001:db8::9") + struct.pack("!HH", port, 80)
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x20 | command, family]) + struct.pack("!H", len(body)) + body


def test_proxy_protocol_from_a_trusted_address(launch):
    node = launch({"trusted_proxies": ["127.0.0.0/8"], "proxy_protocol": "optional"})
    with node.connect("one", before=b"PROXY TCP4 203.0.113.7 192.0.2.9 5555 80\r\n"), \
            node.connect("two", before=v2("203.0.113.8")), node.connect("six", before=v2("2001:db8::1", family=0x21)), \
            node.connect("unknown", before=b"PROXY UNKNOWN\r\n"), node.connect("local", before=v2("203.0.113.9", command=0)):
        assert addresses(node) == {"one": "203.0.113.7", "two": "203.0.113.8", "six": "2001:db8::1", "unknown": "127.0.0.1",
                                   "local": "127.0.0.1"}


def test_broken_proxy_header(launch):
    node = launch({"trusted_proxies": ["127.0.0.0/8"], "proxy_protocol": "optional"})
    for header in (b"PROXY TCP4 203.0.113.7\r\n", b"PROXY TCP4 999.0.0.1 192.0.2.9 5555 80\r\n", v2("203.0.113.8")[:13] + b"\x11\xff\xff"):
        request = ws.upgrade_request(headers=[("Authorization", f"Bearer {jwt.mint()}")])
        assert b" 101 " not in http.raw(node.public, header + request)


def test_proxy_protocol_from_a_stranger(launch):
    node = launch({"trusted_proxies": ["192.0.2.0/24"], "proxy_protocol": "optional"})
    request = ws.upgrade_request(headers=[("Authorization", f"Bearer {jwt.mint()}")])
    assert b" 101 " not in http.raw(node.public, b"PROXY TCP4 203.0.113.7 192.0.2.9 5555 80\r\n" + request)


def test_proxy_header_where_it_is_required(launch):
    node = launch({"trusted_proxies": ["127.0.0.1"], "proxy_protocol": "required"})
    assert http.raw(node.public, ws.upgrade_request(headers=[("Authorization", f"Bearer {jwt.mint()}")])) == b""
    node.connect(before=b"PROXY TCP4 203.0.113.7 192.0.2.9 5555 80\r\n").close()


def test_connections_are_limited_by_the_address_behind_the_proxy(launch):
    node = launch({"trusted_proxies": ["127.0.0.1"], "limits.connections_per_address": 1})
    with node.connect("a", headers=[("X-Forwarded-For", "203.0.113.7")]), \
            node.connect("b", headers=[("X-Forwarded-For", "203.0.113.8")]):
        with pytest.raises(Refused) as refused:
            node.connect("c", headers=[("X-Forwarded-For", "203.0.113.7")])
        assert refused.value.response.status == 429


@pytest.mark.parametrize("trusted, given, seen", [
    (["127.0.0.1"], "203.0.113.7", "203.0.113.7"),
    (["127.0.0.1"], "198.51.100.1, 203.0.113.7", "203.0.113.7"),
    (["127.0.0.1", "203.0.113.0/24"], "198.51.100.1, 203.0.113.7", "198.51.100.1"),
    (["127.0.0.1"], "2001:db8::7", "2001:db8::7"),
    (["127.0.0.1"], "nonsense", "127.0.0.1"),
    ([], "203.0.113.7", "127.0.0.1"),
])
def test_forwarded_for_counts_from_trusted_proxies_only(launch, trusted, given, seen):
    node = launch({"trusted_proxies": trusted})
    with node.connect("who", headers=[("X-Forwarded-For", given)]):
        assert addresses(node) == {"who": seen}


# --- liveness ---


def test_pings_and_a_dead_peer(launch):
    node = launch({"ping_interval": "1s", "pong_timeout": "3s"})
    with node.connect("alive") as alive, node.connect("dead") as dead:
        dead.pong = False
        answering = threading.Thread(target=alive.expect_close, args=(1008, "disconnected"))
        answering.start()
        dead.expect_close(1001, "pong_timeout")
        until(lambda: [s["user"] for s in sessions(node)] == ["alive"], "only the living session is left")
        assert node.api("POST", "/api/v1/disconnect", {"user": "alive"}).json == {"count": 1}
        answering.join()


def test_the_first_pings_do_not_come_all_at_once(launch):
    """Of sessions that start together, as after a restart."""
    node = launch({"ping_interval": "3s"})
    clients = [node.connect(f"user-{n}") for n in range(8)]
    came = []
    for client in clients:
        client.socket.setblocking(False)
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
        while len(came) < len(clients):
            for key, _ in selector.select(DEADLINE_S):
                selector.unregister(key.fileobj)
                assert key.fileobj.recv(1000)[0] == 0x80 | ws.PING
                came.append(time.monotonic())
    assert came[-1] - came[0] > 0.5
    for client in clients:
        client.drop()


@BY_BOTH
def test_many_come_and_go(node):
    for n in range(300):
        client = node.connect(f"user-{n}")
        client.subscribe(f"channel-{n}")
        client.subscribe("all")
        client.drop() if n % 2 else client.close()
    until(lambda: node.metric("carillon_sessions") == 0 and node.metric("carillon_subscriptions") == 0, "all are forgotten")
    until(lambda: node.metric("carillon_channels") == 0, "their channels are forgotten")


@BY_BOTH
def test_a_connection_that_vanishes_is_forgotten(node):
    client = node.connect("gone")
    client.subscribe("news")
    client.drop()
    until(lambda: not sessions(node), "the session is gone")
    until(lambda: node.metric("carillon_subscriptions") == 0, "its subscription is gone")
