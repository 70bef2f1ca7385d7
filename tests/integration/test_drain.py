"""SIGTERM: no more newcomers, everyone is told when to come back and where not, and the process ends with 0."""
import json
import signal
import socket
import time

import pytest
from support import http, jwt, ws
from support.carillon import API_KEY
from support.transports import BY_BOTH
from support.wait import DEADLINE_S, SLOWDOWN, until

WINDOW_S = 2 * SLOWDOWN**0.5
NO_PINGS = {"ping_interval": 0}  # clients wait here without reading


def refused_or_reset(address):
    try:
        with socket.create_connection(address, DEADLINE_S) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            return not connection.recv(1)
    except OSError:
        return True


@BY_BOTH
@pytest.mark.parametrize("workers", [1, 2])
def test_drain(launch, workers):
    node = launch({**NO_PINGS, "drain_window": f"{WINDOW_S * 1000:.0f}ms", "workers": workers})
    clients = [node.connect(f"user-{n}") for n in range(20)]
    clients[0].subscribe("news")
    node.signal(signal.SIGTERM)
    began = time.monotonic()
    notices = [client.find("reconnect")["data"] for client in clients]
    assert all(n["reason"] == "draining" for n in notices), notices
    waits = [n["after_ms"] for n in notices]
    assert all(0 <= ms <= WINDOW_S * 1000 for ms in waits), waits
    assert max(waits) - min(waits) > WINDOW_S * 1000 / 4, f"not spread: {waits}"
    assert http.request(node.internal, "GET", "/readyz").status == 503
    assert http.request(node.internal, "GET", "/livez").status == 200
    until(lambda: refused_or_reset(node.public), "no newcomers are taken")
    # Those who have not left yet still get events.
    last = waits.index(max(waits))
    for client, ms in sorted(zip(clients, waits), key=lambda pair: pair[1]):
        client.expect_close(1001, "going_away", seconds=WINDOW_S + DEADLINE_S)
        if client is clients[last]:
            assert time.monotonic() - began > ms / 1000 * 0.8, "closed before its time"
    assert node.wait() == 0


def test_events_arrive_while_draining(launch):
    node = launch({"drain_window": f"{WINDOW_S * 1000:.0f}ms"})
    with node.connect() as client:
        client.subscribe("news")
        node.signal(signal.SIGTERM)
        client.find("reconnect")
        node.publish("news", 1)
        client.expect("test")
        client.close()
    assert node.wait() == 0


def test_the_window_ends_when_the_last_session_has_gone(launch):
    node = launch({"drain_window": "1h"})
    with node.connect() as client:
        node.signal(signal.SIGTERM)
        client.find("reconnect")
        client.close()
    assert node.wait() == 0


def test_idle_node_ends_at_once(launch):
    node = launch({"drain_window": "1h"})
    assert node.terminate() == 0


@BY_BOTH
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_ends_at_once(launch, second):
    node = launch({"drain_window": "1h"})
    with node.connect() as client:
        node.signal(signal.SIGTERM)
        client.find("reconnect")
        node.hurry(second)
        node.wait()
        client.expect_close()


def test_two_signals_at_once_are_one(launch):
    """As from a supervisor that signals the process, and then its group: sessions still get their time."""
    window_ms = int(WINDOW_S * 1000)
    node = launch({"drain_window": f"{window_ms}ms"})
    with node.connect() as client:
        node.signal(signal.SIGTERM)
        node.signal(signal.SIGINT)
        node.signal(signal.SIGTERM)
        client.find("reconnect")
        client.expect_close(1001, "going_away", seconds=WINDOW_S + DEADLINE_S)
    assert node.wait() == 0
    assert "second signal" not in node.log()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGPIPE, signal.SIGIO, signal.SIGXFSZ])
def test_signals_that_mean_nothing(launch, number):
    node = launch()
    with node.connect() as client:
        node.signal(number)
        client.nothing_before_pong()
        node.signal(signal.SIGTERM)
        client.expect_close(1001, "going_away")
    assert node.wait() == 0


def test_interrupt_drains_too(launch):
    node = launch({"drain_window": "100ms"})
    with node.connect() as client:
        node.signal(signal.SIGINT)
        client.find("reconnect")
        client.expect_close(1001, "going_away")
    assert node.wait() == 0


# --- API requests under way ---

EVENT = json.dumps({"channel": "log:a", "type": "t", "data": 1}).encode()


def publish_request(event_bytes=EVENT):
    return b"POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        API_KEY.encode(), len(EVENT), event_bytes)


def dial(node):
    return socket.create_connection(node.internal, DEADLINE_S)


def begin_call(node):
    """A publish for which the node waits for Redis."""
    connection = dial(node)
    connection.sendall(publish_request())
    return connection


def signalled(node):
    node.signal(signal.SIGTERM)
    node.logged("draining")


@pytest.mark.parametrize("workers", [1, 2])
def test_calls_under_way_are_answered(launch, redis, workers):
    """The node has no session, and waits for the answers alone; not for a connection without a request."""
    node = launch({"redis.url": redis.url, "drain_window": "1h", "workers": workers})
    until(node.ready, "it is ready")
    redis.freeze()
    with dial(node):
        calls = [begin_call(node) for _ in range(5)]
        calls[0].sendall(publish_request() * 2)  # pipelined
        signalled(node)
        redis.thaw()
        for call in calls:
            with call:
                answers = http.read_all(call)
                assert answers.count(b"HTTP/1.1 200 ") == (3 if call is calls[0] else 1), answers
                assert answers.count(b"Connection: close") == 1, answers
        assert node.wait() == 0


def test_a_body_that_is_coming_is_waited_for(launch):
    node = launch({"drain_window": "1h"})
    with dial(node) as call, dial(node) as begun:
        begun.sendall(b"POST /api/v1/pub")
        call.sendall(publish_request(EVENT[:10]))
        signalled(node)
        until(lambda: refused_or_reset(node.internal), "the internal listener has stopped")
        call.sendall(EVENT[10:])
        assert http.read_all(call).startswith(b"HTTP/1.1 200 ")
        assert node.wait() == 0


@pytest.mark.parametrize("second", [False, True], ids=["in its time", "second signal"])
def test_calls_without_an_answer_get_one_at_the_end(launch, redis, second):
    node = launch({"redis.url": redis.url, "drain_window": "1h" if second else 0, "close_timeout": "100ms"})
    until(node.ready, "it is ready")
    redis.freeze()
    with begin_call(node) as whole, dial(node) as half:
        half.sendall(publish_request(EVENT[:10]))
        signalled(node)
        if second:
            until(lambda: refused_or_reset(node.internal), "the internal listener has stopped")
            node.hurry()
        answer = http.parse(http.read_all(whole))
        assert answer.status == 503 and "may or may not have been published" in answer.json["error"]["message"], answer
        answer = http.parse(http.read_all(half))
        assert answer.status == 503 and "before the whole request came" in answer.json["error"]["message"], answer
        assert node.wait() == 0


@BY_BOTH
def test_a_client_that_waits_to_enter_is_told(launch, redis):
    """At once, as one that comes later would be."""
    node = launch({"redis.url": redis.url, "drain_window": "1h", "workers": 1})
    until(node.ready, "it is ready")
    redis.freeze()
    with node.dial() as client:
        client.sendall(ws.upgrade_request(headers=[("Authorization", f"Bearer {jwt.mint('alice', session_limit=5)}")]))
        until(lambda: node.metric("carillon_connections_open") == 1, "it is there")
        assert http.request(node.internal, "GET", "/livez").status == 200
        node.signal(signal.SIGTERM)
        assert b"this node is draining" in http.read_all(client)
    redis.thaw()
    assert node.wait() == 0
