"""Strangers who open connections and never become sessions: they have places of their own, and are in each other's way only."""
import re
import resource
import signal
import socket
from pathlib import Path

import pytest
from support import http, jwt, ws
from support.crowd import Crowd
from support.transports import BY_BOTH, BY_TLS
from support.wait import DEADLINE_S, SLOWDOWN, until
from support.ws import Closed, Refused

PENDING = 40
SAYINGS = {"nothing": b"", "half a head": b"GET /ws HTTP/1.1\r\nHost: x", "no token": ws.upgrade_request(),
           "no token, as a browser": ws.upgrade_request(headers=[("Origin", "https://x.example")])}


def comes_in(node):
    try:
        node.connect("good").close()
        return True
    except (Closed, Refused, OSError):
        return False


def tries_of_one(node):
    """How many it takes until a client comes in."""
    tries = 1
    while not comes_in(node):
        tries += 1
        assert tries < 10, "a client is kept out"
    return tries


def keeps_nobody_out(node, pending, clients, *crowd):
    """On a busy machine a client may be held up between its connection and its request, for longer than the crowd needs to push it
    out. It comes in at one of its next tries, as clients do."""
    with Crowd(node.public, *crowd):
        tries = [tries_of_one(node) for _ in range(clients)]
        # Beside those that may be pending, only what has come since the last were closed.
        until(lambda: node.metric("carillon_connections_open") <= pending + 64 * SLOWDOWN + 1, "the crowd is bounded")
        until(lambda: node.metric("carillon_sessions") <= 1, "those who came have gone")
    assert tries.count(1) >= clients * 0.9, f"{tries.count(1)} of {clients} came in at once: {tries}"
    until(lambda: node.metric("carillon_connections_open") == 0, "the crowd is gone")


def crowded(pending):
    return {"limits.connections": 50, "limits.pending_connections": pending, "limits.head_timeout": "5m", "log.level": "info"}


@pytest.mark.parametrize("sources", [1, 200])
@pytest.mark.parametrize("says", SAYINGS)
def test_a_crowd_keeps_nobody_out(launch, sources, says):
    node = launch(crowded(PENDING))
    keeps_nobody_out(node, PENDING, 100, 10 * PENDING, sources, SAYINGS[says])
    if "token" not in says:
        assert node.metric("carillon_connections_evicted_total") >= 9 * PENDING


@BY_TLS
@pytest.mark.parametrize("shakes_hands, says", [(False, "nothing"), (True, "half a head"), (True, "no token")])
def test_a_crowd_keeps_nobody_out_by_tls(launch, shakes_hands, says):
    """Before the handshake and after it. A client needs its place for two round trips more, so there are more of them."""
    pending = 400
    node = launch(crowded(pending))
    keeps_nobody_out(node, pending, 10, 2 * pending, 200, SAYINGS[says], shakes_hands)
    if "token" not in says:
        assert node.metric("carillon_connections_evicted_total") >= pending


@BY_BOTH
def test_a_slow_client_is_not_pushed_out_by_the_crowd_of_another_address(launch):
    """It has been there for longer than any of them."""
    node = launch({"limits.pending_connections": PENDING, "limits.head_timeout": "5m", "workers": 1})
    request = ws.upgrade_request(headers=[("Authorization", f"Bearer {jwt.mint()}")])
    with node.dial() as slow:
        slow.sendall(request[:30])
        # The crowd has to fill the places with more than the first of an address, each of which sends the oldest of all away.
        with Crowd(node.public, 10 * PENDING, 10):
            until(lambda: node.metric("carillon_connections_evicted_total") > 100 * PENDING, "many have been sent away")
            slow.sendall(request[30:])
            assert slow.recv(65536).startswith(b"HTTP/1.1 101 ")


def test_silent_ones_on_the_internal_listener_leave_room_for_probes(launch):
    node = launch({"limits.http_connections": 8, "limits.pending_connections": 1000})
    with Crowd(node.internal, 200):
        for _ in range(50):
            assert http.request(node.internal, "GET", "/livez").status == 200


def test_internal_connections_that_have_asked_are_counted(launch):
    node = launch({"limits.http_connections": 3})
    kept = []
    for _ in range(3):
        kept.append(socket.create_connection(node.internal, DEADLINE_S))
        kept[-1].sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept[-1].recv(65536).startswith(b"HTTP/1.1 200 ")
    answer = http.request(node.internal, "GET", "/livez")
    assert answer.status == 429 and int(answer.headers["retry-after"]) >= 1, answer
    kept.pop().close()
    until(lambda: http.request(node.internal, "GET", "/livez").status == 200, "there is room again")
    for one in kept:
        one.close()


# --- addresses ---


@pytest.mark.parametrize("address, limited", [("203.0.113.7", True), ("2001:db8::7", True), ("10.1.2.3", False), ("192.168.7.7", False),
                                              ("172.31.0.1", False), ("172.32.0.1", True), ("100.64.0.1", False), ("fd00::7", False),
                                              ("169.254.1.1", False), ("127.0.0.9", False)])
def test_one_public_address_has_half_of_all(launch, address, limited):
    node = launch({"trusted_proxies": ["127.0.0.1"], "limits.connections": 5})
    headers = [("X-Forwarded-For", address)]
    clients = [node.connect(f"user-{n}", headers=headers) for n in range(3)]
    if limited:
        with pytest.raises(Refused) as refused:
            node.connect("too many", headers=headers)
        assert refused.value.response.status == 429
        clients.append(node.connect("another", headers=[("X-Forwarded-For", "198.51.100.1")]))
    else:
        clients.append(node.connect("one more", headers=headers))
    for client in clients:
        client.close()


def test_a_trusted_proxy_is_not_limited_itself(launch):
    node = launch({"trusted_proxies": ["127.0.0.1"], "limits.connections_per_address": 1})
    with node.connect("a"), node.connect("b"):  # without a word of whom it speaks for
        pass


# --- files ---


@pytest.mark.parametrize("files, workers", [(90, 1), (100, 2), (400, 2), (1024, 4)])
def test_used_up_files_leave_the_internal_listener_and_reloads(launch, files, workers):
    node = launch({"workers": workers, "limits.connections_per_address": 10000},
                  prefix=("bash", "-c", f'ulimit -n {files}; exec "$@"', "bash"))
    lowered = int(node.logged(r"limits\.connections is lowered from 10000 to (\d+)").group(1))
    assert lowered >= files / 8
    clients = [node.connect(f"user-{n}") for n in range(lowered)]
    with Crowd(node.public, files), Crowd(node.internal, files):
        with pytest.raises(Refused) as refused:
            node.connect("one too many")
        assert refused.value.response.status == 429
        for path in ("/livez", "/readyz", "/metrics"):
            assert http.request(node.internal, "GET", path).status == 200
        node.signal(signal.SIGHUP)
        node.logged("reload: done")
        assert len(list(Path(f"/proc/{node.pid}/fd").iterdir())) < files
        clients[0].nothing_before_pong()
    assert "no file descriptors left" not in node.log()
    for client in clients:
        client.close()


def test_too_few_files_are_said(launch, tmp_path):
    with pytest.raises(AssertionError) as failure:
        launch({"workers": 2}, prefix=("bash", "-c", 'ulimit -n 50; exec "$@"', "bash"))
    assert re.search(r"only 50 files may be open, and it takes at least \d+; raise LimitNOFILE or ulimit -n", str(failure.value))


def test_enough_files_are_claimed(launch):
    node = launch({"limits.connections": 100, "limits.http_connections": 10, "limits.pending_connections": 50})
    soft = int(re.search(r"Max open files +(\d+)", Path(f"/proc/{node.pid}/limits").read_text()).group(1))
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] > 1000:
        assert 100 + 50 + 10 + 10 + 200 <= soft < 500
    assert "lowered" not in node.log()
