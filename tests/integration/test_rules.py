"""Rules and the claims that fill them. For every name of a user, and every spelling of it in the token, its channels are the same by each
way in. They have history and presence."""
import json
from urllib.parse import quote

import pytest
from support import jwt
from support.carillon import ALL
from support.wait import until
from support.ws import Closed, Refused, connect

RULES = [
    {"match": "user:{sub}", "allow": ALL, "presence": True, "history": {"size": 10}},
    {"match": "user:{sub}:inbox", "allow": ALL, "presence": True, "history": {"size": 20}},
    {"match": "*", "allow": ["subscribe"]},
]

NAMES = ["7", "urn:acme:7", "did:key:z6Mk", "spiffe://acme/ns/x", ":", "::a", "ren\u00e9", "\u6c34", "\U0001f419", "a/b", "a\\b",
         'quo"te', "{sub}", "*", "%41", "a%b", "x" * 200, "-", "..", "#", "a+b&c=d"]


def by_python(name):
    return json.dumps(name)


def by_php(name):
    return json.dumps(name).replace("/", "\\/")


def by_go(name):
    return json.dumps(name, ensure_ascii=False).replace("&", "\\u0026")


def token(name, write):
    payload = json.dumps(jwt.claims("SUB", channels=[])).replace('"SUB"', write(name))
    text = f"{jwt.encode(json.dumps({'alg': 'HS256'}).encode())}.{jwt.encode(payload.encode())}"
    return f"{text}.{jwt.sign_hmac(text)}"


@pytest.fixture(scope="module", params=["memory", "redis"])
def place(request, launch_for_module, tmp_path_factory):
    """A node, and its Redis or None."""
    if request.param == "memory":
        yield launch_for_module({"channels": RULES}), None
        return
    from support.redis import Redis

    redis = Redis(tmp_path_factory.mktemp("redis"))
    node = launch_for_module({"channels": RULES, "redis.url": redis.url})
    until(node.ready, "it is ready")
    yield node, redis
    redis.close()


def get(node, channel, what):
    answer = node.api("GET", f"/api/v1/channels/{quote(channel, safe='')}{what}")
    assert answer.status == 200, (channel, answer)
    return answer.json


def events(client, count):
    """The next events, with those that came before an answer."""
    got = [message for message in client.skipped if message["type"] == "test"]
    client.skipped.clear()
    while len(got) < count:
        got.append(client.find("test"))
    return got


def try_channel(node, redis, client, name, channel):
    subscribed = client.ask("subscribe", "subscribed", channel=channel)["data"]
    assert subscribed["epoch"]
    at = subscribed["offset"]
    published = client.ask("publish", "published", channel=channel, type="test", data="by the client")
    assert published["data"]["offset"] == at + 1
    assert node.publish(channel, "by HTTP")["offset"] == at + 2
    assert node.api("POST", "/api/v1/broadcast", {"channels": [channel], "type": "test", "data": "by broadcast"}).json[
        "results"][0]["offset"] == at + 3
    sent = ["by the client", "by HTTP", "by broadcast"]
    if redis:
        redis("XADD", "carillon:ingest", "*", "channel", channel, "type", "test", "data", '"by XADD"')
        sent.append("by XADD")
    assert [(event["data"], event["offset"]) for event in events(client, len(sent))] == list(zip(sent, range(at + 1, at + 9)))
    page = client.ask("history", "history", channel=channel)["data"]["events"]
    assert [event["data"] for event in page][-len(sent):] == sent
    assert get(node, channel, "/history")["events"] == page
    until(lambda: [member["user"] for member in get(node, channel, "/presence")["members"]] == [name], "it is there")
    assert [member["user"] for member in client.ask("presence", "presence", channel=channel)["data"]["members"]] == [name]
    assert get(node, channel, "")["subscribers"] == 1
    client.ask("unsubscribe", "unsubscribed", channel=channel)


@pytest.mark.parametrize("write", [by_python, by_php, by_go])
def test_what_users_are_called(place, write):
    node, redis = place
    for name in NAMES:
        with connect(node.public, token(name, write)) as client:
            assert client.init["data"]["user"] == name
            try_channel(node, redis, client, name, f"user:{name}")
            try_channel(node, redis, client, name, f"user:{name}:inbox")
            client.error("publish", "unauthorized", channel=f"user:{name}x", type="test", data=1)
            sessions = node.api("GET", f"/api/v1/sessions?user={quote(name, safe='')}").json["sessions"]
            assert [session["user"] for session in sessions] == [name]
            assert node.api("POST", "/api/v1/subscribe", {"user": name, "channel": "news"}).json["count"] == 1
            client.find("subscribed", channel="news")
            assert node.api("POST", "/api/v1/disconnect", {"user": name}).json["count"] == 1
            client.expect_close(reason="disconnected")


@pytest.mark.parametrize("write", [by_python, by_php, by_go])
def test_a_refresh_of_the_same_user_however_it_is_written(place, write):
    node, _ = place
    for name in NAMES[:12]:
        with connect(node.public, token(name, by_go)) as client:
            assert client.ask("refresh", "refreshed", token=token(name, write))
            client.subscribe(f"user:{name}")


def test_one_user_one_limit(launch):
    node = launch({"channels": RULES, "limits.connections_per_user": 1})
    with connect(node.public, token("ren\u00e9/x", by_python)):
        for write in (by_php, by_go):
            with pytest.raises(Refused) as refused:
                connect(node.public, token("ren\u00e9/x", write))
            assert refused.value.response.status == 429


def test_revoked_however_it_is_written(place):
    node, _ = place
    name = "ren\u00e9/revoked"
    with connect(node.public, token(name, by_php)) as client:
        assert node.api("POST", "/api/v1/revoke", {"user": name}).status == 200
        with pytest.raises(Closed) as closed:
            while True:
                client.receive()
        assert closed.value.reason == "token_revoked"


def test_a_claim_that_holds_another_tenants_colon(launch):
    """Documented, and warned of by `carillon check`: a template beside `*` cannot tell where the claim ends."""
    node = launch({"channels": [{"match": "t:{tenant}:*", "allow": ["subscribe"], "history": {"size": 5}}]})
    with node.connect(claims={"tenant": "a"}) as a, node.connect(claims={"tenant": "a:b"}) as b:
        assert b.subscribe("t:a:b:x")["data"]["epoch"] == a.subscribe("t:a:b:x")["data"]["epoch"]
        b.error("subscribe", "unauthorized", channel="t:a:x")
