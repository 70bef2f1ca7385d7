"""The clock of `carillon dev`: it stands still, runs at a rate, and is moved; what is due on the way happens at its time."""
import socket
import threading

import pytest
from support.dev import DevServer
from support.wait import until


@pytest.fixture
def dev(tmp_path):
    with_arguments = []

    def start(*arguments):
        with_arguments.append(DevServer(tmp_path, *arguments))
        return with_arguments[-1]

    yield start
    for one in with_arguments:
        one.close()


def answering_pings(client):
    """Reads in a thread of its own, as a client of any library does. Returns what it has read."""
    read = []

    def run():
        try:
            while True:
                read.append(client.receive(seconds=60))
        except Exception as error:  # closed
            read.append(error)

    threading.Thread(target=run, daemon=True).start()
    return read


def test_it_stands_still_and_is_moved(dev):
    server = dev()
    frozen = server.order("/clock", {"freeze": True})
    assert frozen["frozen"] and frozen["rate"] == 0
    assert server.order("/clock", method="GET")["now"] == frozen["now"]
    server.publish("room:1")
    assert server.find(kind="published")["at"] == frozen["now"]
    moved = server.order("/clock", {"set": "2050-01-15T10:30:00Z"})
    assert moved["now"] == "2050-01-15T10:30:00.000Z"
    assert server.order("/clock", {"advance": "250ms"})["now"] == "2050-01-15T10:30:00.250Z"
    back = server.order("/clock", {"set": "2026-01-15T10:30:00.5Z"})
    assert back["now"] == "2026-01-15T10:30:00.500Z"


def test_it_runs_at_a_rate(dev):
    server = dev()
    server.order("/clock", {"set": "2050-01-01T00:00:00Z"})
    running = server.order("/clock", {"run": True, "rate": 1000})
    assert not running["frozen"] and running["rate"] == 1000
    until(lambda: server.order("/clock", method="GET")["now"] > "2050-01-01T00:01:00", "a minute passes in 60 ms")


def test_a_token_expires_when_the_clock_says_so(dev):
    server = dev()
    server.order("/clock", {"freeze": True})
    client = server.connect(wish={"expires": "90s"})
    assert server.order("/clock", {"advance": "20s"})["fired"][-1]["kind"] == "clock"
    fired = server.order("/clock", {"advance": "45s"})["fired"]
    assert [line["frame"]["data"]["code"] for line in fired if line["kind"] == "sent"] == ["token_expiring"]
    assert client.expect("warning")["data"]["code"] == "token_expiring"
    fired = server.order("/clock", {"advance": "31s"})["fired"]
    assert ["closing", 1008, "token_expired"] in [[line["kind"], line.get("code"), line.get("text")] for line in fired]
    client.expect_close(1008, "token_expired")


def test_the_timers_on_the_way_fire_at_their_times(dev):
    server = dev()
    server.order("/clock", {"set": "2050-01-01T00:00:00Z"})
    server.order("/clock", {"freeze": True})
    clients = [server.connect(f"user-{seconds}", wish={"expires": f"{seconds}s"}) for seconds in (300, 100, 200)]
    fired = server.order("/clock", {"advance": "10m"})["fired"]
    closed = [line for line in fired if line["kind"] == "closing"]
    assert [line["user"] for line in closed] == ["user-100", "user-200", "user-300"]
    for line, at in zip(closed, ("00:01:40", "00:03:20", "00:05:00")):
        assert line["at"].startswith(f"2050-01-01T{at}"), line
    for client in clients:
        client.drop()


def test_a_client_that_answers_pings_outlives_a_long_move(dev):
    server = dev("--ping-interval", "25s", "--pong-timeout", "10s")
    server.order("/clock", {"freeze": True})
    awake, asleep = server.connect("awake"), server.connect("asleep")
    answering_pings(awake)
    fired = server.order("/clock", {"advance": "5m"})["fired"]
    assert [line["user"] for line in fired if line["kind"] == "closed"] == ["asleep"]
    assert [line["text"] for line in fired if line["kind"] == "closing"] == ["pong_timeout"]
    asleep.drop()


def test_history_ages(dev):
    server = dev("--channels", '[{"match":"*","allow":["subscribe","history"],"history":{"size":10,"ttl":"10m"}}]')
    server.order("/clock", {"freeze": True})
    server.publish("room:1")
    client = server.connect()
    client.subscribe("room:1")
    assert len(client.ask("history", "history", channel="room:1")["data"]["events"]) == 1
    server.order("/clock", {"advance": "11m"})
    client = server.connect()
    assert client.ask("history", "history", channel="room:1")["data"]["events"] == []


def test_http_goes_on_in_real_time(dev):
    server = dev()
    server.order("/clock", {"freeze": True})
    with socket.create_connection(server.internal) as idle, socket.create_connection(server.public) as slow:
        idle.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost:%d\r\n" % server.internal[1])
        slow.sendall(b"GET /ws HTTP/1.1\r\n")
        server.order("/clock", {"advance": "1h"})
        idle.sendall(b"\r\n")
        assert idle.recv(100).startswith(b"HTTP/1.1 200")
        slow.sendall(b"Host: localhost\r\n\r\n")
        assert slow.recv(100).startswith(b"HTTP/1.1 426")


@pytest.mark.parametrize("body, said", [
    ({}, "expected one of advance, set, freeze and run"),
    ({"advance": "1s", "freeze": True}, "expected one of"),
    ({"advance": "soon"}, "advance: expected a duration"),
    ({"advance": 5}, "advance"),
    ({"set": "yesterday"}, "set: expected a time such as"),
    ({"run": True, "rate": 0}, "rate: expected a whole number from 1 to 1000"),
    ({"freeze": True, "rate": 2}, "rate: is a member beside run"),
    ({"freeze": False}, "freeze: expected true"),
    ({"advnace": "1s"}, '"advnace" is not known here; expected advance, set'),
])
def test_wrong_orders(dev, body, said):
    assert said in dev().refused("/clock", body)


def test_it_ends_also_while_the_clock_stands_still_or_is_moved(dev):
    server = dev()
    server.order("/clock", {"freeze": True})
    asleep = server.connect()  # each ping on the way is waited for
    answers = []
    threading.Thread(target=lambda: answers.append(server.call("POST", "/clock", {"advance": "24s"})), daemon=True).start()
    until(lambda: any(line["kind"] == "clock" and line["text"] == "advance 24s" for line in server.journal()), "the clock is moved")
    asleep.drop()
    assert server.terminate() == 0
    until(lambda: answers, "the order is answered")
