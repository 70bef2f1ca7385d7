"""Faults of `carillon dev`: each is caused by one call, and happens to a real connection."""
import json
import random
import re
import socket
import struct
import time
from pathlib import Path

import pytest
from support.dev import DevServer
from support.wait import until
from support.ws import CLOSE, CONTINUATION, TEXT, Closed, Refused, upgrade_request


# No presence: joins would stand between the events.
CHANNELS = '[{"match": "*", "allow": ["subscribe", "publish", "history"], "history": {"size": 100, "ttl": "1h"}}]'


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One for all tests of this file that leave it as it was."""
    started = DevServer(tmp_path_factory.mktemp("dev"), "--close-timeout", "1s", "--channels", CHANNELS)
    yield started
    started.close()


@pytest.fixture
def dev(server):
    yield server
    server.order("/rules", method="DELETE")
    until(lambda: not server.order("/sessions", method="GET")["sessions"] or all_closed(server), "its sessions have ended")
    server.order("/journal", method="DELETE")


def all_closed(server):
    server.order("/do", {"on": {"all": True}, "action": {"do": "reset"}})


class Room:
    """Two users on a channel with a history: ada listens, and bob publishes. After an action each event has its number."""

    def __init__(self, dev, channel):
        self.channel = channel
        self.dev = dev
        self.ada, self.bob = dev.connect("ada"), dev.connect("bob")
        self.ada.subscribe(channel)

    def publish(self, *numbers):
        for n in numbers:
            self.bob.ask("publish", "published", id=n, channel=self.channel, type="test", data={"n": n})

    def get(self, count):
        return [self.ada.find("test")["data"]["n"] for _ in range(count)]

    def rule(self, action, match=None, **more):
        return self.dev.rule({"at": "out", "user": "ada", "type": "test", **(match or {})}, action, **more)

    def do(self, action, **on):
        return self.dev.do(action, on or {"user": "ada"})


@pytest.fixture
def room(dev, request):
    made = Room(dev, f"room:{request.node.name}"[:200].replace(" ", "_"))
    yield made
    made.ada.socket.close()
    made.bob.socket.close()


def silent(client, seconds=0.3):
    """Nothing comes for a while."""
    with pytest.raises(TimeoutError):
        pytest.fail(f"it got {client.receive(seconds=seconds)}")


# --- the connection ---

def test_close_with_a_code(room):
    room.do({"do": "close", "code": 4001, "reason": "busy"})
    room.ada.expect_close(4001, "busy")
    room.bob.nothing_before_pong()


def test_reset(room):
    room.do({"do": "reset"})
    with pytest.raises(Closed) as closed:
        room.ada.receive()
    assert closed.value.reason == "reset"
    assert room.dev.find(kind="closed", user="ada")["code"] == 1006
    assert room.dev.find(kind="rule", user="ada")["text"] == "reset"


def test_half_close(room):
    room.do({"do": "half_close"})
    with pytest.raises(Closed) as closed:
        room.ada.receive()
    assert closed.value.reason == "end of stream"
    room.ada.send("publish", id=1, channel=room.channel, type="test", data={"n": 1})
    room.dev.find(kind="published", user="ada")  # what the client says is still heard


# --- messages to the client ---

def test_delay_keeps_the_order(room):
    room.rule({"do": "delay", "by": "300ms"}, times=1)
    begun = time.monotonic()
    room.publish(1, 2, 3)
    assert room.get(3) == [1, 2, 3]
    assert time.monotonic() - begun >= 0.3


def test_delays_do_not_add_up(room):
    """One after the other would be a minute."""
    room.rule({"do": "delay", "by": "3s", "jitter": "50ms"})
    begun = time.monotonic()
    room.publish(*range(20))
    assert room.get(20) == list(range(20))
    assert 3 <= time.monotonic() - begun < 45


def test_drop(room):
    rule = room.rule({"do": "drop"}, {"nth": 2})
    room.publish(1, 2, 3)
    assert room.get(2) == [1, 3]
    line = room.dev.find(kind="rule", rule=rule)
    assert line["frame"]["data"] == {"n": 2} and line["text"] == "drop"


def test_inject(room):
    room.do({"do": "inject", "frame": {"type": "notice", "text": "hello"}})
    assert room.ada.receive() == {"type": "notice", "text": "hello"}
    room.do({"do": "inject", "frame": "no JSON"})
    assert room.ada.receive_text() == b"no JSON"


def test_duplicate(room):
    room.rule({"do": "duplicate", "n": 2}, times=1)
    room.publish(1, 2)
    assert room.get(4) == [1, 1, 1, 2]


def test_reorder(room):
    room.rule({"do": "reorder", "window": 3}, times=3)
    room.publish(1, 2, 3, 4)
    got = room.get(4)
    assert sorted(got) == [1, 2, 3, 4] and got[:3] != [1, 2, 3] and got[3] == 4


def test_reorder_does_not_wait_for_ever(room):
    room.rule({"do": "reorder", "window": 5, "for": "100ms"})
    room.publish(1, 2)
    assert room.get(2) == [2, 1]


def test_corrupt(room):
    room.rule({"do": "corrupt"})
    room.publish(1)
    fin, opcode, payload = room.ada.receive_frame()
    assert (fin, opcode) == (True, TEXT) and payload.count(0xff) == 1
    with pytest.raises(UnicodeDecodeError):
        payload.decode()


def test_truncate(room):
    room.rule({"do": "truncate", "bytes": 10})
    room.publish(1)
    assert room.ada.receive_text() == b'{"type":"t'


def test_truncate_keeps_characters_whole(room):
    room.rule({"do": "replace", "frame": "äöü"}, times=1)
    room.publish(1)
    assert room.ada.receive_text() == "äöü".encode()
    room.bob.subscribe(room.channel)
    room.dev.rule({"at": "in", "user": "bob"}, {"do": "replace", "frame": "ä"}, times=1)
    room.bob.send("ping", id=1)
    room.bob.find("error")
    rule = room.dev.rule({"at": "in", "user": "bob"}, {"do": "truncate", "bytes": 40})
    room.bob.send_text('{"type":"ping","id":2,"data":{"a":"öööööööööö"}}')
    room.bob.find("error")
    lines = [line for line in room.dev.journal("?kinds=received") if line["user"] == "bob"]
    assert lines[-1]["frame"] == '{"type":"ping","id":2,"data":{"a":"öö' and room.dev.rules()[-1]["id"] == rule


def test_fragment(room):
    room.rule({"do": "fragment", "bytes": 50})
    room.publish(1)
    frames = [room.ada.receive_frame()]
    while not frames[-1][0]:
        frames.append(room.ada.receive_frame())
    assert [opcode for _, opcode, _ in frames] == [TEXT] + [CONTINUATION] * (len(frames) - 1) and len(frames) > 2
    assert {len(payload) for _, _, payload in frames[:-1]} == {50}
    assert json.loads(b"".join(payload for _, _, payload in frames))["data"] == {"n": 1}
    assert room.dev.find(kind="delivered", user="ada")["frame"]["data"] == {"n": 1}


def test_replace(room):
    room.rule({"do": "replace", "frame": {"type": "test", "data": {"n": 100}}}, {"data": {"n": 2}})
    room.publish(1, 2, 3)
    assert room.get(3) == [1, 100, 3]
    sent = [line["frame"] for line in room.dev.journal("?kinds=delivered,sent&user=ada")]
    assert [frame["data"]["n"] for frame in sent if frame["type"] == "test"] == [1, 100, 3]


# --- messages of the client ---

def test_messages_of_a_client_are_lost_late_doubled_and_cut(room):
    bob, dev = room.bob, room.dev
    dev.rule({"at": "in", "user": "bob", "type": "publish", "data": {"data": {"n": 1}}}, {"do": "drop"})
    dev.rule({"at": "in", "user": "bob", "type": "publish", "data": {"data": {"n": 2}}}, {"do": "delay", "by": "200ms"})
    dev.rule({"at": "in", "user": "bob", "type": "publish", "data": {"data": {"n": 3}}}, {"do": "duplicate"})
    dev.rule({"at": "in", "user": "bob", "type": "publish", "data": {"data": {"n": 4}}}, {"do": "truncate", "bytes": 20})
    begun = time.monotonic()
    for n in range(1, 6):
        bob.send("publish", id=n, channel=room.channel, type="test", data={"n": n})
    assert room.get(4) == [2, 3, 3, 5]  # in order behind the late one
    assert time.monotonic() - begun >= 0.2
    answers = [bob.receive() for _ in range(5)]
    assert [answer["id"] for answer in answers if answer["type"] == "published"] == [2, 3, 3, 5]
    assert [answer["type"] for answer in answers].count("error") == 1


def test_messages_of_a_client_change_places(room):
    room.dev.rule({"at": "in", "user": "bob"}, {"do": "reorder", "window": 2})
    for n in (1, 2):
        room.bob.send("publish", id=n, channel=room.channel, type="test", data={"n": n})
    assert room.get(2) == [2, 1]


def test_a_close_comes_after_the_messages_before_it(room):
    room.dev.rule({"at": "in", "user": "bob"}, {"do": "delay", "by": "200ms"})
    room.bob.send("publish", channel=room.channel, type="test", data={"n": 1})
    room.bob.send_frame(CLOSE, struct.pack("!H", 4000))
    assert room.get(1) == [1]
    room.bob.expect_close(4000)


def test_lose_answer(room):
    rule = room.dev.rule({"at": "in", "user": "bob", "type": "publish"}, {"do": "lose_answer"}, times=1)
    room.bob.send("publish", id="k", channel=room.channel, type="test", data={"n": 1})
    assert room.get(1) == [1]  # it was carried out
    room.bob.nothing_before_pong()
    assert [line["text"] for line in room.dev.journal("?kinds=rule") if line["rule"] == rule] == ["lose_answer", "lose_answer"]


def test_lose_an_answer_without_an_id(room):
    room.dev.rule({"at": "in", "user": "bob", "type": "subscribe"}, {"do": "lose_answer"}, times=1)
    room.bob.send("subscribe", channel=room.channel)
    room.publish(1)
    assert room.bob.skipped[-1]["data"] == {"n": 1}
    assert not [message for message in room.bob.skipped if message["type"] == "subscribed"]


def test_error(room):
    room.dev.rule({"at": "in", "user": "bob", "type": "publish"}, {"do": "error", "code": "rate_limited"}, times=1)
    assert room.bob.error("publish", "rate_limited", channel=room.channel, type="test", data={"n": 1})
    room.publish(2)
    assert room.get(1) == [2]


# --- the whole line ---

def test_a_sleeping_phone(room):
    """Nothing moves in either direction, and the socket stays; afterwards all of it comes."""
    room.do({"do": "freeze"})
    room.publish(1, 2)
    room.ada.send("publish", id="mine", channel=room.channel, type="test", data={"n": 3})
    silent(room.ada)
    assert not [line for line in room.dev.journal("?kinds=received&user=ada") if line["frame"].get("id") == "mine"]
    room.do({"do": "freeze", "for": 0})
    assert sorted(room.get(3)) == [1, 2, 3]


def test_it_wakes_up_by_itself(room):
    begun = time.monotonic()
    room.do({"do": "freeze", "for": "300ms", "side": "write"})
    room.publish(1)
    assert room.get(1) == [1] and time.monotonic() - begun >= 0.3


def test_one_side_is_frozen(room):
    room.do({"do": "freeze", "side": "read"})
    room.publish(1)
    assert room.get(1) == [1]
    room.ada.send("ping", id=1)
    silent(room.ada)
    room.do({"do": "freeze", "side": "read", "for": 0})
    room.ada.find("pong")


def test_a_session_that_ends_in_its_sleep(room):
    """The socket stays until the phone wakes up, and then it is told."""
    room.do({"do": "freeze"})
    room.do({"do": "close", "code": 4000, "reason": "late"})
    silent(room.ada, 1.5)  # over close_timeout
    room.dev.do({"do": "gap", "reason": "epoch_changed"}, {"user": "ada"}, count=0)  # it is no session any more
    room.do({"do": "freeze", "for": 0})
    room.ada.expect_close(4000, "late")


def test_a_frozen_client_that_leaves(room):
    room.do({"do": "freeze"})
    room.publish(1)
    room.ada.drop()
    room.publish(2)
    assert not room.dev.journal("?kinds=closed&user=ada")  # a server hears nothing of a phone that is gone
    room.do({"do": "freeze", "for": 0})
    room.dev.find(kind="closed", user="ada")


def test_throttle(room):
    room.do({"do": "throttle", "bytes_per_s": 2000})
    begun = time.monotonic()
    room.publish(*range(10))  # 190 bytes each
    assert room.get(10) == list(range(10))
    assert time.monotonic() - begun > 0.5
    room.do({"do": "throttle", "bytes_per_s": 1})
    room.publish(*range(10))  # for half an hour
    room.do({"do": "throttle", "bytes_per_s": 0})
    assert room.get(10) == list(range(10))


def test_order_is_kept_under_delay_and_speed(room):
    room.do({"do": "throttle", "bytes_per_s": 20000})
    room.rule({"do": "delay", "by": "100ms", "jitter": "100ms"}, {"data": {"odd": True}})
    for n in range(40):
        room.bob.send("publish", id=n, channel=room.channel, type="test", data={"n": n, "odd": n % 2 == 1})
    assert room.get(40) == list(range(40))


def test_a_slow_line_ends_a_slow_consumer(tmp_path):
    """The line holds no more than a kernel would; then the outbox fills, and its limit holds. The close frame waits for the line."""
    server = DevServer(tmp_path, "--close-timeout", "5m", "--channels", CHANNELS)
    room = Room(server, "room:slow")
    room.do({"do": "freeze", "side": "write"})
    for n in range(40):
        room.bob.ask("publish", "published", id=n, channel=room.channel, type="test", data={"n": n, "pad": "x" * 50000})
    room.do({"do": "freeze", "for": 0})
    room.ada.expect_close(1013, "slow_consumer")
    room.bob.close()
    server.close()


# --- what the server says ---

@pytest.mark.parametrize("reason", ["epoch_changed", "offset_regressed", "history_too_short", "history_unavailable", "history_changed",
                                    "connection_lost"])
def test_each_gap(room, reason):
    room.publish(1)
    room.get(1)
    room.do({"do": "gap", "reason": reason})
    gap = room.ada.expect("gap", channel=room.channel)
    assert gap["data"]["reason"] == reason and gap["data"]["offset"] == 1
    room.publish(2)
    assert room.ada.expect("test")["offset"] == 2


def test_a_gap_on_one_channel(room):
    room.ada.subscribe("other")
    room.do({"do": "gap", "reason": "epoch_changed", "channel": "other"})
    room.ada.expect("gap", channel="other")
    room.dev.do({"do": "gap", "reason": "epoch_changed"}, {"channel": "other"})
    room.ada.expect("gap", channel="other")
    room.ada.nothing_before_pong()


def test_a_gap_in_the_midst_of_events(room):
    room.rule({"do": "gap", "reason": "history_too_short"}, {"data": {"n": 2}})
    room.publish(1, 2)
    assert room.get(2) == [1, 2]
    room.ada.expect("gap", channel=room.channel)


def test_expire(room):
    room.do({"do": "expire"})
    room.ada.expect("error")
    room.ada.expect_close(1008, "token_expired")


def test_expire_with_a_warning(room):
    room.do({"do": "expire", "warn": True})
    assert room.ada.expect("warning")["data"]["code"] == "token_expiring"
    room.ada.ask("refresh", "refreshed", token=room.dev.token("ada"))
    room.dev.order("/clock", {"advance": "2m"})
    room.ada.nothing_before_pong()


def test_expire_with_a_warning_that_nobody_hears(room):
    room.do({"do": "expire", "warn": True})
    room.ada.expect("warning")
    room.dev.order("/clock", {"advance": "2m"})
    room.ada.expect_close(1008, "token_expired")


def test_reconnect(room):
    room.do({"do": "reconnect", "after_ms": 200})
    assert room.ada.expect("reconnect")["data"] == {"reason": "draining", "after_ms": 200}
    begun = time.monotonic()
    room.ada.expect_close(1001, "going_away")
    assert time.monotonic() - begun > 0.1


def test_lose_history(room):
    room.publish(1)
    before = room.ada.find("test")
    room.dev.do({"do": "lose_history"}, {"channel": room.channel})
    gap = room.ada.expect("gap", channel=room.channel)
    assert gap["data"]["reason"] == "epoch_changed" and gap["data"]["offset"] == 0
    room.publish(2)
    assert room.ada.expect("test")["offset"] == 1 and before["offset"] == 1


def test_lose_the_history_of_a_channel_without_subscribers(dev):
    first, again = dev.publish("unused"), dev.publish("unused")
    assert again["offset"] == 2
    dev.do({"do": "lose_history"}, {"channel": "unused"}, count=0)
    last = dev.publish("unused")
    assert last["offset"] == 1 and last["epoch"] != first["epoch"]
    assert dev.find(kind="rule", channel="unused")["text"] == "lose_history"


def test_a_history_in_redis_is_not_lost(tmp_path, redis):
    server = DevServer(tmp_path, "--redis-url", redis.url)
    lose = {"do": "lose_history"}
    assert server.call("POST", "/do", {"on": {"all": True}, "action": lose}).status == 409
    assert server.call("POST", "/rules", {"action": lose}).status == 409
    assert server.rules() == []
    server.close()


def test_a_client_comes_back_and_the_history_is_lost(room):
    """recovered:false, by one rule."""
    room.ada.ask("unsubscribe", "unsubscribed", channel=room.channel)
    at = room.ada.subscribe(room.channel)["data"]
    room.publish(1)
    room.get(1)
    room.ada.ask("unsubscribe", "unsubscribed", channel=room.channel)
    since = {name: at[name] for name in ("epoch", "offset")}
    assert room.ada.ask("subscribe", "subscribed", channel=room.channel, since=since)["data"]["recovered"] is True
    room.ada.ask("unsubscribe", "unsubscribed", channel=room.channel)
    room.dev.rule({"at": "in", "type": "subscribe", "channel": room.channel}, {"do": "lose_history"}, times=1)
    answer = room.ada.ask("subscribe", "subscribed", channel=room.channel, since=since)["data"]
    assert answer["recovered"] is False and answer["epoch"] != since["epoch"]


# --- connecting ---

def refused(dev, action, user="eve", **options):
    dev.rule({"at": "connect", "user": user}, action, times=1)
    with pytest.raises(Refused) as refusal:
        dev.connect(user, **options)
    return refusal.value.response


def test_refuse_with_a_status(dev):
    response = refused(dev, {"do": "refuse", "status": 502})
    assert response.status == 502 and response.json["error"]["code"] == "internal_error"
    response = refused(dev, {"do": "refuse", "status": 503, "retry_after": "7s"})
    assert (response.status, response.headers["retry-after"], response.json["error"]["reason"]) == (503, "7", "not_ready")
    # A browser too: it sees code 1006.
    assert refused(dev, {"do": "refuse", "status": 401}, headers=[("Origin", "http://localhost")]).status == 401
    dev.connect("eve").close()


def test_refuse_with_a_close_code(dev):
    dev.rule({"at": "connect", "user": "eve"}, {"do": "refuse", "code": 4003, "reason": "token_revoked"}, times=1)
    client = dev.client(dev.token("eve"))
    client.expect("error")
    client.expect_close(4003, "token_revoked")


def test_slow_handshake(dev):
    dev.rule({"at": "connect", "user": "eve"}, {"do": "slow_handshake", "by": "300ms"}, times=1)
    begun = time.monotonic()
    dev.connect("eve").close()
    assert time.monotonic() - begun >= 0.3


def test_a_client_that_does_not_wait(dev):
    dev.rule({"at": "connect", "user": "eve"}, {"do": "slow_handshake", "by": "1h"})
    sockets = []
    for _ in range(3):
        connection = socket.create_connection(dev.public)
        connection.sendall(upgrade_request(headers=[("Authorization", f"Bearer {dev.token('eve')}")]))
        sockets.append(connection)
    dev.find(kind="rule", user="eve")
    for connection in sockets:
        connection.close()
    until(lambda: dev.rules()[0]["hits"] == 3, "all of them have waited")


@pytest.mark.parametrize("action", [{"do": "reset"}, {"do": "half_close"}, {"do": "close", "code": 4000, "reason": "no"},
                                    {"do": "expire"}, {"do": "reconnect"}])
def test_a_fault_as_soon_as_the_session_is_there(dev, action):
    dev.rule({"at": "connect", "user": "eve"}, action, times=1)
    with pytest.raises(Closed):
        client = dev.client(dev.token("eve"))
        while True:
            client.receive()
    client.socket.close()
    dev.find(kind="rule", user="eve")


def test_throttled_from_the_start(dev):
    dev.rule({"at": "connect", "user": "eve"}, {"do": "throttle", "bytes_per_s": 500})
    begun = time.monotonic()
    dev.connect("eve").close()  # session_init has some 270 bytes
    assert time.monotonic() - begun > 0.3


# --- every word of the protocol ---

ROOT = Path(__file__).parents[2]
REASONS = re.findall(r'^REASON\(\w+, "(\w+)", (\w+), (\d+)', (ROOT / "common/protocol/reasons.def").read_text(), re.M)
STATUSES = dict(re.findall(r'^ERROR\((\w+), "\w+", (\d+)', (ROOT / "common/base/errors.def").read_text(), re.M))
SILENT = ["going_away", "slow_consumer", "pong_timeout", "protocol_error"]  # without an error frame
PAGE = (ROOT / "docs/testing.md").read_text()


@pytest.mark.parametrize("reason, error, code", REASONS)
def test_a_connection_ends_for_each_reason(dev, reason, error, code):
    with dev.connect("eve") as client:
        dev.do({"do": "close", "reason": reason}, {"user": "eve"})
        client.expect_close(int(code), reason)
        assert [message["type"] for message in client.skipped] == ([] if reason in SILENT else ["error"])
    assert dev.find(kind="closed", user="eve")["text"] == reason


@pytest.mark.parametrize("reason, error, code", REASONS)
def test_a_client_is_refused_for_each_reason(dev, reason, error, code):
    response = refused(dev, {"do": "refuse", "reason": reason})
    assert (response.status, response.json["error"]["reason"]) == (int(STATUSES[error]), reason)
    assert ("retry-after" in response.headers) == (response.status in (429, 503))
    dev.rule({"at": "connect", "user": "eve"}, {"do": "refuse", "reason": reason}, times=1)
    with dev.client(dev.token("eve"), headers=[("Origin", "http://localhost")]) as page:  # a browser
        page.expect("error")
        page.expect_close(int(code), reason)


@pytest.mark.parametrize("code", [error for error in re.findall(r'^ERROR\(\w+, "(\w+)"', (ROOT / "common/base/errors.def").read_text(), re.M)])
def test_a_command_fails_with_each_error(dev, code):
    dev.rule({"at": "in", "user": "eve"}, {"do": "error", "code": code}, times=1)
    with dev.connect("eve") as client:
        client.error("ping", code)
        client.nothing_before_pong()


def test_the_page_has_every_word(dev):
    gaps = re.findall(r'^GAP\(\w+, "(\w+)"', (ROOT / "common/protocol/gaps.def").read_text(), re.M)
    actions = re.findall(r'^FAULT_ACTION\(\w+, "(\w+)"', (ROOT / "server/dev/fault_actions.def").read_text(), re.M)
    for word in [reason for reason, *_ in REASONS] + gaps + actions:
        assert f"`{word}`" in PAGE, word


@pytest.mark.parametrize("call", sorted(set(re.findall(r'`(\{"(?:on|match)":.+?\})` \|', PAGE))))
def test_each_call_of_the_page_is_taken(dev, call):
    assert dev.call("POST", "/do" if '"on"' in call else "/rules", call.replace("REASON", "unavailable" if '"error"' in call else
                    "epoch_changed" if '"gap"' in call else "not_ready").encode()).status == 200


# --- at once ---

def test_whom_an_order_reaches(dev):
    clients = [dev.connect(user) for user in ("ada", "ada", "bob")]
    clients[0].subscribe("room:1")
    clients[2].subscribe("room:2")
    hello = {"do": "inject", "frame": {"type": "hello"}}
    for on, count in [({"user": "ada"}, 2), ({"user": "eve"}, 0), ({"session": clients[2].init["session_id"]}, 1), ({"session": "x"}, 0),
                      ({"channel": "room:1"}, 1), ({"channel": "room:*"}, 2), ({"channel": "room:3"}, 0), ({"all": True}, 3)]:
        dev.do(hello, on, count)
    assert [sum(1 for line in dev.journal("?kinds=sent") if line["session"] == client.init["session_id"] and
                line["frame"] == {"type": "hello"}) for client in clients] == [4, 2, 3]
    for client in clients:
        client.drop()


def test_an_order_about_messages_is_a_rule_for_the_next_one(room):
    answer = room.do({"do": "drop"})
    assert [rule["id"] for rule in room.dev.rules()] == answer["rules"]
    room.publish(1, 2)
    assert room.get(1) == [2]
    assert room.dev.rules()[0]["times"] == 0


def test_orders_do_not_reach_sessions_that_have_ended(room):
    """Two orders in one turn: the first ends the session."""
    for _ in range(2):
        room.dev.call("POST", "/do", {"on": {"user": "ada"}, "action": {"do": "close", "code": 4000}})
    for action in ({"do": "gap", "reason": "epoch_changed"}, {"do": "expire", "warn": True}, {"do": "reconnect"}, {"do": "freeze"},
                   {"do": "inject", "frame": 1}, {"do": "reset"}):
        room.dev.call("POST", "/do", {"on": {"user": "ada"}, "action": action})
    room.ada.expect_close(4000)
    room.bob.nothing_before_pong()


def test_every_order_on_one_session_in_one_request_after_the_other(dev):
    """All actions, on sessions that end meanwhile, in any order: the server stands."""
    rng = random.Random(7)
    actions = [{"do": "close", "code": 4000}, {"do": "close", "reason": "slow_consumer"}, {"do": "reset"}, {"do": "half_close"}, {"do": "freeze"},
               {"do": "freeze", "for": "20ms"}, {"do": "freeze", "for": 0}, {"do": "throttle", "bytes_per_s": 100}, {"do": "inject", "frame": {}},
               {"do": "gap", "reason": "epoch_changed"}, {"do": "expire"}, {"do": "expire", "warn": True}, {"do": "lose_history"},
               {"do": "reconnect", "after_ms": 1}, {"do": "drop"}, {"do": "delay", "by": "30ms"}, {"do": "corrupt"}, {"do": "duplicate"},
               {"do": "reorder"}, {"do": "fragment", "bytes": 3}, {"do": "lose_answer"}, {"do": "error"}, {"do": "truncate", "bytes": 3}]
    for _ in range(60):
        client = dev.connect("mad")
        client.send("subscribe", id=1, channel="room:mad")
        for action in rng.sample(actions, 4):
            assert dev.call("POST", "/do", {"on": {"all": True}, "action": action}).status == 200
            try:
                client.send("publish", channel="room:mad", type="test", data={"n": 1})
            except OSError:
                break
        rng.choice([client.drop, client.socket.close])()
    with dev.connect("sane") as client:
        client.nothing_before_pong()


def test_many_rules_are_refused_in_the_end(dev):
    for _ in range(1000):
        dev.rule({}, {"do": "drop"})
    answer = dev.call("POST", "/rules", {"action": {"do": "drop"}})
    assert answer.status == 429 and "as many as there may be" in answer.json["error"]["message"]
    answer = dev.call("POST", "/do", {"on": {"all": True}, "action": {"do": "drop"}})
    assert answer.status == 200  # nobody is there
    with dev.client(dev.token("bob")):
        answer = dev.call("POST", "/do", {"on": {"all": True}, "action": {"do": "drop"}})
        assert answer.status == 429
    dev.order("/rules", method="DELETE")
    assert dev.rules() == []


def test_a_rule_of_a_megabyte(dev):
    answer = dev.call("POST", "/rules", {"action": {"do": "drop"}, "comment": "x" * 100000})
    assert answer.status == 413 and "at most 65536 bytes" in answer.json["error"]["message"]


def test_one_rule(dev):
    rule = dev.rule({}, {"do": "drop"})
    assert dev.order(f"/rules/{rule}", method="GET")["id"] == rule
    assert dev.call("DELETE", f"/rules/{rule}").status == 204
    assert dev.call("GET", f"/rules/{rule}").status == 404
    assert dev.call("DELETE", f"/rules/{rule}").status == 404
    assert dev.call("PUT", "/rules").headers["allow"] == "POST, GET, HEAD, DELETE"


def test_rules_are_in_a_snapshot(dev):
    dev.order("/reset")
    dev.rule({"type": "a", "nth": 2}, {"do": "delay", "by": "5s"}, comment="late")
    dev.rule({}, {"do": "drop"}, times=3)
    before = dev.rules()
    saved = dev.order("/snapshot", method="GET")
    dev.order("/rules", method="DELETE")
    dev.order("/snapshot", saved, method="PUT")
    assert dev.rules() == before
    wrong = {**saved, "rules": [{**saved["rules"][0], "action": {"do": "explode"}}]}
    assert "action.do: expected one of" in dev.refused("/snapshot", wrong, method="PUT")
    assert dev.rules() == before
    dev.order("/snapshot", {"version": 1}, method="PUT")
    assert dev.rules() == []


def test_chance_repeats_with_the_seed(tmp_path):
    def run(name, seed):
        server = DevServer(tmp_path, "--seed", str(seed), "--channels", CHANNELS, name=name)
        ada = server.connect("ada")
        ada.subscribe("room:1")
        server.rule({"type": "notification"}, {"do": "corrupt"}, times=3)
        server.rule({"type": "notification"}, {"do": "reorder", "window": 8})
        for n in range(3):
            server.publish("room:1", "x" * 100)
        places = [ada.receive_frame()[2].index(0xff) for _ in range(3)]
        for n in range(8):
            server.publish("room:1", str(n))
        order = [ada.receive()["data"]["message"] for _ in range(8)]
        ada.socket.close()
        server.close()
        return places, order

    first = run("first", 7)
    assert first == run("second", 7) != run("third", 8)


# --- the end ---

def test_it_ends_in_time_with_frozen_and_closing_sessions(tmp_path):
    server = DevServer(tmp_path, "--close-timeout", "1s")
    clients = [server.connect(f"user-{n}") for n in range(3)]
    server.do({"do": "freeze"}, {"user": "user-0"})
    server.do({"do": "freeze"}, {"user": "user-1"})
    server.do({"do": "close", "code": 4000}, {"user": "user-1"})
    server.do({"do": "throttle", "bytes_per_s": 1}, {"user": "user-2"})
    server.rule({"at": "connect"}, {"do": "slow_handshake", "by": "1h"})
    waiting = socket.create_connection(server.public)
    waiting.sendall(upgrade_request(headers=[("Authorization", f"Bearer {server.token('user-3')}")]))
    assert server.terminate() == 0
    for client in clients:
        client.socket.close()
    waiting.close()
    server.close()


# --- rules ---

def test_a_rule_acts_as_often_as_it_says(room):
    rule = room.rule({"do": "drop"}, times=2, comment="the first two are lost")
    room.publish(1, 2, 3)
    assert room.get(1) == [3]
    assert room.dev.rules() == [{"id": rule, "match": {"at": "out", "user": "ada", "type": "test"}, "action": {"do": "drop"}, "times": 0,
                                 "comment": "the first two are lost", "hits": 2}]


def test_the_first_rule_acts(room):
    room.rule({"do": "drop"}, {"data": {"n": 2}})
    room.rule({"do": "duplicate"})
    room.publish(1, 2, 3)
    assert room.get(4) == [1, 1, 3, 3]
    room.dev.order(f"/rules/{room.dev.rules()[1]['id']}", method="DELETE")
    room.publish(4, 5)
    assert room.get(2) == [4, 5]


def test_what_a_rule_looks_at(room):
    other = room.bob
    other.subscribe(room.channel)
    room.dev.rule({"type": "test", "user": "nobody"}, {"do": "drop"})
    room.dev.rule({"type": "other"}, {"do": "drop"})
    room.dev.rule({"channel": "elsewhere:*"}, {"do": "drop"})
    room.dev.rule({"session": room.bob.init["session_id"], "type": "test", "channel": "room:*", "data": {"n": 1.0}}, {"do": "drop"})
    room.publish(1, 2)
    assert room.get(2) == [1, 2]
    other.ask("ping", "pong")
    assert [message["data"]["n"] for message in other.skipped if message["type"] == "test"] == [2]
    assert [rule["hits"] for rule in room.dev.rules()] == [0, 0, 0, 1]


@pytest.mark.parametrize("body, said", [
    ({"action": {"do": "explode"}}, "action.do: expected one of close, reset,"),
    ({"action": {"by": "1s"}}, "action.do: expected one of close, reset,"),
    ({"match": {"at": "out"}}, "action: is missing"),
    ({"action": {"do": "drop"}, "matches": {}}, '"matches" is not known here; expected match, action, times or comment'),
    ({"action": {"do": "drop"}, "match": {"kind": "x"}}, 'match: "kind" is not known here; expected at, type, channel, user, session, data or nth'),
    ({"action": {"do": "drop", "by": "1s"}}, 'action: "by" is not known here; expected do'),
    ({"action": {"do": "delay"}}, "action.by: is missing"),
    ({"action": {"do": "delay", "by": "soon"}}, "action.by: expected a duration"),
    ({"action": {"do": "delay", "by": "2d"}}, "action.by: expected at most 24h"),
    ({"action": {"do": "close", "code": 1006}}, "action.code: expected a code that a close frame may carry"),
    ({"action": {"do": "close", "code": 1e400}}, ""),
    ({"action": {"do": "close", "reason": "x" * 124}}, "action.reason: a close frame has room for 123 bytes"),
    ({"action": {"do": "gap", "reason": "bored"}}, "action.reason: expected one of epoch_changed,"),
    ({"action": {"do": "refuse"}, "match": {"at": "connect"}}, "action: refuse needs a reason, a status or a code"),
    ({"action": {"do": "refuse", "status": 200}}, "action.status: expected a whole number from 400 to 599"),
    ({"action": {"do": "refuse", "status": 503, "code": 1012}}, "expected only one of status and code"),
    ({"action": {"do": "drop"}, "match": {"at": "connect"}}, "match.at: drop cannot act at connect; it acts at in out"),
    ({"action": {"do": "drop"}, "match": {"at": "above"}}, "match.at: expected in, out or connect"),
    ({"action": {"do": "reset"}, "match": {"at": "connect", "type": "x"}}, "match: at connect there is no message yet"),
    ({"action": {"do": "drop"}, "match": {"channel": "{"}}, "pattern"),
    ({"action": {"do": "drop"}, "match": {"user": ""}}, "match.user: expected a text that is not empty"),
    ({"action": {"do": "drop"}, "match": {"nth": 0}}, "match.nth: expected a whole number from 1"),
    ({"action": {"do": "drop"}, "times": 0}, "times: expected a whole number from 1"),
    ({"action": {"do": "drop"}, "times": 10**30}, "times: expected a whole number from 1"),
    ({"action": {"do": "throttle", "bytes_per_s": -1}}, "action.bytes_per_s: expected a whole number from 0"),
    ({"action": {"do": "freeze", "side": "left"}}, "action.side: expected read"),
    ({"action": {"do": "error", "code": "teapot"}}, "action.code: expected one of invalid_request,"),
    ([], "expected an object"),
    ("x", "expected an object"),
])
def test_a_rule_that_is_wrong_is_told_what_is_possible(server, body, said):
    assert said in server.refused("/rules", body if body != {"action": {"do": "close", "code": 1e400}} else
                                  b'{"action":{"do":"close","code":1e400}}')
    assert server.rules() == []


@pytest.mark.parametrize("body, said", [
    ({"action": {"do": "reset"}}, "on: is missing"),
    ({"on": {}, "action": {"do": "reset"}}, 'on: expected one of {"session":'),
    ({"on": {"all": False}, "action": {"do": "reset"}}, 'on: expected one of {"session":'),
    ({"on": {"all": True, "user": "ada"}, "action": {"do": "reset"}}, 'on: expected one of {"session":'),
    ({"on": {"everybody": True}, "action": {"do": "reset"}}, 'on: "everybody" is not known here'),
    ({"on": {"all": True}, "action": {"do": "refuse", "status": 503}}, "POST it to /dev/v1/rules"),
])
def test_an_order_that_is_wrong_is_told_what_is_possible(server, body, said):
    assert said in server.refused("/do", body)
