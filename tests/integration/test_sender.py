"""Who sent an event: the publisher's user in it, a verified sender_id, and events that do not go to their sender."""
import json
from contextlib import closing

import pytest
from support.carillon import ALL
from support.wait import until

CHANNELS = [
    {"match": "log:*", "allow": ALL, "history": {"size": 100, "ttl": "10m"}},
    {"match": "session:*", "allow": ALL, "publisher": "session"},
    {"match": "none:*", "allow": ALL, "publisher": "none"},
    {"match": "true:*", "allow": ALL, "sender": "verified"},
    {"match": "*", "allow": ALL},
]


@pytest.fixture(params=["memory", "redis"])
def nodes(request, launch):
    """Two nodes on one Redis; or one node that is both."""
    if request.param == "redis":
        return launch.pair(request.getfixturevalue("redis"), {"channels": CHANNELS})
    return [launch({"channels": CHANNELS})] * 2


def publish(client, channel, data=1, type_="test", **more):
    return client.ask("publish", "published", id="publish", channel=channel, type=type_, data=data, **more)["data"]


def session(client):
    return client.init["session_id"]


def test_an_event_names_its_publisher(nodes):
    with nodes[0].connect('ada "l" é') as ada, nodes[1].connect("bob") as bob:
        for channel in ("plain", "log:a", "session:a", "none:a"):
            bob.subscribe(channel)
            publish(ada, channel, event_id="once")
            event = bob.expect("test", channel=channel)
            assert event.get("user") == ('ada "l" é' if channel in ("plain", "log:a") else None), event
            assert event.get("session") == (session(ada) if channel == "session:a" else None), event
            nodes[0].publish(channel, 2)
            assert not {"user", "session"} & set(bob.expect("test", channel=channel)), "a backend is not named"
        page = nodes[1].api("GET", "/api/v1/channels/log:a/history").json["events"]
        assert [event.get("user") for event in page] == ['ada "l" é', None]
        assert list(page[0]) == ["type", "channel", "id", "offset", "timestamp", "user", "data"]


def test_a_client_cannot_name_another(nodes):
    with nodes[0].connect("ada") as ada, nodes[1].connect("bob") as bob:
        bob.subscribe("plain")
        publish(ada, "plain", user="eve", session="eve")
        event = bob.expect("test")
        assert event["user"] == "ada" and "session" not in event


def test_a_verified_sender(nodes):
    chat = {"conversation_id": "c", "sender_id": "eve", "content": "x"}
    with nodes[0].connect("ada") as ada, nodes[1].connect("bob") as bob:
        bob.subscribe("true:a")
        error = ada.error("publish", "forbidden", channel="true:a", type="chat_message", data=chat)
        assert "data.sender_id" in error["message"] and '"ada"' in error["message"]
        publish(ada, "true:a", {**chat, "sender_id": "ada"}, "chat_message")
        publish(ada, "true:a", {"sender_id": "eve"})
        nodes[0].publish("true:a", chat, "chat_message")  # a backend may write for anybody
        assert [bob.receive()["data"]["sender_id"] for _ in range(3)] == ["ada", "eve", "eve"]


@pytest.mark.parametrize("channel", ["plain", "log:a"])
def test_no_echo(nodes, channel):
    with nodes[0].connect("ada") as ada, nodes[0].connect("ada") as other, nodes[1].connect("bob") as bob:
        for client in (ada, other, bob):
            client.subscribe(channel)
        publish(ada, channel, "quiet", echo=False)
        ada.nothing_before_pong()
        nodes[1].publish(channel, "loud")
        assert ada.expect("test", channel=channel)["data"] == "loud"
        for client in (other, bob):
            event = client.expect("test", channel=channel)
            assert event["data"] == "quiet" and "exclude_session" not in event
            assert client.expect("test", channel=channel)["data"] == "loud"
        ada.send("publish", channel=channel, type="test", data="mine", echo=True)
        assert {ada.receive()["type"] for _ in range(2)} == {"published", "test"}


@pytest.mark.parametrize("channel", ["plain", "log:a"])
def test_a_backend_excludes_a_session(nodes, channel):
    node = nodes[0]
    with nodes[1].connect("ada") as ada, node.connect("ada") as other:
        for client in (ada, other):
            client.subscribe(channel)
        event = {"channel": channel, "type": "test", "exclude_session": session(ada)}
        assert node.api("POST", "/api/v1/publish", {**event, "data": 1}).status == 200
        batch = node.api("POST", "/api/v1/batch", {"commands": [
            {"publish": {**event, "data": 2}},
            {"broadcast": {"channels": [channel], "type": "test", "data": 3, "exclude_session": session(ada)}},
            {"publish": {"channel": channel, "type": "test", "data": 4}}]})
        assert batch.status == 200
        assert ada.expect("test")["data"] == 4
        assert [other.expect("test")["data"] for _ in range(4)] == [1, 2, 3, 4]
        bad = node.api("POST", "/api/v1/publish", {**event, "data": 1, "exclude_session": "me"})
        assert bad.status == 400 and "exclude_session: expected the id of a session" in bad.json["error"]["message"]


def test_recovery_leaves_out_what_it_must_not_get(nodes):
    with nodes[0].connect("ada") as ada, nodes[1].connect("bob") as bob:
        first = publish(bob, "log:a", 0)
        bob.subscribe("log:a")
        for n in range(1, 6):
            publish(ada, "log:a", n, echo=n % 2 == 0)
        since = {"epoch": first["epoch"], "offset": first["offset"], "id": first["id"]}
        answer = ada.ask("subscribe", "subscribed", channel="log:a", since=since)
        assert answer["data"]["recovered"] is True
        assert [ada.expect("test")["data"] for _ in range(2)] == [2, 4]
        ada.nothing_before_pong()
        # The channel has gone on past the last event, which it did not get.
        publish(bob, "log:a", 6)
        event = ada.expect("test")
        assert event["data"] == 6 and event["offset"] == first["offset"] + 6
        # Another session gets all of them, also of the same user; and so does a page.
        with nodes[1].connect("ada") as again:
            again.ask("subscribe", "subscribed", channel="log:a", since=since)
            assert [again.expect("test")["data"] for _ in range(6)] == [1, 2, 3, 4, 5, 6]
        page = ada.ask("history", "history", channel="log:a")["data"]["events"]
        assert [event["data"] for event in page] == [0, 1, 2, 3, 4, 5, 6]
        assert not any("exclude_session" in event for event in page)


def test_ways_in_through_redis(launch, redis):
    nodes = launch.pair(redis, {"channels": CHANNELS})
    with nodes[0].connect("ada") as ada, nodes[1].connect("bob") as bob, closing(redis.connect()) as ask:
        for client in (ada, bob):
            client.subscribe("plain")
        ask("XADD", "carillon:ingest", "*", "channel", "plain", "type", "test", "data", "1",
            "exclude_session", session(ada))
        assert bob.expect("test")["data"] == 1
        direct = {"type": "test", "data": 2, "exclude_session": session(ada), "user": "eve"}
        until(lambda: ask("PUBLISH", "carillon:{plain}:live", json.dumps(direct)), "somebody listens")
        event = bob.expect("test")
        assert event["data"] == 2 and "user" not in event
        ada.nothing_before_pong()


def test_the_rule_follows_a_reload(launch):
    node = launch({"channels": CHANNELS})
    with node.connect("ada") as ada, node.connect("bob") as bob:
        bob.subscribe("plain")
        publish(ada, "plain")
        assert bob.expect("test")["user"] == "ada"
        node.reload({"channels": [{"match": "*", "allow": ALL, "publisher": "none"}]})
        until(lambda: (publish(ada, "plain"), "user" not in bob.expect("test"))[1], "the reload")
