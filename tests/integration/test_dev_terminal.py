"""What `carillon dev` shows while it runs: one short line for each thing that happens."""
import json
import re
import ssl

import pytest
from support import http as own_http
from support import ws
from support.wait import until
from test_dev_start import dev  # noqa: F401 (a fixture)

AT = r"(?m)^\d\d:\d\d:\d\d\.\d{3} "


def test_a_line_for_each_thing_that_happens(dev):  # noqa: F811
    one = dev("--user", "ada", "--user", "bob")
    with one.client(0) as ada, one.client(1) as bob:
        for client in (ada, bob):
            client.start()
            client.subscribe("room:1")
        one.publish("room:1", {"text": "hello"})
        bob.ask("publish", "published", channel="room:1", type="test", data=1)
        session = ada.init["session_id"][-12:-6]
        ada.ask("publish", "error", channel="room:1", type="ping", data=1)
    for line in (rf"connect +ada {session} +from 127\.0\.0\.1$", rf"subscribe +ada {session} +room:1$",
                 r"publish +room:1 +test, 17 bytes$", r"publish +room:1 +test, 1 bytes, by bob$", r"deliver +room:1 +test to 2$",
                 rf"error +ada {session} +\w+: .*\"ping\".*$", rf"close +ada {session} +1006 without a close frame$"):
        one.logged(AT + line)


def test_refusals_are_explained_in_a_sentence(dev):  # noqa: F811
    one = dev("--preset", "request-response")
    token = one.facts["token"]
    page = {"Origin": "http://localhost:5173"}
    cases = [
        ({"path": "/wss"}, r"refuse +404 +/wss: there is nothing at this path: \"/wss\" is no endpoint; the endpoints are /"),
        ({"path": f"/?Authorization={token}x", "protocols": ["app-v1", token]}, r"refuse +400 +/: the request carries two different tokens"),
        ({"path": f"/?Authorization={token}", "protocols": ["chat"]},
         r"refuse +101 +/: the browser will end this connection with code 1006: it has offered the subprotocol \"chat\", and "
         r"`subprotocols` of the endpoint has app-v1"),
        ({"path": "/?Authorization=a.b.c", "protocols": ["app-v1"]}, r"refuse +\d+ +/: the token is not valid: "),
    ]
    for case, line in cases:
        lines = "".join(f"{name}: {value}\r\n" for name, value in page.items())
        if "protocols" in case:
            lines += "Sec-WebSocket-Protocol: " + ", ".join(case["protocols"]) + "\r\n"
        head = (f"GET {case['path']} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n")
        own_http.raw(one.public, head.encode(), shut=True)
        one.logged(AT + line)
    assert token not in one.log()


def test_tls_at_a_listener_without_it(dev):  # noqa: F811
    one = dev("--limits-head-timeout", "100ms")
    with pytest.raises(OSError), ssl.create_default_context().wrap_socket(own_http.socket.create_connection(one.public), server_hostname="localhost"):
        pass
    one.logged(AT + r"refuse +\d+ +.*it is TLS, and this listener has no certificate; connect to ws:// in place of wss://")


def test_many_deliveries_of_a_turn_are_one_line(dev):  # noqa: F811
    one = dev()
    clients = [ws.Client(one.public, one.facts["token"]).start() for _ in range(20)]
    try:
        for client in clients:
            client.subscribe("room:1")
        one.publish("room:1", 1)
        one.logged(AT + r"deliver +room:1 +test to 20$")
    finally:
        for client in clients:
            client.close()


def test_what_nobody_can_read_is_only_counted(dev):  # noqa: F811
    """A thousand events in one request are more than a second may show."""
    one = dev()
    commands = [{"publish": {"channel": "room:1", "type": "test", "data": n}} for n in range(1000)]

    def counted():
        answer = own_http.request(one.internal, "POST", "/api/v1/batch", {"commands": commands}, {"X-API-Key": one.facts["api_key"]})
        assert answer.status == 200, answer
        return re.search(r"(?m)^\((\d+) more lines, not shown\)$", one.log())

    until(counted, "the rest is counted")


def test_quiet(dev):  # noqa: F811
    one = dev("--quiet")
    with one.client() as client:
        client.start()
        client.subscribe("room:1")
    own_http.raw(one.public, b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n", shut=True)
    one.close()
    assert not re.search(AT, one.log())


def test_lines_are_json_where_the_log_is(dev):  # noqa: F811
    one = dev("--log-format", "json")
    with one.client() as client:
        client.start()
        until(lambda: '"module":"dev"' in one.log(), "a line comes")
    lines = [json.loads(line) for line in one.log().splitlines()]
    assert any(line["module"] == "dev" and "connect" in line["message"] for line in lines)


def test_hostile_names_cannot_drive_the_terminal(dev):  # noqa: F811
    one = dev()
    answer = own_http.request(one.internal, "POST", "/dev/v1/tokens", {"sub": "\x1b[2Ja\nb"})
    with ws.Client(one.public, answer.json["token"]) as client:
        client.start()
        one.logged(AT + r"connect +\\x1b\[2Ja\\x0ab ")
    assert "\x1b" not in one.log()


def test_serve_shows_nothing(node):
    with node.connect() as client:
        client.subscribe("room:1")
    assert not re.search(AT, node.log())



