"""The internal listener: keys, the administration of sessions and channels, health and metrics."""
import re
import socket
from urllib.parse import quote

import pytest
from support import http
from support.carillon import API_KEY
from support.routes import routes
from support.wait import DEADLINE_S, until

ROUTES = [(method, path.replace("{}", "x")) for method, path, key in routes() if key]


@pytest.mark.parametrize("method, path", ROUTES)
def test_no_route_without_a_key(node, method, path):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"X-API-Key": "wrong"}, {"X-API-Key": API_KEY[:-1]},
                    {"Authorization": f"Basic {API_KEY}"}, {"X-API-Key": API_KEY + "x"}, {"X-API-Key": ""}):
        answer = http.request(node.internal, method, path, b"{}" if method == "POST" else None, headers)
        assert answer.status == 401 and answer.json["error"]["code"] == "unauthorized", answer


def test_two_keys_and_two_headers(launch):
    second = "the-second-api-key-for-tests-only"
    node = launch({"api.keys": [API_KEY, second]})
    for key in (API_KEY, second):
        assert http.request(node.internal, "GET", "/api/v1/info", headers={"Authorization": f"Bearer {key}"}).status == 200
        assert http.request(node.internal, "GET", "/api/v1/info", headers={"X-API-Key": key}).status == 200


def test_without_keys_the_api_is_closed(launch):
    node = launch({"api.keys": None})
    assert http.request(node.internal, "GET", "/api/v1/info").status == 401
    assert http.request(node.internal, "GET", "/api/v1/info", headers={"X-API-Key": ""}).status == 401
    assert http.request(node.internal, "GET", "/livez").status == 200


def test_what_is_not_there(node):
    assert node.api("GET", "/api/v1/nothing").status == 404
    assert node.api("GET", "/api/v2/info").status == 404
    answer = node.api("GET", "/api/v1/publish")
    assert answer.status == 405 and "POST" in answer.headers["allow"]
    assert node.api("GET", "/api/v1/channels/nobody-is-here").status == 404
    assert node.api("GET", "/ws").status == 404


def test_keep_alive(node):
    request = (f"GET /api/v1/info HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\n\r\n").encode()
    last = request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    received = http.raw(node.internal, request + last)
    assert received.count(b"HTTP/1.1 200") == 2, received


def test_body_too_large(node):
    answer = http.raw(node.internal, b"POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Length: 99999999999\r\n\r\n"
                      % API_KEY.encode())
    assert http.parse(answer).status == 413


def test_body_in_pieces(node):
    body = b'{"channel":"c","type":"t","data":1}'
    with socket.create_connection(node.internal, DEADLINE_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Length: %d\r\n\r\n"
                           % (API_KEY.encode(), len(body)))
        for byte in body:
            connection.sendall(bytes([byte]))
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_body_that_never_comes_does_not_keep_the_server(node):
    with socket.create_connection(node.internal, DEADLINE_S) as half:
        half.sendall(b"POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Length: 10\r\n\r\n{" % API_KEY.encode())
        assert node.api("GET", "/api/v1/info").status == 200


def test_disconnect_a_user(node):
    with node.connect("eve") as one, node.connect("eve") as two, node.connect("bob") as other:
        answer = node.api("POST", "/api/v1/disconnect", {"user": "eve"})
        assert answer.status == 200 and answer.json["count"] == 2
        for client in (one, two):
            client.expect_close(1008, "disconnected")
            assert [frame["error"]["code"] for frame in client.skipped] == ["forbidden"], client.skipped
        other.nothing_before_pong()


def test_disconnect_a_session_with_code_and_reason(node):
    with node.connect("eve") as one, node.connect("eve") as two:
        answer = node.api("POST", "/api/v1/disconnect", {"session_id": one.init["session_id"], "code": 4002, "reason": "moved house"})
        assert answer.json["count"] == 1
        one.expect_close(4002, "moved house")
        assert one.skipped == [], "no error frame, which would give another reason"
        two.nothing_before_pong()


@pytest.mark.parametrize("body", [{}, {"user": ""}, {"user": 7}, {"user": "x", "session_id": "y"}, {"user": "x", "code": 1005},
                                  {"user": "x", "code": 999}, {"user": "x", "code": 5000}, {"user": "x", "reason": "r" * 124}])
def test_bad_disconnect(node, body):
    answer = node.api("POST", "/api/v1/disconnect", body)
    assert answer.status == 400 and answer.json["error"]["code"] == "invalid_request", answer


def test_disconnect_of_nobody(node):
    answer = node.api("POST", "/api/v1/disconnect", {"user": "nobody"})
    assert answer.status == 200 and answer.json["count"] == 0


def test_subscribe_and_unsubscribe_from_outside(launch):
    node = launch({"channels": []})
    with node.connect("eve") as one, node.connect("eve") as two, node.connect("bob") as other:
        assert node.api("POST", "/api/v1/subscribe", {"user": "eve", "channel": "vip"}).json["count"] == 2
        one.expect("subscribed", channel="vip")
        two.expect("subscribed", channel="vip")
        node.publish("vip", 1)
        one.expect("test")
        two.expect("test")
        answer = node.api("POST", "/api/v1/unsubscribe", {"session_id": one.init["session_id"], "channel": "vip"})
        assert answer.json["count"] == 1
        one.expect("unsubscribed", channel="vip")
        node.publish("vip", 2)
        assert two.expect("test")["data"] == 2
        one.nothing_before_pong()
        other.nothing_before_pong()
    assert node.api("POST", "/api/v1/subscribe", {"user": "eve", "channel": "with space"}).status == 400
    assert node.api("POST", "/api/v1/subscribe", {"user": "eve"}).status == 400


def test_channels(node):
    with node.connect() as one, node.connect() as two:
        one.subscribe("b:with/slash")
        one.subscribe("a")
        two.subscribe("a")
        listed = {c["channel"]: c["subscribers"] for c in node.api("GET", "/api/v1/channels").json["channels"]}
        assert listed == {"a": 2, "b:with/slash": 1}
        answer = node.api("GET", f"/api/v1/channels/{quote('b:with/slash', safe='')}")
        assert answer.status == 200 and answer.json["subscribers"] == 1, answer
        one.ask("unsubscribe", "unsubscribed", channel="a")
        assert node.api("GET", "/api/v1/channels/a").json["subscribers"] == 1


def test_history_of_a_channel_that_has_none(node):
    answer = node.api("GET", "/api/v1/channels/x/history")
    assert (answer.status, answer.json) == (200, {"channel": "x", "events": [], "more": False})


def test_sessions(node):
    with node.connect("eve") as one, node.connect("bob"):
        one.subscribe("a")
        answer = node.api("GET", "/api/v1/sessions").json
        by_user = {s["user"]: s for s in answer["sessions"]}
        assert set(by_user) == {"eve", "bob"}
        assert by_user["eve"]["session_id"] == one.init["session_id"]
        assert by_user["eve"]["address"] == "127.0.0.1"


def test_sessions_come_in_pages(node):
    clients = [node.connect(f"user-{n:02}") for n in range(25)]
    seen, query = [], "?limit=10"
    for _ in range(5):
        page = node.api("GET", f"/api/v1/sessions{query}").json
        assert len(page["sessions"]) <= 10
        seen += [s["user"] for s in page["sessions"]]
        if not page.get("next"):
            break
        query = f"?limit=10&after={quote(page['next'], safe='')}"
    assert sorted(seen) == [f"user-{n:02}" for n in range(25)]
    for client in clients:
        client.drop()


def test_info(node):
    with node.connect():
        info = node.api("GET", "/api/v1/info").json
        assert len(info["nodes"]) == 1
        me = info["nodes"][0]
        assert me["sessions"] == 1
        assert re.fullmatch(r"\d+\.\d+\.\d+.*", me["version"])


def test_health(node):
    for path in ("/livez", "/readyz"):
        assert http.request(node.internal, "GET", path).status == 200
    ready = http.request(node.internal, "GET", "/readyz").json
    assert "memory" in str(ready)


# --- metrics ---

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*)\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|\+Inf|NaN)')
SUFFIXES = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_count", "_sum"], "info": ["_info"]}


def parse_openmetrics(text):
    """Strict enough to fail on what Prometheus would not take. Returns {sample name with labels: value}."""
    lines = text.split("\n")
    assert lines[-2:] == ["# EOF", ""], "ends with # EOF"
    kinds, samples, family = {}, {}, None
    for line in lines[:-2]:
        if line.startswith("# "):
            _, word, name, rest = line.split(" ", 3)
            assert word in ("TYPE", "HELP", "UNIT"), line
            if word == "TYPE":
                assert name not in kinds, f"{name} twice"
                kinds[name] = rest
            if word == "UNIT":
                assert name.endswith("_" + rest), line
            family = name
            continue
        match = SAMPLE.fullmatch(line)
        assert match, f"no sample: {line!r}"
        assert match.group(1) in [family + suffix for suffix in SUFFIXES[kinds[family]]], f"{line} in family {family}"
        key = f"{match.group(1)}{{{match.group(2) or ''}}}"
        assert key not in samples, f"{key} twice"
        samples[key] = float(match.group(3))
    check_histograms(kinds, samples)
    return kinds, samples


def check_histograms(kinds, samples):
    for name in (n for n, kind in kinds.items() if kind == "histogram"):
        series = {}
        for key, value in samples.items():
            if key.startswith(f"{name}_bucket{{"):
                rest = re.sub(r',?le="[^"]*"', "", key)
                series.setdefault(rest, []).append((float(re.search(r'le="([^"]*)"', key).group(1)), value))
        assert series or name.startswith("carillon_upstream_"), name  # those have a label for each upstream, and there is none
        for buckets in series.values():
            assert buckets == sorted(buckets), "buckets grow"
            assert buckets[-1][0] == float("inf")


def test_metrics(node):
    with node.connect() as one, node.connect() as two:
        one.subscribe("a")
        two.subscribe("a")
        for n in range(10):
            node.publish("a", n)
        for client in (one, two):
            for _ in range(10):
                client.expect("test")
            client.nothing_before_pong()
        answer = http.request(node.internal, "GET", "/metrics")
        assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        kinds, _ = parse_openmetrics(answer.body.decode())
        assert kinds["carillon_delivery_latency_seconds"] == "histogram"
        assert node.metric("carillon_sessions") == 2
        assert node.metric("carillon_subscriptions") == 2
        assert node.metric("carillon_events_in_total") == 10
        until(lambda: node.metric("carillon_deliveries_total") == 20, "20 deliveries")
        assert node.metric("carillon_delivery_latency_seconds_count") >= 10
        assert node.metric("carillon_broker_up") == 1
        assert node.metric("process_resident_memory_bytes") > 1 << 20


def test_refusals_are_counted(node):
    for _ in range(3):
        with pytest.raises(Exception, match="401"):
            node.client("nonsense")
    assert node.metric("carillon_connections_refused_total", reason="token_invalid") == 3


@pytest.mark.parametrize("path, says", [
    ("sessions?usr=ada", '"usr" is no query parameter of this route; it takes limit, after, user'),
    ("sessions?user=", "user: expected a text that is not empty"),
    ("sessions?limit=1&us%65=ada", "is no query parameter"),
    ("channels?user=ada", "it takes limit, after, prefix"),
    ("channels/room/history?since=1", "it takes since_offset, since_epoch, before_offset, before_epoch, limit"),
    ("channels/room/presence?user=ada", "it takes limit, after"),
])
def test_a_query_parameter_that_the_route_does_not_have_is_refused(node, path, says):
    answer = node.api("GET", "/api/v1/" + path)
    assert answer.status == 400 and says in answer.json["error"]["message"], answer


def test_query_parameters_in_any_spelling_are_taken(node):
    for path in ("sessions?us%65r=ada", "sessions?", "sessions?user=ada&", "sessions?&after=&limit=1", "channels?prefix="):
        assert node.api("GET", "/api/v1/" + path).status == 200, path


def test_an_empty_body_is_said(node):
    for route in ("publish", "broadcast", "batch", "disconnect", "subscribe", "unsubscribe", "revoke"):
        answer = node.api("POST", "/api/v1/" + route)
        assert answer.status == 400 and answer.json["error"]["message"] == "the body is empty; a JSON object is expected", answer


def test_a_slip_in_the_name_of_a_member_is_said(node):
    answer = node.api("POST", "/api/v1/publish", {"chanel": "news", "type": "test", "data": 1})
    assert answer.status == 400 and answer.json["error"]["message"] == 'channel: is missing; the member "chanel" is unknown', answer
