"""POST /dev/v1/reset: everything is as if the server had just been started."""
import json
import threading
import time
from http.client import HTTPConnection

import pytest
from support import http
from support.dev import DevServer
from support.wait import DEADLINE_S, until
from support.ws import Closed, Refused
from test_dev_clock import answering_pings


@pytest.fixture
def dev(tmp_path):
    server = DevServer(tmp_path)
    yield server
    server.close()


def closing(client):
    """Answers the server's close frame, as a client of any library does."""
    return answering_pings(client)


def test_everything_is_empty_afterwards(dev):
    client = dev.connect()
    client.subscribe("room:1")
    for _ in range(3):
        dev.publish("room:1")
    before = client.ask("history", "history", channel="room:1")["data"]
    assert dev.order("/reset") == {"closed": 1}
    assert [line["kind"] for line in dev.journal()] == ["reset"] and dev.journal()[0]["n"] == 1
    client.expect_close(1012, "reset")
    assert dev.order("/sessions", method="GET")["sessions"] == []
    client = dev.connect()
    after = client.ask("history", "history", channel="room:1")["data"]
    assert after["events"] == [] and after.get("epoch") != before["epoch"]
    since = {"epoch": before["epoch"], "offset": 3}
    client.send("subscribe", "again", channel="room:1", since=since)
    assert client.expect("subscribed")["data"]["recovered"] is False
    client.drop()


@pytest.mark.parametrize("order", [None, {"keep": ["journal"]}, {"keep": ["histories"]}], ids=["all", "but the journal", "but histories"])
def test_members_are_forgotten(dev, order):
    present = lambda: http.request(dev.internal, "GET", "/api/v1/channels/room%3A1/presence", None, {"X-API-Key": dev.api_key}).json
    clients = [dev.connect(name) for name in ("ada", "bob")]
    for client in clients:
        client.subscribe("room:1")
    until(lambda: present()["users"] == 2, "both are present")
    assert dev.order("/reset", order) == {"closed": 2}
    assert present()["users"] == 0 and present()["members"] == []
    client = dev.connect("ada")
    client.subscribe("room:1")
    until(lambda: [member["user"] for member in present()["members"]] == ["ada"], "only the new one is present")
    assert present()["connections"] == 1
    for each in (client, *clients):
        each.drop()


def test_sessions_that_stay_are_told_that_the_history_is_lost(dev):
    client = dev.connect()
    client.subscribe("room:1")
    dev.publish("room:1")
    assert dev.order("/reset", {"keep": ["sessions"]}) == {"closed": 0}
    gap = client.find("gap")
    assert gap["channel"] == "room:1" and gap["data"]["offset"] == 0
    dev.publish("room:1", "after")
    assert client.expect("notification")["offset"] == 1
    client.drop()


def test_idempotency_keys_and_revocations_are_forgotten(dev):
    key = {"X-API-Key": dev.api_key}
    event = {"channel": "room:1", "type": "notification", "data": {"message": "x"}, "event_id": "once"}
    publish = lambda: http.request(dev.internal, "POST", "/api/v1/publish", event, key).json  # noqa: E731
    token = dev.token("ada")
    first = publish()
    assert publish()["duplicate"]
    assert http.request(dev.internal, "POST", "/api/v1/revoke", {"user": "ada"}, key).status == 200
    with pytest.raises(Refused):
        dev.client(token).start()
    dev.order("/reset")
    assert publish()["id"] != first["id"]
    dev.client(token).start().drop()


def test_the_clock_is_rewound(dev):
    dev.order("/clock", {"set": "2050-01-01T00:00:00Z"})
    dev.order("/clock", {"freeze": True})
    dev.order("/reset", {"keep": ["clock"]})
    assert dev.order("/clock", method="GET")["now"].startswith("2050-")
    dev.order("/reset")
    now = dev.order("/clock", method="GET")
    assert not now["frozen"] and not now["now"].startswith("2050-")


def test_the_next_test_has_all_its_tickets(tmp_path):
    """They are counted by the minute, and the clock stands still."""
    server = DevServer(tmp_path, "--preset", "ticket-sockets", "--tickets-rate-per-user", "3", "--clock", "frozen")

    def ask():
        key = {"Authorization": f"Bearer {server.token('ada')}"}
        return http.request(server.public, "POST", "/websocket/ticket", {}, key).status
    for _ in range(2):
        assert [ask() for _ in range(4)] == [200, 200, 200, 429]
        server.order("/reset")
    server.close()


def test_it_ends_a_move_of_the_clock(tmp_path):
    """Each client that does not answer pings costs the move a part of a second. The reset does not wait for that."""
    dev = DevServer(tmp_path, "--at", "2026-01-15T10:30:00Z", "--clock", "frozen")
    clients = []
    for n in range(12):
        clients.append(dev.connect(f"user-{n}"))
        dev.order("/clock", {"advance": "10ms"})
    answers = []
    mover = threading.Thread(target=lambda: answers.append(dev.call("POST", "/clock", {"advance": "1m"})))
    mover.start()
    dev.order("/wait", {"for": {"kind": "clock", "text": "advance 1m"}})
    assert dev.order("/reset") == {"closed": 12}
    mover.join(DEADLINE_S)
    assert answers[0].status == 409 and "has stopped it" in answers[0].json["error"]["message"]
    assert dev.order("/clock", method="GET")["now"] == "2026-01-15T10:30:00.000Z"
    assert dev.order("/clock", {"advance": "1s"})["now"] == "2026-01-15T10:30:01.000Z"
    for client in clients:
        client.drop()
    dev.close()


def test_tokens_are_the_same_again(tmp_path):
    server = DevServer(tmp_path, "--at", "2026-01-15T10:30:00Z", "--clock", "frozen")
    first = [server.token("ada"), server.token("ada")]
    server.order("/reset")
    assert [server.token("ada"), server.token("ada")] == first and first[0] != first[1]
    server.close()


def test_clients_that_do_not_answer_the_close_frame_do_not_hold_it(tmp_path):
    dev = DevServer(tmp_path, "--close-timeout", "5m")
    clients = [dev.connect(f"user-{n}") for n in range(5)]
    assert dev.order("/reset") == {"closed": 5}
    assert dev.order("/sessions", method="GET")["sessions"] == []
    for client in clients:
        client.expect_close(1012, "reset")
    dev.close()


def test_a_client_that_answers_behind_the_reset_ends_in_order(dev):
    late = dev.connect("late")
    assert dev.order("/reset") == {"closed": 1}
    late.expect_close(1012, "reset")
    assert late.socket.recv(1) == b""  # no reset by TCP
    late.drop()


def test_a_client_that_never_answers_is_cut_after_a_second(dev):
    client = dev.connect()
    dev.order("/clock", {"freeze": True})
    began = time.monotonic()
    dev.order("/reset")
    with pytest.raises(Closed):
        client.receive()
    client.socket.settimeout(DEADLINE_S)
    assert client.socket.recv(1) == b""
    assert time.monotonic() - began > 0.9
    client.drop()


def test_a_line_that_somebody_waits_for_comes_before_the_journal_is_emptied(dev):
    client = dev.connect()
    stream = HTTPConnection(*dev.internal, timeout=DEADLINE_S)
    stream.request("GET", "/dev/v1/journal?kinds=closed", headers={"Accept": "text/event-stream"})
    lines = stream.getresponse()  # it listens
    dev.order("/reset")
    while not (line := lines.readline()).startswith(b"data: "):
        assert line
    assert json.loads(line[len(b"data: "):])["code"] == 1012
    stream.close()
    client.drop()


def test_a_suite_resets_again_and_again(dev):
    for n in range(50):
        client = dev.connect()
        client.subscribe(f"room:{n}")
        closing(client)
        dev.publish(f"room:{n}")
        assert dev.order("/reset") == {"closed": 1}
        assert len(dev.journal()) == 1
    assert threading.active_count() < 200


@pytest.mark.parametrize("body, said", [
    ({"keep": ["session"]}, "keep: "), ({"keep": "sessions"}, "keep"), ({"kep": []}, '"kep" is not known here; expected keep'), ({"keep": [1]}, "keep: "),
])
def test_wrong_resets(dev, body, said):
    assert said in dev.refused("/reset", body)


def test_a_client_that_a_rule_lets_wait_is_refused(dev):
    """Else it would have its session in the test that comes next."""
    dev.order("/clock", {"freeze": True})
    dev.rule({"at": "connect", "user": "slow"}, {"do": "slow_handshake", "by": "10s"})
    refused = []

    def connect():
        try:
            dev.connect("slow")
        except Refused as error:
            refused.append(error)
    thread = threading.Thread(target=connect)
    thread.start()
    dev.order("/wait", {"for": {"kind": "rule", "user": "slow"}})
    dev.order("/reset", {"keep": ["clock"]})
    thread.join(DEADLINE_S)
    assert refused
    dev.order("/clock", {"advance": "20s"})
    assert dev.order("/sessions", method="GET")["sessions"] == []


def test_sessions_that_stay_get_what_was_late_before(dev):
    """A frame that a rule holds, or an answer that a rule is to lose, does not reach the test that comes next."""
    dev.order("/clock", {"freeze": True})
    client = dev.connect()
    client.subscribe("room:1")
    dev.rule({"at": "out", "type": "notification"}, {"do": "delay", "by": "1h"})
    dev.publish("room:1", "old")
    dev.order("/wait", {"for": {"kind": "rule"}})
    dev.rule({"at": "in", "type": "subscribe"}, {"do": "lose_answer"})
    client.send("subscribe", "s", channel="room:2")
    dev.order("/wait", {"for": {"kind": "rule", "frame": {"id": "s"}}})
    dev.order("/reset", {"keep": ["sessions", "clock"]})
    client.find("gap")
    assert [line["frame"]["data"]["message"] for line in dev.journal("?kinds=delivered")] == []
    dev.publish("room:1", "new")
    assert client.find("notification")["data"]["message"] == "new"
    client.drop()
