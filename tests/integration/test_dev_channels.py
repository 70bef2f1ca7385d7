"""PUT /dev/v1/channels-rules: other rules of channels, as a reload would bring them."""
import pytest
from support.dev import DevServer

CLOSED = [{"match": "public:*", "allow": ["subscribe"]}]


@pytest.fixture
def dev(tmp_path):
    server = DevServer(tmp_path)
    yield server
    server.close()


def test_other_rules_and_back(dev):
    client = dev.connect()
    client.subscribe("room:1")
    assert dev.order("/channels-rules", CLOSED, method="PUT") is None
    assert client.error("subscribe", "unauthorized", channel="room:2")
    client.subscribe("public:1")
    answer = dev.call("PUT", "/channels-rules", b"")
    assert answer.status == 204, answer
    client.subscribe("room:2")
    client.drop()


def test_a_reset_brings_back_the_rules_of_the_start(dev):
    dev.order("/channels-rules", CLOSED, method="PUT")
    dev.order("/reset", {"keep": ["rules"]})
    client = dev.connect()
    client.error("subscribe", "unauthorized", channel="room:1")
    dev.order("/reset")
    dev.connect().subscribe("room:1")


@pytest.mark.parametrize("rules, said", [
    ([{"match": "a", "alow": []}], "alow"), ([{"match": "a", "allow": ["sing"]}], "sing"), ([{}], "match"), ({"match": "*"}, "channels"), (b"[", "channels"),
])
def test_wrong_rules_change_nothing(dev, rules, said):
    sentence = dev.refused("/channels-rules", rules, method="PUT")
    assert said in sentence and "--channels" not in sentence
    dev.connect().subscribe("room:1")
