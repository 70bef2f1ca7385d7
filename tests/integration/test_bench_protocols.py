"""`carillon bench` against servers of other protocols, played by tests/support/peer.py. Some of them lose, double or swap an event."""
import json

import pytest

from support import jwt
from support.carillon import run
from support.peer import STALL_S, Peer
from support.scripted import Scripted

PROTOCOLS = ["plain", "nchan", "socketio", "mqtt", "nats"]


def bench(peer, *arguments):
    return run("bench", "--protocol", peer.protocol, "--url", f"ws://127.0.0.1:{peer.port}", "--api",
               f"http://127.0.0.1:{peer.port}", "--warmup", 0, "--json", *arguments)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_fanout(protocol, threads):
    with Peer(protocol) as peer:
        done = bench(peer, "fanout", "--connections", 8, "--count", 50, "--window", 4, "--threads", threads)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["operations"] == 8 * 50
    assert result["events"] == 50
    assert result["protocol"] == protocol
    assert result["publish_over"] == ("websocket" if protocol in ("mqtt", "nats") else "http")
    assert result["first_latency_us"]["p50"] <= result["last_latency_us"]["p50"] <= result["latency_us"]["max"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_rooms(protocol):
    with Peer(protocol) as peer:
        done = bench(peer, "rooms", "--channels", 5, "--members", 3, "--count", 40, "--window", 4, "--order", "round-robin")
        assert done.returncode == 0, done.stderr
        separator = "." if protocol == "nats" else ":"
        assert sorted(peer.subscribers) == [separator.join(["bench", "load", str(n)]) for n in range(5)]
        assert {len(subscribers) for subscribers in peer.subscribers.values()} == {3}
        assert {subscriber.got for subscribers in peer.subscribers.values() for subscriber in subscribers} == {8}
    assert json.loads(done.stdout)["operations"] == 3 * 40


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("fault, words", [("drop", "1 lost, 0 doubled"), ("double", "0 lost, 1 doubled"),
                                          ("swap", "0 lost, 0 doubled")])
@pytest.mark.parametrize("protocol", ["plain", "mqtt"])
def test_faults_are_found(protocol, fault, words, threads):
    with Peer(protocol, fault) as peer:
        done = bench(peer, "fanout", "--connections", 4, "--count", 20, "--window", 4, "--patience", 1, "--threads", threads)
    assert done.returncode == 1
    assert "not every event was right" in done.stderr
    assert words in done.stderr
    result = json.loads(done.stdout)
    assert result["lost"] == (fault == "drop")
    assert result["duplicated"] == (fault == "double")
    if fault == "swap":
        assert result["misordered"] > 0


def test_a_fault_in_a_room_is_found():
    with Peer("plain", "drop") as peer:
        done = bench(peer, "rooms", "--channels", 2, "--members", 2, "--count", 20, "--window", 4, "--patience", 1)
    assert done.returncode == 1
    assert json.loads(done.stdout)["lost"] == 1


def test_a_loss_in_the_warm_up_is_a_loss():
    with Peer("plain", "drop") as peer:
        done = run("bench", "fanout", "--protocol", "plain", "--url", f"ws://127.0.0.1:{peer.port}", "--api",
                   f"http://127.0.0.1:{peer.port}", "--connections", 2, "--window", 4, "--patience", 1, "--duration", 1)
    assert done.returncode == 1
    assert "1 lost" in done.stderr


@pytest.mark.parametrize("load, late", [(["--rate", 200], True), (["--window", 1], False)])
def test_a_server_that_stands_still(load, late):
    """At a rate, the events that were due meanwhile are late by their wait: half of those of one second are. A closed loop
    sees one late event."""
    with Peer("plain", "stall") as peer:
        done = bench(peer, "fanout", "--connections", 1, "--count", 200, *load)
    assert done.returncode == 0, done.stderr
    latency = json.loads(done.stdout)["latency_us"]
    assert latency["max"] > STALL_S * 0.9e6
    assert (latency["p90"] > STALL_S * 0.4e6) == late


def test_idle_notices_a_lost_connection():
    with Peer("plain", "hang up") as peer:
        done = bench(peer, "idle", "--connections", 3, "--duration", 60)
    assert done.returncode == 1
    assert "1011 bye" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("status, code", [(201, 0), (202, 0), (204, 0), (403, 1), (500, 1)])
def test_any_2xx_will_do(status, code):
    with Peer("nchan", status=status) as peer:
        done = bench(peer, "fanout", "--connections", 2, "--count", 5)
        assert "GET /sub/bench%3Aload" in peer.requests
        assert "POST /pub/bench%3Aload" in peer.requests
    assert done.returncode == code
    if code:
        assert f"HTTP status {status}" in done.stderr


def replying(*replies):
    """A Redis that answers the first commands so."""
    def scene(client):
        for count, reply in enumerate(replies, 1):
            while client.buffer.count(b"PUBLISH") < count:
                client._fill()
            for byte in reply:
                client.send(bytes([byte]))
        client.wait_end()
    return scene


@pytest.mark.parametrize("replies, code, words", [([b":0\r\n", b":12\r\n"], 0, ""),
                                                  ([b":0\r\n", b"-NOPERM this user has no permissions\r\n"], 1, "NOPERM"),
                                                  ([b":0\r\n", b"+OK\r\n"], 1, "+OK")])
def test_what_redis_replies(replies, code, words):
    with Scripted(replying(*replies)) as redis:
        done = run("bench", "publish", "--publish-over", "redis", "--redis", redis.url("redis"), "--connections", 1,
                   "--count", len(replies), "--warmup", 0, "--json")
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert (json.loads(done.stdout)["operations"] == 2) if code == 0 else (done.stdout == "")


@pytest.mark.parametrize("protocol, arguments, words", [
    ("morse", ["fanout"], 'there is no protocol "morse"'),
    ("nats", ["fanout", "--publish-over", "http"], "nats has no publishing over http"),
    ("plain", ["fanout", "--publish-over", "pigeon"], "--publish-over should be http, websocket or redis"),
    ("plain", ["fanout", "--batch", "2"], "--batch is for carillon over HTTP"),
    ("mqtt", ["publish"], "nothing to time"),
    ("plain", ["echo"], "echo is for the carillon protocol"),
    ("plain", ["fanout", "--channels", "2"], "fanout has no option --channels"),
    ("plain", ["rooms", "--connections", "2"], "not --connections"),
    ("plain", ["fanout", "--rate", "5", "--window", "2"], "not both"),
    ("plain", ["fanout", "--sources", "localhost"], "--sources should be"),
    ("plain", ["fanout", "--sources", "2", "--url", "ws://[::1]:1/"], "--sources are IPv4"),
    ("carillon", ["fanout", "--publish-over", "redis"], "needs --redis"),
    ("carillon", ["fanout", "--redis", "redis://127.0.0.1:1"], "--redis is for --publish-over redis"),
    ("carillon", ["fanout", "--publish-over", "redis", "--redis", "redis://127.0.0.1"], "with the port"),
    ("plain", ["idle", "--count", "5"], "--count is for"),
    ("plain", ["slow", "--connections", "2"], "--slow-percent of --connections is not one"),
])
def test_wrong_calls(protocol, arguments, words):
    done = run("bench", "--protocol", protocol, *arguments, env={"CARILLON_TOKEN_SECRET": jwt.SECRET})
    assert done.returncode == 2
    assert words in done.stderr
