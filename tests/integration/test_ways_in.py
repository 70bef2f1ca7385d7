"""The same events by each way in: a client's publish, the HTTP API's publish, broadcast and batch, the ingest stream, and PUBLISH
in Redis. An event that one way takes is taken by all. An event that one way refuses is refused by all, with the same code where there is an
answer."""
import json

import pytest
from support.redis import Redis
from support.wait import until

EVENT_BYTES = 3000

RULES = [{"match": "log:*", "allow": ["subscribe", "publish"], "history": {"size": 1000}},
         {"match": "*", "allow": ["subscribe", "publish"]}]


def nested(depth, open_="[", close="]"):
    return open_ * depth + close * depth


def objects(depth):
    return '{"a":' * (depth - 1) + "{}" + "}" * (depth - 1)


GOOD = {
    "a text": dict(data='"hello"'),
    "null is a value": dict(data="null"),
    "a number no double can hold": dict(data="12345678901234567890.10e400"),
    "escapes": dict(data='"\\u00e9\\/\\ud83d\\ude00"'),
    "space within": dict(data='{ "a" : [ 1 ,2 ] }'),
    "a member twice": dict(data='{"a":1,"a":2}'),
    "as deep as allowed": dict(data=nested(128)),
    "objects as deep": dict(data=objects(128)),
    "brackets in a text": dict(data=json.dumps("[" * 500)),
    "many values": dict(data="[" + "0," * 1400 + "0]"),
    "as long as allowed": dict(data='"' + "x" * (EVENT_BYTES - 2) + '"'),
    "as long as allowed in UTF-8": dict(data='"' + "\u00e9" * (EVENT_BYTES // 2 - 1) + '"'),
    "the longest type": dict(type="a" * 64),
    "all that a type may hold": dict(type="a0_.-"),
    "a built-in one": dict(type="notification", data='{"message":"hi","level":"warning","more":1}'),
    "the longest event_id": dict(event_id="!" * 64 + "~" * 64),
    "the longest channel": dict(channel="log:" + "c" * 251),
    "a channel with everything": dict(channel="log:{}[]()%\\\"'*?/\u00e9\U0001f419:"),
    "a channel of letters outside ASCII": dict(channel="\u6c34"),
}

BAD = {
    "too deep": (dict(data=nested(129)), "invalid_request"),
    "objects too deep": (dict(data=objects(129)), "invalid_request"),
    "far too deep": (dict(data=nested(1000)), "invalid_request"),
    "too long": (dict(data='"' + "x" * (EVENT_BYTES - 1) + '"'), "too_large"),
    "too long and too deep": (dict(data="[" + "0," * 1500 + nested(200) + "]"), "too_large"),
    "a type in capitals": (dict(type="Test"), "invalid_request"),
    "no type": (dict(type=""), "invalid_request"),
    "a type too long": (dict(type="a" * 65), "invalid_request"),
    "a type of the protocol": (dict(type="subscribed"), "invalid_request"),
    "a presence event": (dict(type="join"), "invalid_request"),
    "a built-in one without its member": (dict(type="notification", data="{}"), "invalid_request"),
    "a built-in one with another kind": (dict(type="notification", data='{"message":1}'), "invalid_request"),
    "a built-in one with a word unknown": (dict(type="notification", data='{"message":"a","level":"x"}'), "invalid_request"),
    "a built-in one with null": (dict(type="notification", data='{"message":"a","level":null}'), "invalid_request"),
    "an empty event_id": (dict(event_id=""), "invalid_request"),
    "a space in an event_id": (dict(event_id="a b"), "invalid_request"),
    "an event_id too long": (dict(event_id="x" * 129), "invalid_request"),
    "an event_id outside ASCII": (dict(event_id="\u00e9"), "invalid_request"),
    "a NUL in an event_id": (dict(event_id="a\0"), "invalid_request"),
    "a NUL in a type": (dict(type="a\0"), "invalid_request"),
    "no channel": (dict(channel=""), "invalid_request"),
    "a channel too long": (dict(channel="c" * 256), "invalid_request"),
    "a space in a channel": (dict(channel="a b"), "invalid_request"),
    "a NUL in a channel": (dict(channel="a\0"), "invalid_request"),
    "a control character in a channel": (dict(channel="a\x9f"), "invalid_request"),
    "a space of Unicode in a channel": (dict(channel="a\u2003b"), "invalid_request"),
}

# Bytes that are no JSON, or no event at all, are refused as a whole: within a batch nobody can say where they end.
BROKEN = {
    "no JSON": "{", "nothing": "", "two values": "1 2", "a lone surrogate": '"\\ud800"', "a tab in a text": '"\t"', "a comma too many": "[1,]",
    "a leading zero": "01", "NaN": "NaN", "a single quote": "'a'",
}


def full(event):
    return {"channel": "log:ways", "type": "test", "data": "1", **event}


def body(event, **more):
    """As JSON, with data as it is. null for what is not there must make no difference."""
    members = {k: json.dumps(v) for k, v in {**event, **more}.items() if k != "data"}
    return "{" + ",".join(f'"{k}":{v}' for k, v in {**members, "data": event["data"]}.items()) + "}"


class Ways:
    """Each method publishes an event and returns None, or the code of the refusal."""

    def __init__(self, node, redis):
        self.node, self.redis = node, redis
        self.client = node.connect()

    def websocket(self, event):
        self.client.send_text('{"type":"publish","id":"w","data":' + body(event) + "}")
        while True:
            answer = self.client.receive()
            if answer.get("id") == "w":
                return answer["error"]["code"] if answer["type"] == "error" else None

    def post(self, path, text):
        answer = self.node.api("POST", path, text.encode())
        return answer

    def http(self, event):
        answer = self.post("/api/v1/publish", body(event))
        return None if answer.status == 200 else answer.json["error"]["code"]

    def broadcast(self, event):
        channels = json.dumps([event["channel"]])
        rest = {k: v for k, v in event.items() if k != "channel"}
        answer = self.post("/api/v1/broadcast", body(rest)[:-1] + f',"channels":{channels}}}')
        if answer.status != 200:
            return answer.json["error"]["code"]
        (result,) = answer.json["results"]
        return result["error"]["code"] if "error" in result else None

    def batch(self, event):
        """Between two good ones, which must not suffer."""
        good = '{"publish":{"channel":"log:others","type":"test","data":1,"event_id":null},"broadcast":null}'
        answer = self.post("/api/v1/batch", f'{{"commands":[{good},{{"publish":{body(event)}}},{good}]}}')
        assert answer.status == 200, answer
        before, result, after = answer.json["results"]
        assert before["offset"] + 1 == after["offset"]
        return result["error"]["code"] if "error" in result else None

    def broadcast_in_a_batch(self, event):
        rest = {k: v for k, v in event.items() if k != "channel"}
        inner = body(rest)[:-1] + f',"channels":{json.dumps([event["channel"]])}}}'
        answer = self.post("/api/v1/batch", f'{{"commands":[{{"broadcast":{inner}}}]}}')
        assert answer.status == 200, answer
        (result,) = answer.json["results"]
        if "results" in result:
            (result,) = result["results"]
        return result["error"]["code"] if "error" in result else None

    def ingest(self, event):
        words = [word for pair in event.items() for word in pair]
        entry = self.redis("XADD", "carillon:ingest", "*", *words)
        until(lambda: not self.redis("XRANGE", "carillon:ingest", entry, entry), "the entry is taken")
        for _, fields in reversed(self.redis("XRANGE", "carillon:ingest:dead", "-", "+")):
            dead_letter = dict(zip(fields[::2], fields[1::2]))
            if dead_letter["entry"] == entry:
                return "too_large" if "(limits.event_bytes)" in dead_letter["reason"] else "invalid_request"
        return None

    def pubsub(self, event):
        """No way to answer: it is delivered, or counted."""
        bad = self.node.metric("carillon_broker_errors_total")
        with self.node.connect(sub="listener") as listener:
            listener.subscribe(event["channel"])
            name = event["channel"].replace("%", "%25").replace("{", "%7B").replace("}", "%7D")
            members = {k: v for k, v in event.items() if k not in ("channel", "event_id")}
            if "event_id" in event:
                members["id"] = event["event_id"]
            self.redis("PUBLISH", f"carillon:{{{name}}}:live", body(members))
            self.redis("PUBLISH", f"carillon:{{{name}}}:live", '{"type":"fence","data":0}')
            first = listener.receive()
            if first["type"] != "fence":
                listener.expect("fence")
                return None
        until(lambda: self.node.metric("carillon_broker_errors_total") == bad + 1, "it is counted")
        return "refused"


ALL_WAYS = ["websocket", "http", "broadcast", "batch", "broadcast_in_a_batch", "ingest", "pubsub"]


@pytest.fixture(scope="module")
def ways(launch_for_module, tmp_path_factory):
    redis = Redis(tmp_path_factory.mktemp("redis"))
    node = launch_for_module({"channels": RULES, "redis.url": redis.url, "limits.event_bytes": EVENT_BYTES, "limits.message_rate": 10000,
                              "limits.message_burst": 10000, "limits.bad_messages": 0, "redis.linger": "0"})
    until(node.ready, "it is ready")
    yield Ways(node, redis)
    redis.close()


@pytest.mark.parametrize("name", GOOD)
def test_taken_by_each_way(ways, name):
    for way in ALL_WAYS:
        assert getattr(ways, way)(full(GOOD[name])) is None, way


@pytest.mark.parametrize("name", BAD)
def test_refused_by_each_way(ways, name):
    event, code = BAD[name]
    for way in ALL_WAYS:
        if way == "pubsub":
            if "channel" not in event:  # nobody can subscribe to such a channel, so nobody hears
                assert ways.pubsub(full(event)) == "refused"
        else:
            assert getattr(ways, way)(full(event)) == code, way


@pytest.mark.parametrize("name", BROKEN)
def test_no_json_by_any_way(ways, name):
    event = full({"data": BROKEN[name]})
    ways.client.send_text('{"type":"publish","id":"w","data":' + body(event) + "}")
    assert ways.client.receive()["error"]["code"] == "invalid_request"
    for way in ("http", "broadcast", "ingest"):
        assert getattr(ways, way)(event) == "invalid_request", way
    answer = ways.post("/api/v1/batch", f'{{"commands":[{{"publish":{body(event)}}}]}}')
    assert answer.status == 400 and answer.json["error"]["code"] == "invalid_request"
    assert ways.pubsub(event) == "refused"


def test_null_for_what_a_body_need_not_have(ways):
    def post(path, **body):
        return ways.node.api("POST", path, body)

    assert post("/api/v1/publish", channel="a", type="test", data=None, event_id=None).status == 200
    assert post("/api/v1/broadcast", channels=["a"], type="test", data=None, event_id=None).status == 200
    command = {"publish": {"channel": "a", "type": "test", "data": 1}, "broadcast": None}
    assert "id" in post("/api/v1/batch", commands=[command]).json["results"][0]
    assert post("/api/v1/disconnect", user="nobody", session_id=None, code=None, reason=None).json["count"] == 0
    assert post("/api/v1/subscribe", user="nobody", session_id=None, channel="a").json["count"] == 0
    assert post("/api/v1/revoke", user="nobody", jti=None, issued_before=None, exp=None).status == 200
    assert post("/api/v1/publish", channel=None, type="test", data=1).status == 400
    assert post("/api/v1/publish", channel="a", type="test").status == 400
    assert post("/api/v1/revoke", user=None, jti=None).status == 400


def test_an_event_of_very_many_values_arrives(launch, redis):
    """Every node delivers an event that one node takes. The event's bytes are bounded, and nothing else counts its values."""
    a, b = [launch({"redis.url": redis.url, "limits.event_bytes": "1m", "api.max_body": "2m"}) for _ in range(2)]
    for node in (a, b):
        until(node.ready, "it is ready")
    with b.connect() as client:
        client.subscribe("log:a")
        a.publish("log:a", [0] * 200_000)
        assert len(client.expect("test")["data"]) == 200_000
        assert len(b.api("GET", "/api/v1/channels/log:a/history").json["events"][0]["data"]) == 200_000
