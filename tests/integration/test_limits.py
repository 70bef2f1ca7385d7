"""Every limit of the option table holds. The tests try to get around it by each command, by refreshing and reconnecting, in fragments, with
control frames, pipelined, and by each way in. The table is walked: a limit without a probe fails. A probe is a
function here, or the name of a test elsewhere that is one."""
import json
import re
import socket
from pathlib import Path

import pytest
from support import http, jwt, ws
from support.carillon import run
from support.wait import DEADLINE_S, until
from support.ws import Closed, Refused

PROBES = {
    "limits.pending_connections": "test_crowd.py::test_a_crowd_keeps_nobody_out",
    "limits.http_connections": "test_crowd.py::test_internal_connections_that_have_asked_are_counted",
    "limits.event_bytes": "test_live.py::test_a_live_option_is_live",
    "limits.user_share": "test_names.py::test_one_users_names_do_not_displace_anothers",
    "api.max_bodies": "test_http.py::test_all_bodies_together_have_a_limit",
}


def probe(*keys):
    def keep(function):
        for key in keys:
            assert key not in PROBES
            PROBES[key] = function
        return function
    return keep


def limit_rows():
    rows, entries_of = [], ""
    for line in run("reference", "--options").stdout.splitlines():
        if line.startswith("## "):
            heading = re.fullmatch(r"## Entries of (\S+)", line)
            entries_of = f"{heading.group(1)}[]." if heading else ""
        row = re.match(r"\| `([a-z_.]+)` \|", line)
        if row and re.match(r"limits\.|outbox\.|api\.max_|token\.max_|revocation\.max|endpoints\[\]\.max_", entries_of + row.group(1)):
            rows.append(entries_of + row.group(1))
    return rows


@pytest.mark.parametrize("key", limit_rows())
def test_a_limit_is_one(launch, key):
    found = PROBES.get(key)
    assert found, f"{key} is a limit: try here to get around it"
    if callable(found):
        found(launch)
        return
    file, test = found.split("::")
    assert f"\ndef {test}(" in (Path(__file__).parent / file).read_text(), f"{found} is not there"


def test_no_probe_is_left_over():
    assert set(PROBES) - set(limit_rows()) == set()


def comes_in(node, token, **options):
    try:
        client = node.client(token, **options)
        if client.receive()["type"] == "session_init":
            return client
        client.drop()  # refused by an error frame
    except (Refused, Closed):
        pass
    return None


# --- connections ---


@probe("limits.connections")
def sessions(launch):
    """By other users, from other addresses, on other endpoints and workers, in heads that come together, by coming back."""
    node = launch({"limits.connections": 3, "workers": 3, "limits.connections_per_address": 1000, "trusted_proxies": ["127.0.0.1"],
                   "endpoints": [{"path": "/ws"}, {"path": "/too", "reject": "close"}]})
    here = [node.connect(f"user-{n}") for n in range(3)]
    for n in range(10):
        assert not comes_in(node, jwt.mint(f"other-{n}"), path="/too" if n % 2 else "/ws", headers=[("X-Forwarded-For", f"203.0.113.{n}")])
    begun = [socket.create_connection(node.public, DEADLINE_S) for _ in range(10)]
    request = ws.upgrade_request(headers=[("Authorization", f"Bearer {jwt.mint()}")])
    for one in begun:
        one.sendall(request[:40])
    for one in begun:
        one.sendall(request[40:])
    assert [one.recv(65536)[:12] for one in begun] == [b"HTTP/1.1 429"] * 10
    for one in begun:
        one.close()
    for _ in range(5):
        here.pop().drop()
        here.append(until(lambda: comes_in(node, jwt.mint()), "its place is free"))
        assert not comes_in(node, jwt.mint())
    assert node.metric("carillon_sessions") == 3
    for one in here:
        one.close()


@probe("limits.connections_per_address")
def of_an_address(launch):
    """By other users, by claiming another address, by other addresses of the same /64."""
    node = launch({"limits.connections_per_address": 2, "trusted_proxies": ["127.0.0.1"], "proxy_protocol": "optional", "workers": 3})
    with node.connect("a", headers=[("X-Forwarded-For", "2001:db8::1")]), node.connect("b", headers=[("X-Forwarded-For", "2001:db8::2")]):
        for claimed in ("2001:db8::3", "198.51.100.7, 2001:db8::1", "2001:db8:0:0:1::"):
            assert not comes_in(node, jwt.mint("c"), headers=[("X-Forwarded-For", claimed)])
        assert not comes_in(node, jwt.mint("c"), before=b"PROXY TCP6 2001:db8::7 2001:db8::9 5555 80\r\n")
        comes_in(node, jwt.mint("c"), headers=[("X-Forwarded-For", "2001:db8:0:1::1")]).close()


@probe("limits.connections_per_user")
def of_a_user(launch):
    """By other tokens of the user, on other endpoints and workers, by a refresh to them."""
    node = launch({"limits.connections_per_user": 2, "workers": 3, "endpoints": [{"path": "/ws"}, {"path": "/too"}]})
    with node.connect("ann") as one, node.connect("ann", path="/too"):
        for n in range(6):
            assert not comes_in(node, jwt.mint("ann", jti=str(n), expires_s=600 + n), path=("/ws", "/too")[n % 2])
        one.ask("refresh", "refreshed", token=jwt.mint("ann", jti="more"))
        one.error("refresh", "conflict", token=jwt.mint("bob"))
        assert not comes_in(node, jwt.mint("ann"))


@probe("endpoints[].max_connections")
def of_an_endpoint(launch):
    node = launch({"workers": 3, "endpoints": [{"path": "/ws", "max_connections": 2}, {"path": "/too"}]})
    with node.connect("a"), node.connect("b"):
        for n, path in enumerate(["/ws", "/ws?x=1", "/ws?token="] * 2):
            assert not comes_in(node, jwt.mint(f"c-{n}"), path=path)
        node.connect("c", path="/too").close()


@probe("limits.head_bytes")
def head_bytes(launch):
    node = launch({"limits.head_bytes": "1k", "token.max_bytes": 256})
    for address in (node.public, node.internal):
        for head in (b"GET /" + b"x" * 2000, b"GET / HTTP/1.1\r\nHost: " + b"x" * 2000, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 400,
                     b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"x" * 2000):
            assert http.parse(http.raw(address, head)).status in (414, 431), head[:30]
            with socket.create_connection(address, DEADLINE_S) as drip:
                for at in range(0, len(head), 100):
                    try:
                        drip.sendall(head[at:at + 100])
                    except OSError:
                        break
                assert drip.recv(65536).split()[1] in (b"414", b"431")


@probe("limits.head_timeout")
def head_timeout(launch):
    """A byte now and then does not make it longer."""
    node = launch({"limits.head_timeout": "1s"})
    for address in (node.public, node.internal):
        assert ends_while_it_drips(address, b"GET / HTTP/1.1\r\n", b"A: b\r\n")


@probe("limits.body_timeout")
def body_timeout(launch):
    node = launch({"limits.body_timeout": "1s"})
    head = b"POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nX-API-Key: an-api-key-for-tests-only\r\n"
    assert ends_while_it_drips(node.internal, head + b"Content-Length: 100000\r\n\r\n", b" ")
    assert ends_while_it_drips(node.internal, head + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n")


def ends_while_it_drips(address, begin, drop):
    with socket.create_connection(address, DEADLINE_S) as drip:
        drip.sendall(begin)
        drip.settimeout(0.05)

        def has_ended():
            try:
                drip.sendall(drop)
                got = drip.recv(65536)
                return None if b" 200 " in got[:20] else got
            except TimeoutError:
                return None
            except OSError:
                return True

        got = until(has_ended, "it ends")
        return got is True or b" 408 " in got[:20]


@probe("limits.http_keepalive")
def http_keepalive(launch):
    """Also with empty lines, which are no request."""
    node = launch({"limits.http_keepalive": "1s", "limits.head_timeout": "1s"})
    with socket.create_connection(node.internal, DEADLINE_S) as idle:
        idle.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert idle.recv(65536) == b""
    assert ends_while_it_drips(node.internal, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET", b" ")


# --- the HTTP API and tokens ---


@probe("api.max_body")
def max_body(launch):
    node = launch({"api.max_body": "1k"})
    body = json.dumps({"channel": "a", "type": "t", "data": "x" * 2000}).encode()
    for path in ("publish", "broadcast", "batch", "disconnect", "revoke"):
        assert node.api("POST", f"/api/v1/{path}", body).status == 413
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[at:at + 100]), body[at:at + 100]) for at in range(0, len(body), 100)) + b"0\r\n\r\n"
        head = f"POST /api/v1/{path} HTTP/1.1\r\nHost: x\r\nX-API-Key: an-api-key-for-tests-only\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert http.parse(http.raw(node.internal, head.encode() + chunks)).status == 413


@probe("api.max_batch")
def max_batch(launch):
    node = launch({"api.max_batch": 2})
    event = {"channel": "a", "type": "t", "data": 1}
    refused = node.api("POST", "/api/v1/broadcast", {"channels": ["a", "b", "c"], "type": "t", "data": 1})
    assert refused.status in (400, 413), refused
    assert node.api("POST", "/api/v1/broadcast", {"channels": ["a"] * 3, "type": "t", "data": 1}).status in (400, 413)
    assert node.api("POST", "/api/v1/batch", {"commands": [{"publish": event}] * 3}).status in (400, 413)


@probe("token.max_bytes")
def token_bytes(launch):
    node = launch({"token.max_bytes": 512})
    long, short = jwt.mint(filler="x" * 600), jwt.mint()
    for options in ({"token": long}, {"path": f"/ws?token={long}"}, {"headers": [("Sec-WebSocket-Protocol", f"{ws.PROTOCOL}, {long}")]}):
        assert not comes_in(node, options.pop("token", None), **options)
    with node.client(short) as client:
        client.start().error("refresh", "unauthorized", token=long)


@probe("revocation.max")
def revocations(launch):
    node = launch({"revocation.max": 2})
    answers = [node.api("POST", "/api/v1/revoke", body).status for body in
               ({"jti": "a"}, {"user": "b"}, {"jti": "c"}, {"user": "d"}, {"jti": "e", "issued_before": 1})]
    assert answers[:2] == [200, 200] and all(status != 200 for status in answers[2:]), answers


# --- what a session sends ---


@probe("limits.message_bytes")
def message_bytes(launch):
    node = launch({"limits.message_bytes": "1k", "limits.message_rate": 0})
    parts = {
        "one frame": lambda client: client.send_text(b"x" * 1025),
        "two frames": lambda client: (client.send_frame(ws.TEXT, b"x" * 1000, fin=False), client.send_frame(ws.CONTINUATION, b"x" * 25)),
        "many frames": lambda client: (client.send_frame(ws.TEXT, b"", fin=False),
                                       *(client.send_frame(ws.CONTINUATION, b"x" * 5, fin=False) for _ in range(206))),
        "pings between": lambda client: (client.send_frame(ws.TEXT, b"x" * 1000, fin=False), client.send_frame(ws.PING, b"p"),
                                         client.send_frame(ws.CONTINUATION, b"x" * 100)),
        "announced": lambda client: client.send_raw(b"\x81\xff" + (1 << 40).to_bytes(8, "big") + b"mask" + b"x"),
    }
    for name, send in parts.items():
        with node.connect(name) as client:
            try:
                send(client)
            except OSError:
                pass  # it is closed meanwhile
            client.expect_close(1009, "message_too_big")


COMMANDS = {
    "ping": {},
    "subscribe": {"channel": "a"},
    "unsubscribe": {"channel": "a"},
    "publish": {"channel": "a", "type": "t", "data": 1},
    "history": {"channel": "log:a"},
    "presence": {"channel": "a"},
    "refresh": {"token": None},
    "nonsense": {},
}


@probe("limits.message_rate", "limits.message_burst")
def message_rate(launch):
    """By each command, mixed, all in one segment, in fragments, as bad messages, with a refresh in between, by two tokens in turn."""
    node = launch({"limits.message_rate": 1, "limits.message_burst": 10, "limits.bad_messages": 0, "ping_interval": "0"})
    tokens = [jwt.mint("ann"), jwt.mint("ann", rate_limit=120), jwt.mint("ann", rate_limit=30)]

    def command(type_, token=tokens[0]):
        data = {**COMMANDS[type_], "token": token} if type_ == "refresh" else COMMANDS[type_]
        return json.dumps({"type": type_, "data": data}).encode()

    runs = {type_: [command(type_)] for type_ in COMMANDS}
    runs["mixed"] = [command(type_) for type_ in COMMANDS]
    runs["no JSON"] = [b"{"]
    runs["two tokens in turn"] = [command("refresh", token) for token in tokens]
    runs["a refresh in between"] = [command("ping")] * 5 + [command("refresh")]
    for name, messages in runs.items():
        for cut in (False, True):
            with node.client(tokens[0]) as client:
                client.start()
                sent = [messages[n % len(messages)] for n in range(60)]
                client.send_raw(b"".join(ws.frame(ws.TEXT, text[:5], fin=False) + ws.frame(ws.CONTINUATION, text[5:]) if cut else
                                         ws.frame(ws.TEXT, text) for text in sent))
                client.send_raw(ws.frame(ws.PING, b"end"))
                answers = until_pong(client)
                limited = [a for a in answers if a.get("error", {}).get("code") == "rate_limited"]
                assert len(limited) >= 60 - 10 - 10, f"{name}: only {len(limited)} of 60 were limited"


def until_pong(client):
    """All messages before the answer to a ping."""
    messages = []
    while True:
        _, opcode, payload = client.receive_frame()
        if opcode == ws.PONG:
            return messages
        messages.append(json.loads(payload))


FLOODS = {
    "pings": ws.frame(ws.PING),
    "long pings": ws.frame(ws.PING, b"x" * 125),
    "pongs": ws.frame(ws.PONG),
    "long pongs": ws.frame(ws.PONG, b"x" * 125),
}


@pytest.mark.parametrize("name", [*FLOODS, "empty fragments", "single bytes"])
def test_a_flood_beside_messages_is_one(launch, name):
    """As many as a client likes to send, of what is no message, is limited like messages."""
    node = launch({"limits.message_rate": 10, "limits.message_burst": 20, "ping_interval": "0", "limits.message_bytes": "16m"})
    frames = FLOODS.get(name) or ws.frame(ws.CONTINUATION, b"" if name == "empty fragments" else b"x", fin=False)
    with node.connect("good") as good, node.connect("flood") as client:
        good.subscribe("news")
        if name not in FLOODS:
            client.send_frame(ws.TEXT, b'"', fin=False)

        def is_closed():
            try:
                client.send_raw(frames * 200)
            except OSError:
                return True
            return node.metric("carillon_sessions_closed_total", reason="rate_limited") == 1

        until(is_closed, "the flood is ended")
        until(lambda: node.metric("carillon_sessions_closed_total", reason="rate_limited") == 1, "it is told why")
        node.publish("news", 1)
        good.expect("test")


def test_an_honest_client_is_not_a_flood(launch):
    """Large messages in many parts and a ping each, as fast as the rate allows, cost nothing more."""
    node = launch({"limits.message_rate": 20, "limits.message_burst": 40, "ping_interval": "0", "limits.message_bytes": "1m"})
    with node.connect() as client:
        for n in range(40):
            text = json.dumps({"type": "ping", "id": n, "x": "x" * 100000}).encode()
            client.send_frame(ws.TEXT, text[:1000], fin=False)
            for at in range(1000, len(text), 10000):
                client.send_frame(ws.CONTINUATION, text[at:at + 10000], fin=at + 10000 >= len(text))
            client.send_frame(ws.PING, b"are you there")
            client.find("pong", id=n) if n < 20 else None
        until(lambda: node.metric("carillon_received_bytes_total") >= 40 * 100000, "all has come")
        assert node.metric("carillon_sessions_closed_total", reason="rate_limited") == 0


@probe("limits.bad_messages")
def bad_messages(launch):
    """Of all kinds together."""
    node = launch({"limits.bad_messages": 6, "limits.message_rate": 1, "limits.message_burst": 4})
    with node.connect() as client:
        client.send_raw(ws.frame(ws.TEXT, b"{") + ws.frame(ws.TEXT, b'{"type":"nonsense"}') + ws.frame(ws.TEXT, b"[", fin=False) +
                        ws.frame(ws.CONTINUATION, b"1") + ws.frame(ws.TEXT, b'"') + ws.frame(ws.TEXT, b'{"type":"ping","data":{}}') * 10)
        assert client.expect_close().code in (1008, 1013)
        assert sum(message["type"] == "error" for message in client.skipped) <= 7


@probe("limits.channels")
def channels(launch):
    """By each way to subscribe, by coming back to channels, by a backend."""
    node = launch({"limits.channels": 3})
    with node.connect("ann") as client:
        client.subscribe("log:a")
        client.ask("subscribe", "subscribed", channel="log:b", last=5)
        client.send_raw(b"".join(ws.frame(ws.TEXT, json.dumps({"type": "subscribe", "id": n, "data": {"channel": f"c-{n}"}}).encode())
                                 for n in range(10)))
        client.ask("ping", "pong")
        assert sum(message["type"] == "error" for message in client.skipped) == 9
        client.error("subscribe", "subscription_failed", channel="log:c", since={"epoch": "x", "offset": 1})
        client.error("subscribe", "subscription_failed", channel="log:c", last=1)
        answer = node.api("POST", "/api/v1/subscribe", {"user": "ann", "channel": "by-backend"})
        assert answer.json["count"] == 0, answer
        client.ask("refresh", "refreshed", token=jwt.mint("ann"))
        client.error("subscribe", "subscription_failed", channel="d")
        assert node.metric("carillon_subscriptions") == 3


# --- what it does not take ---


@probe("outbox.max_bytes")
def outbox_bytes(launch):
    """By events, and by the answers to its own commands."""
    node = launch({"outbox.max_bytes": "64k", "limits.event_bytes": "4k", "limits.message_rate": 0, "limits.bad_messages": 0, "ping_interval": "0"})
    slow_by_events(node, 4000)
    slow_by_answers(node)


@probe("outbox.max_messages")
def outbox_messages(launch):
    node = launch({"outbox.max_messages": 20, "outbox.max_bytes": "64m", "limits.message_rate": 0, "limits.bad_messages": 0, "ping_interval": "0"})
    slow_by_events(node, 30000)
    slow_by_answers(node)


def slow_by_events(node, size):
    before = node.metric("carillon_slow_consumers_total")
    client = ws.connect(node.public, jwt.mint(), receive_buffer=2048)
    client.subscribe("news")

    def is_sent_away():
        for _ in range(50):
            node.publish("news", "x" * size)
        return node.metric("carillon_slow_consumers_total") > before

    until(is_sent_away, "it is too slow")
    client.drop()


def slow_by_answers(node):
    before = node.metric("carillon_slow_consumers_total")
    client = ws.connect(node.public, jwt.mint(), receive_buffer=2048)
    asked = ws.frame(ws.TEXT, json.dumps({"type": "unsubscribe", "id": "x" * 60, "data": {"channel": "y" * 250}}).encode()) * 100

    def is_sent_away():
        try:
            client.send_raw(asked)
        except OSError:
            pass
        return node.metric("carillon_slow_consumers_total") > before

    until(is_sent_away, "it is too slow")
    client.drop()
