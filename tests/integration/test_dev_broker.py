"""POST /dev/v1/broker: the failures of a Redis, without one."""
import threading
import time

import pytest
from support import http
from support.dev import DevServer
from support.wait import DEADLINE_S, until


# Without presence_events: where joins and leaves are told, each lost connection is told as a gap, too.
RULES = '[{"match":"*","allow":["subscribe","publish","history"],"history":{"size":100,"ttl":"1h"}}]'


@pytest.fixture
def dev(tmp_path):
    server = DevServer(tmp_path, "--channels", RULES)
    yield server
    server.close()


def publish(dev, channel="room:1"):
    event = {"channel": channel, "type": "notification", "data": {"message": "x"}}
    return http.request(dev.internal, "POST", "/api/v1/publish", event, {"X-API-Key": dev.api_key})


def ready(dev):
    return http.request(dev.internal, "GET", "/readyz").status


def test_down_and_up_again(dev):
    client = dev.connect()
    client.subscribe("room:1")
    assert dev.order("/broker", {"state": "down"}) == {"state": "down"}
    assert dev.order("/broker", method="GET") == {"state": "down"}
    assert publish(dev).status == 503 and ready(dev) == 503
    client.send("publish", "p", channel="room:1", type="notification", data={"message": "x"})
    assert client.expect("error", id="p")["error"]["code"] == "unavailable"
    client.send("subscribe", "s", channel="room:2")  # waits until the broker is back
    client.nothing_before_pong()
    assert dev.order("/broker", {"state": "up"}) == {"state": "up"}
    client.expect("subscribed", id="s")
    assert publish(dev).status == 200 and ready(dev) == 200
    assert client.expect("notification")["offset"] == 1
    client.drop()


def test_for_a_while(dev):
    dev.order("/clock", {"freeze": True})
    dev.order("/broker", {"state": "down", "for": "5s"})
    dev.order("/clock", {"advance": "4s"})
    assert publish(dev).status == 503
    fired = dev.order("/clock", {"advance": "2s"})["fired"]
    assert [line["text"] for line in fired if line["kind"] == "broker"] == ["up"]
    assert publish(dev).status == 200


def test_channels_with_history_go_on_without_a_gap(dev):
    client = dev.connect()
    client.subscribe("room:1")
    publish(dev)
    assert client.expect("notification")["offset"] == 1
    dev.order("/broker", {"state": "down"})
    dev.order("/broker", {"state": "up"})
    publish(dev)
    assert client.expect("notification")["offset"] == 2
    assert not any(line["frame"]["type"] == "gap" for line in dev.journal("?kinds=sent"))
    client.drop()


def test_lost_is_told_as_a_gap(dev):
    client = dev.connect()
    before = client.subscribe("room:1")
    publish(dev)
    client.expect("notification")
    dev.order("/broker", {"state": "lost"})
    gap = client.expect("gap")
    assert gap["data"]["epoch"] != before["data"]["epoch"] and gap["data"]["offset"] == 0
    assert publish(dev).json["offset"] == 1
    assert [line["text"] for line in dev.journal("?kinds=broker")] == ["lost", "up"]
    client.drop()


def test_slow(dev):
    client = dev.connect()
    client.subscribe("room:1")
    dev.order("/broker", {"state": "slow", "by": "150ms"})
    began = time.monotonic()
    assert publish(dev).status == 200
    assert time.monotonic() - began >= 0.14
    for n in range(5):
        client.send("publish", f"p{n}", channel="room:1", type="notification", data={"message": str(n)})
    client.find("published", id="p4")
    told = [line["frame"]["data"]["message"] for line in dev.journal("?kinds=published")]
    assert told == ["x", "0", "1", "2", "3", "4"]
    client.send("subscribe", "s", channel="room:2")
    client.send("unsubscribe", "u", channel="room:2")
    client.send("subscribe", "s2", channel="room:2")
    client.find("subscribed", id="s2")
    dev.order("/broker", {"state": "up"})
    until(lambda: publish(dev).status == 200, "it answers")
    client.drop()


def test_a_reset_brings_it_up(dev):
    dev.order("/broker", {"state": "down"})
    dev.order("/reset")
    assert dev.order("/broker", method="GET") == {"state": "up"}
    assert publish(dev).status == 200


def test_it_ends_while_it_is_slow_or_down(tmp_path):
    for state in ("slow", "down"):
        server = DevServer(tmp_path, name=state)
        client = server.connect()
        server.order("/broker", {"state": state, **({"by": "60s"} if state == "slow" else {})})
        client.send("publish", "p", channel="room:1", type="notification", data={"message": "x"})
        server.order("/wait", {"for": {"kind": "received"}})
        client.drop()
        assert server.terminate() == 0
        server.close()


@pytest.mark.parametrize("body, said", [
    ({}, "state"), ({"state": "gone"}, '"gone" is none; expected down, slow, lost or up'), ({"state": "down", "for": "x"}, "for: expected a duration"),
    ({"state": "down", "by": "1s"}, "by: is for the state slow"), ({"state": "up", "for": "1s"}, "for: is not for the state up"),
    ({"state": "down", "for": "0s"}, "for: expected more than 0"),
    ({"state": "slow", "by": "2h"}, "by: at most 60s"), ({"state": "up", "fr": "1s"}, '"fr" is not known here'),
])
def test_wrong_orders(dev, body, said):
    assert said in dev.refused("/broker", body)


def held_publish(dev, channel="room:1"):
    """Begins a publish that the slow broker holds. Call the result for its answer."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(publish(dev, channel)))
    thread.start()

    def answer():
        thread.join(DEADLINE_S)
        return answers[0]
    return answer


def frozen(folder, name="frozen"):
    server = DevServer(folder, "--channels", RULES, "--seed", "1", "--at", "2026-01-15T10:30:00Z", "--clock", "frozen", name=name)
    server.order("/broker", {"state": "slow", "by": "1s"})
    client = server.connect("first")
    client.send("publish", "old", channel="room:1", type="notification", data={"message": "old"})
    server.order("/wait", {"for": {"kind": "received", "user": "first"}})
    return server, client


def test_a_reset_drops_what_a_slow_broker_holds(tmp_path):
    """The clock stands still: nothing of the test before comes by itself, and the next test finds a broker that works."""
    server, first = frozen(tmp_path)
    answer = held_publish(server)
    time.sleep(0.05)
    server.order("/reset")
    assert answer().status == 503
    assert server.order("/broker", method="GET") == {"state": "up"}
    client = server.connect("next")
    assert client.subscribe("room:1")["data"]["offset"] == 0
    assert publish(server).json["offset"] == 1
    assert client.expect("notification")["offset"] == 1
    server.order("/clock", {"advance": "5s"})
    assert len(client.ask("history", "history", channel="room:1")["data"]["events"]) == 1
    for each in (first, client):
        each.drop()
    server.close()


def test_a_reset_that_keeps_sessions_makes_the_subscriptions_that_a_slow_broker_holds(tmp_path):
    server, client = frozen(tmp_path)
    client.send("subscribe", "s", channel="room:2")
    server.order("/wait", {"for": {"kind": "received", "frame": {"id": "s"}}})
    server.order("/reset", {"keep": ["sessions"]})
    client.find("subscribed", id="s")
    publish(server, "room:2")
    assert client.find("notification")["offset"] == 1
    client.drop()
    server.close()


def test_up_carries_out_at_once_what_was_late(tmp_path):
    server, client = frozen(tmp_path)
    server.order("/broker", {"state": "up"})
    assert client.expect("published", id="old")
    assert publish(server).json["offset"] == 2
    client.drop()
    server.close()
