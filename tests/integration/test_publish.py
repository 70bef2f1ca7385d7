"""Events in, events out: over HTTP and from clients, byte for byte and in order."""
import json

import pytest

CHAT = {"conversation_id": "conv-123", "sender_id": "user-456", "content": "Hello there!"}


def publish(node, body):
    return node.api("POST", "/api/v1/publish", body)


def test_shape_of_an_event(node):
    with node.connect() as client:
        client.subscribe("conversation:conv-123")
        answer = node.publish("conversation:conv-123", CHAT, "chat_message")
        event = client.expect("chat_message")
        assert set(event) == {"type", "channel", "id", "timestamp", "data"}
        assert event["channel"] == "conversation:conv-123"
        assert event["data"] == CHAT
        assert event["id"] == answer["id"]


def test_shape_of_an_event_with_history(node):
    with node.connect() as client:
        client.subscribe("log:x")
        answer = node.publish("log:x", CHAT, "chat_message")
        assert answer["offset"] == 1 and answer["epoch"]
        assert client.expect("chat_message")["offset"] == 1


RAW = [
    b"123456789012345678901234567890",
    b"0.1000000000000000055511151231257827",
    b"-0.0e-400",
    b'"caf\\u00e9 \\/ \\ud83d\\udd14"',
    '{"ключ":"значение","\U0001f514":[null,true,false]}'.encode(),
    b'{ "spaces" : [ 1 , 2 ] ,\t"tab":1,\r\n"line":2 }',
    b'{"a":1,"b":{"a":9007199254740993}}',
    b"[]", b"{}", b'""', b"null", b"true", b"0",
    b'"' + b"x" * 30000 + b'"',
]


@pytest.mark.parametrize("raw", RAW, ids=lambda raw: raw[:20].decode(errors="replace"))
def test_data_passes_unchanged(node, raw):
    with node.connect() as client, node.connect() as sender:
        client.subscribe("raw")
        assert publish(node, b'{"data": ' + raw + b' ,"type":"test","channel":"raw"}').status == 200
        assert b'"data":' + raw + b"}" in client.receive_text()
        sender.send_text(b'{"type":"publish","data":{"channel":"raw","type":"test","data":' + raw + b"}}")
        assert b'"data":' + raw + b"}" in client.receive_text()


def test_order(node):
    with node.connect() as client:
        client.subscribe("log:order")
        for n in range(200):
            node.publish("log:order", n)
        events = [client.expect("test") for _ in range(200)]
        assert [e["data"] for e in events] == list(range(200))
        assert [e["offset"] for e in events] == list(range(1, 201))
        assert len({e["id"] for e in events}) == 200


def test_every_subscriber_gets_it_and_nobody_else(node):
    subscribers = [node.connect(f"user-{n}") for n in range(20)]
    with node.connect("stranger") as stranger:
        stranger.subscribe("elsewhere")
        for client in subscribers:
            client.subscribe("news")
        node.publish("news", 1)
        for client in subscribers:
            assert client.expect("test")["data"] == 1
            client.nothing_before_pong()
            client.close()
        stranger.nothing_before_pong()


@pytest.mark.parametrize("channel", ["plain", "log:kept"])
def test_idempotent_by_event_id(node, channel):
    with node.connect() as client:
        client.subscribe(channel)
        first = node.publish(channel, 1, event_id="order-77")
        again = node.publish(channel, 1, event_id="order-77")
        assert not first.get("duplicate")
        assert again["duplicate"] is True
        assert again["id"] == first["id"]
        assert again.get("offset") == first.get("offset")
        other = node.publish(channel, 2, event_id="order-78")
        assert not other.get("duplicate")
        assert [client.expect("test")["data"] for _ in range(2)] == [1, 2]
        client.nothing_before_pong()


def test_event_id_of_a_client(node):
    with node.connect() as client:
        client.subscribe("log:kept")
        first = client.ask("publish", "published", id=1, channel="log:kept", type="t", data=1, event_id="once")
        again = client.ask("publish", "published", id=2, channel="log:kept", type="t", data=1, event_id="once")
        assert again["data"]["duplicate"] is True and again["data"]["id"] == first["data"]["id"]


def test_broadcast(node):
    with node.connect() as one, node.connect() as two:
        one.subscribe("a")
        two.subscribe("log:b")
        answer = node.api("POST", "/api/v1/broadcast", {"channels": ["a", "log:b", "not valid"], "type": "test", "data": {"n": 1}})
        assert answer.status == 200, answer
        results = answer.json["results"]
        assert len(results) == 3
        assert results[0]["id"] and results[1]["offset"] == 1
        assert results[2]["error"]["code"] == "invalid_request"
        assert one.expect("test")["data"] == {"n": 1}
        assert two.expect("test")["data"] == {"n": 1}


def test_batch(node):
    with node.connect() as client:
        client.subscribe("log:batch")
        commands = [{"publish": {"channel": "log:batch", "type": "test", "data": n}} for n in range(20)]
        commands.insert(10, {"publish": {"channel": "log:batch", "type": "Not A Type", "data": 1}})
        answer = node.api("POST", "/api/v1/batch", {"commands": commands})
        assert answer.status == 200, answer
        results = answer.json["results"]
        assert results[10]["error"]["code"] == "invalid_request"
        offsets = [r["offset"] for r in results if "offset" in r]
        assert offsets == list(range(1, 21)), "results are in order"
        assert [client.expect("test")["data"] for _ in range(20)] == list(range(20))


BUILT_IN = {
    "notification": {"message": "You have mail", "level": "info"},
    "chat_message": CHAT,
    "status_update": {"entity_type": "order", "entity_id": "7", "status": "shipped"},
}


@pytest.mark.parametrize("type_", BUILT_IN)
def test_built_in_types(node, type_):
    good = BUILT_IN[type_]
    with node.connect() as client:
        client.subscribe("news")
        node.publish("news", {**good, "more": {"kept": [1]}}, type_)
        assert client.expect(type_)["data"] == {**good, "more": {"kept": [1]}}
        for member in good:
            if member != "level":
                missing = publish(node, {"channel": "news", "type": type_, "data": {k: v for k, v in good.items() if k != member}})
                assert missing.status == 400 and missing.json["error"]["code"] == "invalid_request"
                assert member in missing.json["error"]["message"], missing
            wrong = publish(node, {"channel": "news", "type": type_, "data": {**good, member: 7}})
            assert wrong.status == 400 and member in wrong.json["error"]["message"], wrong
        assert publish(node, {"channel": "news", "type": type_, "data": "text"}).status == 400
        client.error("publish", "invalid_request", channel="news", type=type_, data={})
        client.nothing_before_pong()


def test_level_of_a_notification(node):
    for level in ("info", "success", "warning", "error"):
        node.publish("news", {"message": "m", "level": level}, "notification")
    node.publish("news", {"message": "m"}, "notification")
    answer = publish(node, {"channel": "news", "type": "notification", "data": {"message": "m", "level": "panic"}})
    assert answer.status == 400 and "level" in answer.json["error"]["message"]


@pytest.mark.parametrize("type_", ["a", "order.created", "x_1-2", "a" * 64])
def test_custom_types(node, type_):
    with node.connect() as client:
        client.subscribe("news")
        node.publish("news", [1, "two"], type_)
        assert client.expect(type_)["data"] == [1, "two"]


@pytest.mark.parametrize("type_", ["", "A", "1a", "a b", "a" * 65, "é", "error", "session_init", "subscribed", "reconnect", "gap",
                                   "pong", "join", 7, None])
def test_bad_types(node, type_):
    answer = publish(node, {"channel": "news", "type": type_, "data": {}})
    assert answer.status == 400 and answer.json["error"]["code"] == "invalid_request", answer


def test_custom_types_can_be_off(launch):
    node = launch({"events.custom": False})
    node.publish("news", CHAT, "chat_message")
    assert publish(node, {"channel": "news", "type": "mine", "data": {}}).status == 400


@pytest.mark.parametrize("body, member", [
    ({"type": "t", "data": 1}, "channel"),
    ({"channel": "c", "data": 1}, "type"),
    ({"channel": "c", "type": "t"}, "data"),
    ({"channel": 7, "type": "t", "data": 1}, "channel"),
    ({"channel": "with space", "type": "t", "data": 1}, "channel"),
    ({"channel": "c", "type": "t", "data": 1, "event_id": ""}, "event_id"),
    ({"channel": "c", "type": "t", "data": 1, "event_id": "x" * 129}, "event_id"),
    ({"channel": "c", "type": "t", "data": 1, "event_id": 7}, "event_id"),
])
def test_bad_publish_names_the_member(node, body, member):
    answer = publish(node, body)
    assert answer.status == 400
    assert member in answer.json["error"]["message"], answer


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b'{"channel":"c","type":"t","data":1', b'{"channel":"c","type":"t","data":01}',
                                  b'{"channel":"c","channel":"d","type":"t","data":1}', b'{"channel":"c","type":"t","data":"\xff"}',
                                  b'{"channel":"c","type":"t","data":' + b"[" * 10000 + b"]" * 10000 + b"}"],
                         ids=["empty", "x", "list", "cut", "number", "twice", "utf8", "deep"])
def test_bad_json(node, body):
    answer = publish(node, body)
    assert answer.status == 400 and answer.json["error"]["code"] == "invalid_request", answer


def test_too_large(launch):
    node = launch({"limits.event_bytes": "1k", "limits.message_bytes": "8k"})
    assert publish(node, {"channel": "c", "type": "t", "data": "x" * 1000}).status == 200
    answer = publish(node, {"channel": "c", "type": "t", "data": "x" * 1100})
    assert answer.status == 413 and answer.json["error"]["code"] == "too_large"
    with node.connect() as client:
        client.error("publish", "too_large", channel="c", type="t", data="x" * 1100)


def test_client_publishes(node):
    with node.connect("sender") as sender, node.connect("listener") as listener:
        listener.subscribe("log:room")
        answer = sender.ask("publish", "published", id=9, channel="log:room", type="chat_message", data=CHAT)
        assert answer["channel"] == "log:room"
        event = listener.expect("chat_message")
        assert answer["data"]["id"] == event["id"] and answer["data"]["offset"] == event["offset"] == 1
        sender.nothing_before_pong()


def test_client_that_subscribes_gets_its_own_event(node):
    with node.connect() as client:
        client.subscribe("room")
        client.send("publish", id=1, channel="room", type="t", data=1)
        assert {client.receive()["type"], client.receive()["type"]} == {"published", "t"}


def test_bad_publish_of_a_client(node):
    with node.connect() as client:
        for data in ({"channel": "c", "type": "t"}, {"channel": "c", "data": 1}, {"type": "t", "data": 1},
                     {"channel": "c", "type": "Bad Type", "data": 1}, {"channel": "with space", "type": "t", "data": 1},
                     {"channel": "c", "type": "t", "data": 1, "event_id": "with space"}):
            assert client.error("publish", "invalid_request", **data)["message"]
        client.nothing_before_pong()


def test_pipelined_publishes_of_a_client_keep_their_order(launch):
    node = launch({"limits.message_rate": 0})
    with node.connect() as sender, node.connect() as listener:
        listener.subscribe("log:pipeline")
        for n in range(100):
            sender.send("publish", id=n, channel="log:pipeline", type="t", data=n)
        assert [sender.expect("published")["id"] for _ in range(100)] == list(range(100))
        assert [listener.expect("t")["data"] for _ in range(100)] == list(range(100))


def test_nobody_listens(node):
    assert node.publish("log:alone", 1)["offset"] == 1
    assert node.publish("alone", 1)["id"]
    assert json.loads(node.api("GET", "/api/v1/channels").body)["channels"] == []
