"""Unsettled slots of a Redis cluster. A slot is half moved and left so, or two primaries that point to each other send it to and fro.
Each request gets an answer in time, Redis is not flooded, and no acknowledged event is lost once the slot is settled."""
import pytest
from support import jwt
from support.carillon import ALL
from support.redis import Cluster
from support.wait import until

CONFIG = {"redis.command_timeout": "2s", "redis.canary_interval": "1s", "redis.retry_max": "500ms",
          "redis.ingest": False,  # its stream is in the slot of the revocations
          "channels": [{"match": "log:*", "allow": ALL, "history": {"size": 1000, "ttl": "1h"}, "presence": True}]}
CHANNEL = "log:0"
BUS_PUBLISH = 4  # the packet by which a server of a cluster passes a PUBLISH on to the others


@pytest.fixture
def node(launch, cluster):
    node = launch({**CONFIG, "redis.url": cluster.url})
    until(node.ready, "it is ready")
    return node


class Slot:
    """Of a key, and the way from the primary that has it to another one."""

    def __init__(self, cluster, key):
        self.cluster = cluster
        self.number = cluster.slot(key)
        self.source = cluster.owner(self.number)
        self.target = next(n for n in cluster.primaries if n is not self.source)

    def point_to_each_other(self):
        """The target has not taken it, and the source has forgotten it."""
        self.source("CLUSTER", "SETSLOT", self.number, "NODE", self.target.id)

    def settle(self):
        for primary in (self.target, self.source):
            primary("CLUSTER", "SETSLOT", self.number, "NODE", self.target.id)

    def refusals(self):
        """MOVED, ASK and TRYAGAIN said so far."""
        lines = [line for node in self.cluster.primaries for line in node("INFO", "errorstats").splitlines()]
        return sum(int(line.split("=")[1]) for line in lines if line.startswith(("errorstat_MOVED", "errorstat_ASK", "errorstat_TRYAGAIN")))


def key(suffix, channel=CHANNEL):
    return f"carillon:{{{channel}}}:{suffix}"


def publish(node, **more):
    return node.api("POST", "/api/v1/publish", {"channel": CHANNEL, "type": "test", "data": 1, **more})


def history(node):
    return node.api("GET", f"/api/v1/channels/{CHANNEL}/history")


@pytest.mark.long
def test_primaries_that_point_to_each_other(node, cluster):
    """Neither takes the slot: what is asked is refused, and done once one of them does."""
    questions = {
        key("meta"): (publish, history, lambda node: node.api("GET", f"/api/v1/channels/{CHANNEL}/presence")),
        "carillon:revoked": (lambda node: node.api("POST", "/api/v1/revoke", {"jti": "t-1"}),),
    }
    for where, ways in questions.items():
        slot = Slot(cluster, where)
        slot.point_to_each_other()
        for ask in ways:
            before = slot.refusals()
            answer = ask(node)
            assert answer.status == 503, answer
            assert "no Redis server takes" in answer.json["error"]["message"], answer
            assert slot.refusals() - before < 200, "it is not asked without a pause"
        slot.settle()
        for ask in ways:
            until(lambda a=ask: a(node).status == 200, "it is taken")


def test_a_subscription_where_they_point_to_each_other(node, cluster):
    slot = Slot(cluster, key("live"))
    slot.point_to_each_other()
    before = slot.refusals()
    with node.connect() as client:
        client.send("subscribe", channel=CHANNEL)
        assert publish(node).status == 503  # for the length of the command timeout
        assert slot.refusals() - before < 400, "it is not asked without a pause"
        slot.settle()
        client.expect("subscribed")
        until(lambda: publish(node).status == 200, "it is taken")
        client.expect("test")


def test_a_session_limit_where_they_point_to_each_other(node, cluster):
    slot = Slot(cluster, key("sessions", "alice"))
    token = jwt.mint("alice", session_limit=1)
    slot.point_to_each_other()
    before = slot.refusals()
    with node.client(token) as client:
        client.start()
        assert slot.refusals() - before < 200
    slot.settle()


def test_the_registry_where_they_point_to_each_other(launch, cluster):
    slot = Slot(cluster, "carillon:nodes")
    slot.point_to_each_other()
    nodes = [launch({**CONFIG, "redis.url": cluster.url}) for _ in range(2)]
    for node in nodes:
        until(node.ready, "it is ready all the same")
    assert slot.refusals() < 400, "it is not asked without a pause"
    slot.settle()
    until(lambda: all(len(n.api("GET", "/api/v1/info").json["nodes"]) == 2 for n in nodes), "they know each other")


def test_a_slot_that_stays_half_moved(launch, node, cluster):
    """Whoever moved it has died, with a channel's keys on both sides."""
    slot = Slot(cluster, key("live"))
    other = launch({**CONFIG, "redis.url": cluster.url})
    until(other.ready, "ready")
    with node.connect() as client, other.connect() as late:
        begin = client.subscribe(CHANNEL)["data"]
        assert publish(node).status == 200
        client.expect("test", offset=1)
        cluster.begin_migration(slot.number, slot.source, slot.target)
        slot.source("MIGRATE", "127.0.0.1", slot.target.port, key("log"), 0, 5000)
        before = slot.refusals()
        late.send("subscribe", channel=CHANNEL, since={"epoch": begin["epoch"], "offset": 0})
        for answer in (publish(node, event_id="e"), history(node)):
            assert answer.status == 503, answer
            assert "no Redis server takes" in answer.json["error"]["message"], answer
        assert slot.refusals() - before < 400, "it is not asked without a pause"
        client.nothing_before_pong()
        late.nothing_before_pong()
        cluster.migrate_keys(slot.number, slot.source, slot.target)
        cluster.end_migration(slot.number, slot.source, slot.target)
        assert late.expect("subscribed")["data"]["recovered"] is True
        late.expect("test", offset=1)
        assert publish(node, event_id="e").json["offset"] == 2
        for each in (client, late):
            each.expect("test", offset=2)
            each.nothing_before_pong()


def test_a_position_that_is_lost_between_the_servers(launch, tmp_path):
    """The slot's next server has made it, and the server of the subscription does not get it to pass it on."""
    cluster = Cluster(tmp_path, 3, 0, "--enable-debug-command", "yes")
    try:
        node = launch({**CONFIG, "redis.url": cluster.url})
        until(node.ready, "it is ready")
        slot = Slot(cluster, key("live"))
        assert publish(node).status == 200
        cluster.begin_migration(slot.number, slot.source, slot.target)
        cluster.migrate_keys(slot.number, slot.source, slot.target)
        slot.source("DEBUG", "DROP-CLUSTER-PACKET-FILTER", BUS_PUBLISH)
        with node.connect() as client:
            client.send("subscribe", channel=CHANNEL)
            until(lambda: slot.target.calls("eval") >= 2, "it is asked for again")
            client.nothing_before_pong()
            slot.source("DEBUG", "DROP-CLUSTER-PACKET-FILTER", -1)
            assert client.expect("subscribed")["data"]["offset"] == 1
            cluster.end_migration(slot.number, slot.source, slot.target)
            assert publish(node).json["offset"] == 2
            client.expect("test", offset=2)
    finally:
        cluster.close()


def test_a_node_ends_while_a_slot_is_half_moved(launch, cluster):
    """The node's last commands are sent on from one primary that it is leaving to another one."""
    slot = Slot(cluster, key("sessions", "alice"))
    token = jwt.mint("alice", session_limit=1)
    node = launch({**CONFIG, "redis.url": cluster.url, "drain_window": "1h"})
    other = launch({**CONFIG, "redis.url": cluster.url})
    until(lambda: node.ready() and other.ready(), "they are ready")
    with node.client(token) as client:
        client.start()
        cluster.begin_migration(slot.number, slot.source, slot.target)
        cluster.migrate_keys(slot.number, slot.source, slot.target)
        slot.source("CLIENT", "PAUSE", 500)  # the target has answered everything long before
        node.hurry()
        node.wait()
    with other.client(token) as client:
        client.start()  # the place was given back
