"""Peers and moments that nobody plans for: calls in flight at the end, signals at the wrong time, clients that take nothing."""
import json
import signal
import socket

import pytest
from support import http, jwt, ws
from support.carillon import API_KEY
from support.transports import BY_BOTH
from support.wait import DEADLINE_S, until


def post_publish(node, channel="news"):
    """Sends a publish and leaves the answer for later."""
    body = json.dumps({"channel": channel, "type": "test", "data": 1}).encode()
    connection = socket.create_connection(node.internal, DEADLINE_S)
    connection.sendall(b"POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n"
                       % (API_KEY.encode(), len(body)) + body)
    return connection


@pytest.mark.parametrize("workers", [1, 2])
def test_the_end_does_not_wait_for_a_publish_without_an_answer(launch, redis, workers):
    node = launch({"redis.url": redis.url, "redis.command_timeout": "1m", "redis.canary_interval": "5m", "workers": workers})
    until(node.ready, "the node has Redis")
    redis.freeze()
    try:
        with post_publish(node):
            until(lambda: node.metric("carillon_events_in_total", source="http") > 0, "the publish waits for Redis")
            node.signal(signal.SIGTERM)
            assert node.wait() == 0
    finally:
        redis.thaw()


@BY_BOTH
def test_signals_while_it_ends_change_nothing(launch):
    for _ in range(5):
        node = launch({"close_timeout": "200ms"})
        with node.connect():
            node.signal(signal.SIGTERM)
            node.logged("draining")
            node.signal(signal.SIGINT)
            until(lambda: node.signal(signal.SIGHUP) or node.process.poll() is not None, "the node ends")
            assert node.wait() == 0


def test_refresh_needs_the_scopes_of_the_endpoint(launch):
    node = launch({"endpoints": [{"path": "/ws", "require_scopes": ["chat"]}]})
    with node.connect(claims={"scope": "chat"}) as client:
        error = client.error("refresh", "forbidden", token=jwt.mint("user-456"))
        assert "scope_missing" in error["message"], error
        client.ask("refresh", "refreshed", token=jwt.mint("user-456", scope="chat other"))


@BY_BOTH
def test_a_peer_that_ends_with_bytes_unsent_goes_soon(launch):
    """Without waiting until the kernel gives up on it."""
    node = launch({"outbox.max_bytes": "64m", "ping_interval": "0"})
    client = node.connect(receive_buffer=2048)
    client.subscribe("news")

    def is_stalled():
        node.publish("news", "x" * 60000)
        return node.api("GET", "/api/v1/sessions").json["sessions"][0]["outbox_bytes"] > 1 << 20

    until(is_stalled, "the kernel takes no more")
    http.end_side(client.socket)
    until(lambda: node.metric("carillon_connections_open") == 0, "the connection is gone")
    client.socket.close()


def test_head_is_get_without_the_body(launch):
    node = launch()
    received = http.raw(node.internal, b"HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\nbad\r\n\r\n")
    head, _, rest = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and b"Content-Length: 19" in head, received
    bad = http.parse(rest)
    assert bad.status == 400 and len(bad.body) == int(bad.headers["content-length"]) > 0, received


@BY_BOTH
def test_a_handshake_for_no_host_is_told_so(launch):
    node = launch()
    answer = http.parse(node.exchange(ws.upgrade_request(headers=[("Authorization", f"Bearer {jwt.mint()}")], host="")))
    assert answer.status == 400 and "Host" in answer.json["error"]["message"], answer


def test_http_1_0_gets_no_interim_answer(launch):
    node = launch()
    received = http.raw(node.internal, b"POST /api/v1/publish HTTP/1.0\r\nX-API-Key: %s\r\nExpect: 100-continue\r\n"
                        b"Content-Length: 1\r\n\r\n" % API_KEY.encode(), shut=True)
    assert received == b"", received
