"""Two nodes on one Redis whose settings differ, or that are of different versions: each says so, where an operator looks.
Two installations that share a Redis by their prefixes have nothing to do with each other."""
import re

import pytest
from support import http
from support.carillon import ALL
from support.wait import until

RULES = [{"match": "log:*", "allow": ALL, "history": {"size": 1000, "ttl": "10m"}}, {"match": "*", "allow": ALL}]


@pytest.fixture
def start(launch, redis):
    def start(**config):
        node = launch({"redis.url": redis.url, "redis.canary_interval": "1s", "channels": RULES, **config})
        until(node.ready, f"{node.name} is ready")
        return node
    return start


def disagreeing(node):
    return node.metric("carillon_nodes_disagreeing")


def acquainted(*nodes):
    return until(lambda: all(len(n.api("GET", "/api/v1/info").json["nodes"]) == len(nodes) for n in nodes), "they know each other")


def about(node):
    """The node's words about the others, in /api/v1/info."""
    own = node.api("GET", "/api/v1/info").json
    return [each for of in own["nodes"] if of["node"] == own["node"] for each in of.get("disagrees", [])]


def warnings(node):
    return re.findall(r"peers\W.*does not agree.*", node.log())


def test_they_agree(start):
    a, b = start(), start(**{"outbox.max_bytes": "2m", "limits.channels": 7})
    acquainted(a, b)
    assert disagreeing(a) == disagreeing(b) == 0
    assert not warnings(a) and not warnings(b) and not about(a)


def test_another_history_and_window(start):
    a = start()
    b = start(**{"idempotency_window": "1m", "channels": [{**RULES[0], "history": {"size": 50, "ttl": "10m"}}, RULES[1]]})
    for here, there in ((a, b), (b, a)):
        until(lambda: disagreeing(here) == 1, "it counts the other one")
        line, = warnings(here)
        id_there = there.api("GET", "/api/v1/info").json["node"]
        for part in (id_there, "idempotency_window", "channels[0]", "history.size 1000", "history.size 50"):
            assert part in line, line
        assert "canary" not in line and "channels[1]" not in line, line
        assert re.search(rf"ready in .*, node {id_there}$", there.log(), re.M), "whose id that is, its own log says"
        told, = about(here)
        assert told["node"] == id_there and "idempotency_window is" in told["about"]
    assert http.request(a.internal, "GET", "/readyz").status == 200, "events still flow"


@pytest.mark.parametrize("rule, said", [
    ({}, "presence_ttl 30000 ms, presence_events false"),
    ({"presence": True, "presence_events": True}, "presence_events true"),
    ({"presence": True, "presence_ttl": "5s"}, "presence_ttl 5000 ms"),
], ids=["none", "events", "ttl"])
def test_another_presence(start, rule, said):
    """A user who joins on one node is told, or kept, otherwise than on the other."""
    a, b = start(channels=[{**RULES[1], "presence": True}]), start(channels=[{**RULES[1], **rule}])
    for node in (a, b):
        until(lambda n=node: disagreeing(n) == 1, "it counts the other one")
        assert said in warnings(node)[0], warnings(node)


def test_a_rule_that_the_other_has_not(start):
    a, b = start(), start(channels=[{"match": "new:*", "allow": ALL}, *RULES])
    until(lambda: disagreeing(a) == 1, "it is seen")
    assert 'channels[2] is not set here and "*: history.size 0' in warnings(a)[0]


def test_rights_are_each_nodes_own(start):
    a, b = start(), start(channels=[{**RULES[0], "allow": ["subscribe"]}, RULES[1]])
    acquainted(a, b)
    assert not warnings(a) and not warnings(b)


def test_more_rules_than_are_told(start):
    many = [{"match": f"room-{n}-{'x' * 100}", "allow": ALL} for n in range(400)]
    a, b = start(channels=many), start(channels=[*many[:-1], RULES[0]])
    until(lambda: disagreeing(a) == 1, "it is seen")
    assert "400 rules of digest" in warnings(a)[0]


def test_a_reload_mends_it(start):
    a, b = start(), start(channels=RULES[:1])
    until(lambda: disagreeing(a) == disagreeing(b) == 1, "it is seen")
    b.write_config({**b.config, "channels": RULES})
    b.signal(1)
    until(lambda: disagreeing(a) == disagreeing(b) == 0, "they agree now")
    assert "agrees with this one now" in a.log() and not about(a)


@pytest.mark.long
def test_who_has_gone_is_forgotten(start):
    a, b = start(), start(idempotency_window="1m")
    until(lambda: disagreeing(a) == 1, "it is seen")
    b.close()
    until(lambda: disagreeing(a) == 0, "it is forgotten")


def test_another_prefix_is_another_installation(start, redis):
    a, b = start(), start(**{"redis.prefix": "other", "idempotency_window": "1m", "channels": RULES[:1]})
    assert len(a.api("GET", "/api/v1/info").json["nodes"]) == 1
    assert not warnings(a) and not warnings(b)
    with b.connect() as client:
        client.subscribe("log:x")
        a.publish("log:x", 1)
        client.nothing_before_pong()


def test_another_database_is_another_installation(start, redis):
    """Pub/sub knows no databases: events, joins, revocations, surveys and what nodes tell each other must not cross."""
    rules = [{**RULES[0], "presence": True, "presence_events": True}, {**RULES[1], "presence": True, "presence_events": True}]
    one, other, zero = (start(**{"redis.url": f"{redis.url}/{n}" if n else redis.url, "channels": rules,
                                 "idempotency_window": f"{n + 1}m"}) for n in (1, 2, 0))
    nodes = [one, other, zero]
    clients = [node.connect("ann") for node in nodes]
    for client in clients:
        for channel in ("live", "log:x"):
            client.subscribe(channel)
            client.find("join", channel=channel)
    for n, node in enumerate(nodes):
        for channel in ("live", "log:x"):
            assert node.publish(channel, n).get("offset", 1) == 1
        node.api("POST", "/api/v1/disconnect", {"user": "somebody"})
        assert len(node.api("GET", "/api/v1/info").json["nodes"]) == 1 and not warnings(node)
    redis("PUBLISH", "carillon:{live}:live", '{"type":"test","data":"by hand"}')
    redis("PUBLISH", "carillon:@1:{live}:live", '{"type":"test","data":"by hand in 1"}')
    told = [[client.expect("test", data=n) for _ in range(2)] for n, client in enumerate(clients)]
    assert all(len(frames) == 2 for frames in told)
    clients[2].expect("test", data="by hand")
    clients[0].expect("test", data="by hand in 1")
    assert one.api("POST", "/api/v1/revoke", {"user": "ann"}).status == 200
    clients[0].expect("error")
    clients[0].expect_close(1008, "token_revoked")
    for client in clients[1:]:
        client.nothing_before_pong()
    with other.connect("ann"), zero.connect("ann"):
        pass


def test_nodes_of_one_database_hear_each_other(start, redis):
    a, b = (start(**{"redis.url": f"{redis.url}/3"}) for _ in range(2))
    acquainted(a, b)
    with b.connect() as client:
        for channel in ("live", "log:x"):
            client.subscribe(channel)
            a.publish(channel, 1)
            client.expect("test", channel=channel)
        redis("PUBLISH", "carillon:@3:{live}:live", '{"type":"test","data":"by hand"}')
        client.expect("test", data="by hand")
        a.api("POST", "/api/v1/disconnect", {"user": "user-456"})
        client.expect_close()


def test_other_keys_are_another_installation(start):
    """With the same prefix in the same database: that is a mistake, and is said."""
    a, b = start(), start(**{"token.secret": "another secret of more than thirty-two bytes"})
    for node in (a, b):
        until(lambda n=node: disagreeing(n) == 1, "it counts the other one")
        assert re.search(r'token\.keys is "1 keys of digest [0-9a-f]{4}" here and "1 keys of digest', warnings(node)[0])


def test_another_version_of_the_nodes_protocol(start, redis):
    """From a node of the future: what it says is refused, and everybody can see it."""
    node = start()
    answers = until(lambda: redis("PUBLISH", "carillon:control", "control future terms 2 ask\nversion 9.9.9"), "it listens")
    assert answers == 1
    until(lambda: disagreeing(node) == 1, "it is seen")
    assert "version 2 of the nodes' protocol, this one version 1" in warnings(node)[0]
    told, = about(node)
    assert told["node"] == "future" and "refused" in told["about"]
    # A question of its own, well-formed as far as we know, is not answered.
    with node.connect("victim") as client:
        redis("PUBLISH", "carillon:control", 'control future {"v":1,"ask":7,"op":"disconnect","user":"victim","code":4000,"reason":"x"}')
        node.publish("x", 1)
        client.nothing_before_pong()


def test_what_is_no_id_of_a_node_is_not_heard(start, redis):
    """It would go into logs and answers as it is."""
    node = start()
    for name in ("\x1b[31mred", "x" * 65, 'a"b', "\xff"):
        redis("PUBLISH", "carillon:control", f"control {name} terms 1 tell\nversion 9.9.9")
    redis("PUBLISH", "carillon:control", "control newer terms 1 tell\nversion 9.9.9")
    until(lambda: disagreeing(node) == 1, "the last one is heard")
    assert len(warnings(node)) == 1 and "\x1b" not in node.log()


def test_another_version_of_the_server(start, redis):
    node = start()
    redis("PUBLISH", "carillon:control", "control newer terms 1 tell\nversion 9.9.9")
    until(lambda: disagreeing(node) == 1, "it is seen")
    assert re.search(r'version is "[^"]+" here and "9\.9\.9" there', warnings(node)[0])
