"""A Redis cluster: every channel is at the primary that has its slot. Slots move while events are published, and primaries fail over. No
acknowledged event is lost."""
from support.accounting import Ledger
from support.carillon import ALL
from support.load import Crowd
from support.proxy import Proxy
from support.redis import Cluster, Redis, RedisError
from support.tls import Certificate
from support.wait import until

CONFIG = {"redis.command_timeout": "2s", "redis.canary_interval": "1s", "redis.retry_max": "500ms", "limits.message_rate": 0,
          "channels": [{"match": "log:*", "allow": ALL, "history": {"size": 100000, "ttl": "1h"}},
                       {"match": "*", "allow": ALL}]}
CHANNELS = [f"log:{n}" for n in range(12)]
BUS_PUBLISH_SHARD = 10  # the packet by which a server of a cluster passes an SPUBLISH on to its replicas


def start(launch, cluster, count=2, **more):
    nodes = [launch({**CONFIG, "redis.url": cluster.url, **more}) for _ in range(count)]
    for node in nodes:
        until(node.ready, f"{node.name} is ready")
    return nodes


def live(channel):
    return f"carillon:{{{channel}}}:live"


def home(cluster, channel):
    return cluster.owner(cluster.slot(live(channel)))


def subscribed_at(node, channel):
    return node("PUBSUB", "SHARDNUMSUB", live(channel))[1]


def test_events_on_all_shards(launch, cluster):
    a, b = start(launch, cluster)
    assert len({home(cluster, channel).port for channel in CHANNELS}) == 3, "the channels are on all primaries"
    with a.connect() as at_a, b.connect() as at_b:
        for channel in CHANNELS:
            at_a.subscribe(channel)
            at_b.subscribe(channel)
        for n, channel in enumerate(CHANNELS * 5):
            (a, b)[n % 2].publish(channel, n)
        for client in (at_a, at_b):
            seen = [client.expect("test") for _ in range(len(CHANNELS) * 5)]
            for channel in CHANNELS:
                assert [e["offset"] for e in seen if e["channel"] == channel] == [1, 2, 3, 4, 5]
    for channel in CHANNELS[:4]:
        owner = home(cluster, channel)
        assert owner("XLEN", f"carillon:{{{channel}}}:log") == 5


def test_a_new_node_is_found_at_once(launch, cluster):
    """Its message comes by the cluster's bus, which may be a moment behind; the registry is not read meanwhile."""
    first, = start(launch, cluster, 1, **{"redis.canary_interval": "5m"})
    for _ in range(3):
        second, = start(launch, cluster, 1, **{"redis.canary_interval": "5m"})
        with second.connect("ada") as ada:
            until(lambda: first.api("POST", "/api/v1/disconnect", {"user": "ada"}).json["count"] == 1, "it is found")
            ada.expect_close(1008, "disconnected")
        second.terminate()


def test_an_epoch_that_begins_is_told_on_all_nodes(launch, cluster):
    """Each primary loses the positions of its channels, under the nodes' connections."""
    a, b = start(launch, cluster)
    with a.connect() as client, b.connect() as another:
        for channel in CHANNELS:
            client.subscribe(channel)
            a.publish(channel, 1)
            client.find("test", channel=channel)
            meta = f"carillon:{{{channel}}}:meta"
            assert home(cluster, channel)("DEL", meta) == 1
            begun = another.subscribe(channel)["data"]
            gap = client.find("gap", channel=channel)["data"]
            assert gap == {"reason": "epoch_changed", "epoch": begun["epoch"], "offset": 0}
            assert home(cluster, channel)("HGET", meta, "epoch") == begun["epoch"]
            assert b.publish(channel, 2)["offset"] == 1
            assert client.find("test", channel=channel)["offset"] == 1


def test_without_history_and_with_event_ids(launch, cluster):
    a, b = start(launch, cluster)
    with b.connect() as client:
        for n in range(6):
            client.subscribe(f"plain:{n}")
        for n in range(6):
            a.publish(f"plain:{n}", n)
            assert client.expect("test")["data"] == n
            a.publish(f"plain:{n}", n, event_id="once")
            assert b.publish(f"plain:{n}", n, event_id="once")["duplicate"] is True
            client.expect("test")
        client.nothing_before_pong()


def test_only_the_owner_has_the_subscription(launch, cluster):
    a, _ = start(launch, cluster)
    with a.connect() as client:
        for channel in CHANNELS[:6]:
            client.subscribe(channel)
            owner = home(cluster, channel)
            assert [subscribed_at(node, channel) for node in cluster.nodes] == [int(node is owner) for node in cluster.nodes]
            client.ask("unsubscribe", "unsubscribed", channel=channel)
        for channel in CHANNELS[:6]:
            until(lambda c=channel: subscribed_at(home(cluster, c), c) == 0, "the node lets go")


def test_history_and_recovery(launch, cluster):
    a, b = start(launch, cluster)
    for channel in CHANNELS[:3]:
        with a.connect() as client:
            begin = client.subscribe(channel)["data"]
        events = [b.publish(channel, n) for n in range(10)]
        with b.connect() as client:
            answer = client.ask("subscribe", "subscribed", channel=channel,
                                since={"epoch": begin["epoch"], "offset": begin["offset"]})
            assert answer["data"]["recovered"] is True
            assert [client.expect("test")["data"] for _ in range(10)] == list(range(10))
        with a.connect() as client, a.connect() as other:
            answer = client.ask("subscribe", "subscribed", channel=channel, since=events[6])
            assert answer["data"] == {**events[6], "recovered": True}
            assert [client.expect("test")["data"] for _ in range(3)] == [7, 8, 9]
            answer = other.ask("subscribe", "subscribed", channel=channel, since={**events[6], "id": events[5]["id"]})
            assert answer["data"] == {**events[9], "recovered": False}


def test_nodes_know_each_other_and_ask(launch, cluster):
    a, b = start(launch, cluster)
    until(lambda: all(len(n.api("GET", "/api/v1/info").json["nodes"]) == 2 for n in (a, b)), "the nodes know each other")
    with a.connect("at-a") as at_a, b.connect("at-b"):
        for node in (a, b):
            assert {s["user"] for s in node.api("GET", "/api/v1/sessions").json["sessions"]} == {"at-a", "at-b"}
        assert b.api("POST", "/api/v1/subscribe", {"user": "at-a", "channel": "vip"}).json["count"] == 1
        at_a.expect("subscribed", channel="vip")
        at_a.nothing_before_pong()
    a.terminate()
    until(lambda: len(b.api("GET", "/api/v1/info").json["nodes"]) == 1, "who leaves is forgotten at once")


def test_a_slot_moves(launch, cluster):
    """Step by step: before, with the keys on both sides, after."""
    a, b = start(launch, cluster)
    channel = CHANNELS[0]
    slot, source = cluster.slot(live(channel)), home(cluster, channel)
    target = next(node for node in cluster.primaries if node is not source)
    with a.connect() as at_a, b.connect() as at_b:
        for client in (at_a, at_b):
            client.subscribe(channel)
        a.publish(channel, "before")
        cluster.begin_migration(slot, source, target)
        a.publish(channel, "still here")
        cluster.migrate_keys(slot, source, target)
        assert a.publish(channel, "asked for")["offset"] == 3  # ASK
        cluster.end_migration(slot, source, target)
        assert b.publish(channel, "moved")["offset"] == 4  # MOVED
        for client in (at_a, at_b):
            assert [client.expect("test")["data"] for _ in range(4)] == ["before", "still here", "asked for", "moved"]
            client.nothing_before_pong()
    until(lambda: subscribed_at(target, channel) == 0, "the subscriptions were there")


def test_a_slot_of_a_channel_without_history_moves(launch, cluster):
    """Events that are published meanwhile go where the nodes are subscribed, or nowhere. Events after the gap come."""
    a, b = start(launch, cluster)
    slot, source = cluster.slot(live("plain")), home(cluster, "plain")
    target = next(node for node in cluster.primaries if node is not source)
    with b.connect() as client:
        client.subscribe("plain")
        a.publish("plain", "before", event_id="d")
        assert client.expect("test")["data"] == "before"
        cluster.begin_migration(slot, source, target)
        a.publish("plain", "still goes to the source")
        assert client.expect("test")["data"] == "still goes to the source"
        new = {"channel": "plain", "type": "test", "data": "new", "event_id": "e"}
        refused = a.api("POST", "/api/v1/publish", new)
        assert refused.status == 503 and "no Redis server takes the channel now" in refused.json["error"]["message"], refused
        cluster.migrate_keys(slot, source, target)
        cluster.end_migration(slot, source, target)
        assert client.expect("gap", channel="plain")["data"]["reason"] == "connection_lost"
        assert b.publish("plain", "before", event_id="d")["duplicate"] is True
        assert "duplicate" not in a.publish("plain", "new", event_id="e")
        assert client.expect("test")["data"] == "new"


def test_resharding_under_load(launch, cluster, tmp_path):
    """All channels' slots go to other primaries, and to a new one, while events are published."""
    nodes = start(launch, cluster)
    ledger = Ledger()
    with Crowd(ledger) as crowd:
        crowd.begin(nodes, CHANNELS, 4, 3)
        ledger.wait_acknowledged(100)
        new = cluster.add(tmp_path)
        for round_ in range(2):
            for n, channel in enumerate(CHANNELS):
                source = home(cluster, channel)
                target = new if round_ == 0 and n % 2 else cluster.primaries[(cluster.primaries.index(source) + 1) % 4]
                if target is not source:
                    cluster.migrate(cluster.slot(live(channel)), source, target)
            ledger.wait_acknowledged(50)
        ledger.wait_acknowledged(100)
        crowd.calm(until)
    account = ledger.check()
    assert not ledger.problems, ledger.problems[:10]
    assert not [what for what in account if what.startswith("told gap")], account
    assert account["accounted delivered"] == 4 * account["acknowledged"], account


def test_a_primary_fails_over(launch, tmp_path):
    cluster = Cluster(tmp_path, 3, 3)
    try:
        nodes = start(launch, cluster)
        ledger = Ledger()
        with Crowd(ledger) as crowd:
            crowd.begin(nodes, CHANNELS, 4, 3)
            ledger.wait_acknowledged(200)
            dead, heir = cluster.primaries[1], cluster.replicas[1]
            dead.kill()
            until(lambda: heir.role() == "master", "the replica takes over")
            for node in nodes:
                node.logged(rf"connected to Redis at 127\.0\.0\.1:{heir.port}")
            ledger.wait_acknowledged(200)
            crowd.calm(until)
        account = ledger.check()
        assert not ledger.problems, ledger.problems[:10]
        assert account["accounted delivered"] == 4 * account["acknowledged"], account
        for node in nodes:
            assert node.ready()
    finally:
        cluster.close()


def test_writes_lost_in_a_failover_are_told(launch, tmp_path):
    """The replica has not had the last event when it takes over: a new epoch begins, and subscribers hear of it."""
    cluster = Cluster(tmp_path, 3, 3)
    try:
        a, b = start(launch, cluster)
        dead = home(cluster, "log:0")
        heir = cluster.replicas[cluster.primaries.index(dead)]
        with a.connect() as at_a, b.connect() as at_b:
            for client in (at_a, at_b):
                client.subscribe("log:0")
            a.publish("log:0", "replicated")
            heir("READONLY")
            until(lambda: heir("HGET", "carillon:{log:0}:meta", "offset") == "1", "it is replicated")
            heir.freeze()
            dead("CLIENT", "KILL", "TYPE", "replica")
            assert a.publish("log:0", "lost")["offset"] == 2
            for client in (at_a, at_b):
                assert [client.expect("test")["data"] for _ in range(2)] == ["replicated", "lost"]
            dead.kill()
            heir.thaw()
            until(lambda: heir.role() == "master", "the replica takes over")
            for client in (at_a, at_b):
                gap = client.expect("gap", channel="log:0")
                assert gap["data"]["reason"] == "epoch_changed" and gap["data"]["offset"] == 1, gap
            until(lambda: b.api("POST", "/api/v1/publish", {"channel": "log:0", "type": "test", "data": "after"}).status == 200,
                  "it is taken")
            for client in (at_a, at_b):
                assert client.expect("test", offset=2)["data"] == "after"
    finally:
        cluster.close()


def took_over(replica):
    try:
        return replica("CLUSTER", "FAILOVER") == "OK"
    except RedisError:  # the cluster's connection to its primary is being made anew
        return False


def test_a_primary_hands_over_before_it_takes_a_subscription(launch, tmp_path):
    """It said that it was the primary, and takes the subscription as a replica. Not all events of its channels come through it."""
    cluster = Cluster(tmp_path, 3, 3, "--enable-debug-command", "yes")
    proxy = None
    try:
        busy = [cluster.owner(cluster.slot(f"carillon:{name}")) for name in ("nodes", "revoked")]
        old = next(node for node in cluster.primaries if node not in busy)  # one that nothing is written to before a client publishes
        heir = cluster.replicas[cluster.primaries.index(old)]
        channel = next(f"plain:{n}" for n in range(100) if home(cluster, f"plain:{n}") is old)
        proxy = Proxy(old.port)
        old("CONFIG", "SET", "cluster-announce-port", proxy.port)
        until(lambda: all(f":{proxy.port}@" in node("CLUSTER", "NODES") for node in cluster.nodes), "its address is known")
        node, = start(launch, cluster, 1, **{"redis.canary_interval": "5m", "redis.command_timeout": "20s", "redis.ingest": False})
        with node.connect() as client:
            client.subscribe(channel)
            proxy.subscribes.clear()
            asked = old.calls("role")
            old("CLIENT", "KILL", "TYPE", "pubsub")
            until(lambda: old.calls("role") > asked, "it says once more that it is the primary")
            until(lambda: took_over(heir), "its heir is connected to it")
            until(lambda: heir.role() == "master" and old.role() == "slave", "it has handed over")
            old("DEBUG", "DROP-CLUSTER-PACKET-FILTER", BUS_PUBLISH_SHARD)
            proxy.subscribes.set()
            until(lambda: subscribed_at(heir, channel) == 1, "the node goes over to its heir")
            client.find("gap", channel=channel)
            assert heir("SPUBLISH", live(channel), '{"type":"test","data":"after"}') == 1
            client.find("test", data="after")
    finally:
        if proxy:
            proxy.close()
        cluster.close()


def test_the_others_go_on_while_one_is_down(launch, cluster):
    cluster.primaries[0]("CONFIG", "GET", "port")
    for node in cluster.nodes:
        node("CONFIG", "SET", "cluster-require-full-coverage", "no")
    a, b = start(launch, cluster)
    dead = cluster.primaries[2]
    down = next(c for c in CHANNELS if home(cluster, c) is dead)
    fine = next(c for c in CHANNELS if home(cluster, c) is not dead)
    with b.connect() as client:
        client.subscribe(fine)
        client.subscribe(down)
        dead.stop()
        until(lambda: a.api("POST", "/api/v1/publish", {"channel": down, "type": "test", "data": 1}).status == 503, "refused")
        assert a.ready() and b.ready()
        why = [of["broker"]["why"] for of in a.api("GET", "/api/v1/info").json["nodes"] if of["broker"]["state"] == "up"]
        assert why and all("1 of 3 primaries not reached" in each and f":{dead.port}" in each for each in why), why
        a.publish(fine, "meanwhile")
        client.find("test", data="meanwhile")
        dead.start()
        until(lambda: a.api("POST", "/api/v1/publish", {"channel": down, "type": "test", "data": 2}).status == 200, "back")
        client.find("test", data=2)


def test_over_tls(launch, tmp_path):
    certificate = Certificate(tmp_path, "redis")
    cluster = Cluster(tmp_path, 3, 0, "--tls-cluster", "yes", "--tls-replication", "yes", certificate=certificate)
    try:
        a, b = start(launch, cluster, **{"redis.tls_ca": str(certificate.certificate)})
        with b.connect() as client:
            for channel in CHANNELS:
                client.subscribe(channel)
                a.publish(channel, channel)
                assert client.expect("test")["data"] == channel
    finally:
        cluster.close()


def test_it_is_no_cluster(launch, tmp_path):
    redis = Redis(tmp_path)
    try:
        node = launch({**CONFIG, "redis.url": redis.url.replace("redis:", "redis+cluster:")})
        node.logged("no node of the cluster tells where the slots are; .*cluster support disabled")
        assert not node.ready()
    finally:
        redis.close()
