"""Two nodes and a real Redis."""
import json
import signal

import pytest
from support.carillon import ALL
from support.redis import Redis
from support.wait import until


@pytest.fixture
def pair(launch, redis):
    return launch.pair(redis)


def live(channel):
    return f"carillon:{{{channel}}}:live"


def subscriptions(redis, channel):
    return redis("PUBSUB", "NUMSUB", live(channel))[1]


def test_events_both_ways(pair):
    a, b = pair
    with a.connect("at-a") as at_a, b.connect("at-b") as at_b:
        at_a.subscribe("log:room")
        at_b.subscribe("log:room")
        a.publish("log:room", {"from": "a"})
        b.publish("log:room", {"from": "b"})
        for client in (at_a, at_b):
            first, second = client.expect("test"), client.expect("test")
            assert (first["data"], first["offset"]) == ({"from": "a"}, 1)
            assert (second["data"], second["offset"]) == ({"from": "b"}, 2)
            client.nothing_before_pong()


def test_the_same_bytes_through_redis(pair):
    a, b = pair
    raw = b'{"big":123456789012345678901234567890, "text":"caf\\u00e9 \xf0\x9f\x94\x94", "list":[1.0,2.50]}'
    with a.connect("at-a") as at_a, b.connect("at-b") as at_b:
        at_a.subscribe("log:raw")
        at_b.subscribe("log:raw")
        assert a.api("POST", "/api/v1/publish", b'{"channel":"log:raw","type":"test","data":' + raw + b"}").status == 200
        texts = [at_a.receive_text(), at_b.receive_text()]
        assert texts[0] == texts[1]
        assert b'"data":' + raw + b"}" in texts[0]


def test_one_subscription_a_channel_a_node(pair, redis):
    a, b = pair
    clients = [node.connect(f"user-{n}") for node in pair for n in range(8)]
    for client in clients:
        client.subscribe("news")
    assert subscriptions(redis, "news") == 2
    for client in clients[:8]:
        client.ask("unsubscribe", "unsubscribed", channel="news")
    until(lambda: subscriptions(redis, "news") == 1, "the first node lets go")
    for client in clients[8:]:
        client.close()
    until(lambda: subscriptions(redis, "news") == 0, "the second node lets go")
    # And it can be had again, at once.
    with a.connect() as again:
        again.subscribe("news")
        b.publish("news", 1)
        again.expect("test")
    for client in clients[:8]:
        client.drop()


def test_subscribe_and_unsubscribe_in_quick_turns(pair):
    a, b = pair
    with a.connect() as client:
        for n in range(40):
            client.send("subscribe", id=f"s{n}", channel="news")
            client.send("unsubscribe", id=f"u{n}", channel="news")
        client.subscribe("news")
        b.publish("news", "last")
        assert client.find("test")["data"] == "last"


def test_offsets_are_dense_with_publishers_on_both(pair):
    a, b = pair
    with a.connect("at-a") as at_a, b.connect("at-b") as at_b:
        at_a.subscribe("log:dense")
        at_b.subscribe("log:dense")
        given = []
        for n in range(50):
            given += [a.publish("log:dense", n)["offset"], b.publish("log:dense", n)["offset"]]
        assert given == list(range(1, 101))
        for client in (at_a, at_b):
            assert [client.expect("test")["offset"] for _ in range(100)] == list(range(1, 101))


def test_idempotent_across_nodes(pair):
    a, b = pair
    with a.connect() as client:
        client.subscribe("log:once")
        first = a.publish("log:once", 1, event_id="order-1")
        again = b.publish("log:once", 1, event_id="order-1")
        assert again["duplicate"] is True
        assert (again["id"], again["offset"]) == (first["id"], first["offset"])
        client.expect("test")
        client.nothing_before_pong()


@pytest.mark.parametrize("channel", ["log:once", "plain"])
def test_idempotent_whichever_way_it_comes(pair, channel):
    a, b = pair
    with b.connect() as client:
        client.subscribe(channel)
        event = {"channel": channel, "type": "test", "data": 1, "event_id": "order-2"}
        first = a.api("POST", "/api/v1/publish", event).json
        client.expect("test")
        broadcast = {"channels": [channel], "type": "test", "data": 1, "event_id": "order-2"}
        again = [b.api("POST", "/api/v1/batch", {"commands": [{"publish": event}]}).json["results"][0],
                 b.api("POST", "/api/v1/broadcast", broadcast).json["results"][0],
                 client.ask("publish", "published", **event)["data"]]
        for answer in again:
            assert answer["duplicate"] is True
            assert {k: answer.get(k) for k in ("id", "epoch", "offset")} == {k: first.get(k) for k in ("id", "epoch", "offset")}
        client.nothing_before_pong()


def test_what_redis_keeps(pair, redis):
    a, _ = pair
    answer = a.publish("log:kept", {"n": 1})
    assert redis("XLEN", "carillon:{log:kept}:log") == 1
    meta = redis("HGETALL", "carillon:{log:kept}:meta")
    assert answer["epoch"] in meta
    assert "1" in meta


def test_history_is_bounded(launch, redis):
    node = launch({"redis.url": redis.url, "channels": [{"match": "*", "allow": ALL, "history": {"size": 10, "ttl": "10m"}}]})
    until(node.ready, "ready")
    for n in range(50):
        node.publish("short", n)
    assert redis("XLEN", "carillon:{short}:log") == 10
    assert 0 < redis("TTL", "carillon:{short}:log") <= 660


def test_direct_publish(pair, redis):
    a, b = pair
    with a.connect() as at_a, b.connect() as at_b:
        at_a.subscribe("news")
        at_b.subscribe("news")
        redis("PUBLISH", live("news"), '{"type":"notification","data":{"message":"direct","big":12345678901234567890}}')
        for client in (at_a, at_b):
            text = client.receive_text()
            assert b'"data":{"message":"direct","big":12345678901234567890}' in text
            event = json.loads(text)
            assert event["type"] == "notification" and event["channel"] == "news" and "offset" not in event


BAD_DIRECT = ["", "x", "[]", '{"type":"notification"}', '{"data":1}', '{"type":"notification","data":{}}',
              '{"type":"session_init","data":{}}', '{"type":"t","data":"\xff"}'.encode("latin-1"), "{" * 10000]


def test_bad_direct_publish_is_dropped(pair, redis):
    a, _ = pair
    with a.connect() as client:
        client.subscribe("news")
        for bad in BAD_DIRECT:
            redis("PUBLISH", live("news"), bad)
        redis("PUBLISH", live("news"), '{"type":"t","data":"good"}')
        assert client.expect("t")["data"] == "good"


def test_kill_of_a_node_leaves_the_other(pair, redis):
    a, b = pair
    with a.connect() as at_a, b.connect() as at_b:
        at_a.subscribe("log:x")
        at_b.subscribe("log:x")
        a.kill()
        for n in range(20):
            assert b.publish("log:x", n)["offset"] == n + 1
        assert [at_b.expect("test")["data"] for _ in range(20)] == list(range(20))
    until(lambda: len(b.api("GET", "/api/v1/info").json["nodes"]) == 1, "the dead node is forgotten")
    until(lambda: subscriptions(redis, "log:x") <= 1, "Redis has let go of the dead node")


def test_sessions_info_and_channels_of_all_nodes(pair):
    a, b = pair
    with a.connect("at-a") as at_a, b.connect("at-b") as at_b:
        at_a.subscribe("x")
        at_b.subscribe("x")
        for node in pair:
            assert {s["user"] for s in node.api("GET", "/api/v1/sessions").json["sessions"]} == {"at-a", "at-b"}
            assert sum(n["sessions"] for n in node.api("GET", "/api/v1/info").json["nodes"]) == 2
            assert node.api("GET", "/api/v1/channels/x").json["subscribers"] == 2
            assert node.api("GET", "/api/v1/channels").json["channels"] == [{"channel": "x", "subscribers": 2}]


def test_a_session_of_another_node_with_its_channels(launch, redis):
    """10,000 channels in pages, asked of the node where the session is not."""
    a, b = launch.pair(redis, {"limits.channels": 10000, "limits.message_rate": 0})
    names = [f"plain:{n:05}" for n in range(9999)] + ["log:x"]
    for data in ("of nobody's business", 2):
        a.publish("log:x", data)
    with b.connect("ada") as ada:
        path = f"/api/v1/sessions/{ada.init['session_id']}"
        for first in range(0, len(names), 1000):
            part = names[first:first + 1000]
            for name in reversed(part):
                ada.send("subscribe", channel=name)
            for _ in part:
                ada.expect("subscribed")
        found, after = [], ""
        while after is not None:
            answer = a.api("GET", f"{path}?limit=1000&after={after}")
            assert answer.status == 200 and "nobody" not in answer.body.decode()
            assert len(answer.json["channels"]) == 1000
            found += answer.json["channels"]
            after = answer.json["next"]
        assert [one["channel"] for one in found] == sorted(names)
        assert answer.json["channel_count"] == 10000 and answer.json["user"] == "ada"
        assert answer.json["node"] == a.api("GET", "/api/v1/sessions").json["sessions"][0]["node"]
        assert answer.json["node"][-6:] == ada.init["session_id"][-6:]
        of_log = b.api("GET", f"{path}?limit=1").json["channels"][0]  # the same of its own node
        assert of_log == found[0] == {"channel": "log:x", "subscribed": True, "recovering": False, "recoverable": True,
                                      "epoch": a.publish("log:x", 3)["epoch"], "offset": 2}
        assert found[1] == {"channel": "plain:00000", "subscribed": True, "recovering": False, "recoverable": False}
        ada.expect("test")
        until(lambda: a.api("GET", f"{path}?limit=1").json["channels"][0]["offset"] == 3, "the position goes on")
    until(lambda: a.api("GET", path).status == 404, "the session has gone")


def test_disconnect_and_subscribe_reach_all_nodes(pair):
    a, b = pair
    with a.connect("eve") as at_a, b.connect("eve") as at_b, b.connect("bob") as other:
        assert a.api("POST", "/api/v1/subscribe", {"user": "eve", "channel": "vip"}).json["count"] == 2
        at_a.expect("subscribed", channel="vip")
        at_b.expect("subscribed", channel="vip")
        b.publish("vip", 1)
        at_a.expect("test")
        at_b.expect("test")
        assert b.api("POST", "/api/v1/unsubscribe", {"session_id": at_a.init["session_id"], "channel": "vip"}).json["count"] == 1
        at_a.expect("unsubscribed")
        assert a.api("POST", "/api/v1/disconnect", {"user": "eve"}).json["count"] == 2
        at_a.expect_close(1008, "disconnected")
        at_b.expect_close(1008, "disconnected")
        other.nothing_before_pong()


def test_a_new_node_is_found_at_once(launch, redis):
    """As soon as it is ready, and until it leaves, however seldom the others read the registry of nodes."""
    config = {"redis.url": redis.url, "redis.canary_interval": "5m", "workers": 1}
    first = launch(config)
    until(first.ready, "the first node is ready")
    for n in range(20):
        second = launch(config)
        until(second.ready, "the second node is ready")
        with second.connect("ada") as ada:
            ada.subscribe("room:1")
            by_user = first.api("POST", "/api/v1/unsubscribe", {"user": "ada", "channel": "room:1"}).json
            assert by_user["count"] == 1, f"round {n}"
            assert len(first.api("GET", "/api/v1/sessions?user=ada").json["sessions"]) == 1
            assert first.api("POST", "/api/v1/disconnect", {"user": "ada"}).json["count"] == 1
            ada.expect_close(1008, "disconnected")
        second.terminate()
        until(lambda: first.api("GET", "/api/v1/info").json.get("nodes_asked", 1) == 1, "the first node is told that it has left")


def test_a_session_is_asked_of_its_node_alone(pair, launch, redis):
    """A third node stands still. A question about a session of another node does not wait for it."""
    a, b = pair
    third = launch({"redis.url": redis.url})
    until(third.ready, "the third node is ready")
    with b.connect("eve") as eve, a.connect("bob") as bob:
        rows = a.api("GET", "/api/v1/sessions").json["sessions"]
        assert all(row["session_id"][-6:] == row["node"][-6:] for row in rows) and len(rows) == 2
        third.signal(signal.SIGSTOP)
        try:
            until(lambda: "partial" in a.api("GET", "/api/v1/info").json, "the first node waits for the third")
            for client in (eve, bob):
                answer = a.api("POST", "/api/v1/disconnect", {"session_id": client.init["session_id"]})
                assert answer.json == {"count": 1}
                client.expect_close(1008, "disconnected")
        finally:
            third.signal(signal.SIGCONT)


def test_prefix_and_database(launch, redis):
    config = {"redis.prefix": "shop"}
    a = launch(config, arguments=["--redis", redis.url + "/3"])
    b = launch(config, env={"REDIS_URL": redis.url + "/3"})
    until(lambda: a.ready() and b.ready(), "ready")
    with a.connect() as client:
        client.subscribe("log:x")
        b.publish("log:x", 1)
        client.expect("test")
    redis("SELECT", 3)
    assert all(key.startswith("shop:") for key in redis("KEYS", "*"))
    assert redis("EXISTS", "shop:{log:x}:log") == 1
    redis("SELECT", 0)
    assert redis("KEYS", "*") == []


def test_password_and_user(launch, tmp_path):
    folder = tmp_path / "guarded"
    folder.mkdir()
    server = Redis(folder, "--user", "carillon", "on", ">very-secret-word", "~*", "&*", "+@all", "--user", "default", "off")
    try:
        node = launch({"redis.url": f"redis://carillon:very-secret-word@127.0.0.1:{server.port}"})
        until(node.ready, "ready")
        assert node.publish("log:x", 1)["offset"] == 1
        assert "very-secret-word" not in node.log()
        wrong = launch({"redis.url": f"redis://carillon:wrong-word@127.0.0.1:{server.port}"})
        wrong.logged(r"WRONGPASS|password")
        assert not wrong.ready()
        assert "wrong-word" not in wrong.log()
    finally:
        server.close()
