"""Redis behind Sentinel: the primary is found, followed when it moves, and what a failover loses is told."""
import pytest
from support.accounting import Ledger
from support.carillon import ALL
from support.load import Crowd
from support.redis import Sentinel, Sentinels, make_folder
from support.tls import Certificate
from support.wait import until

CONFIG = {"redis.command_timeout": "1s", "redis.canary_interval": "1s", "redis.retry_max": "500ms", "limits.message_rate": 0,
          "channels": [{"match": "log:*", "allow": ALL, "history": {"size": 100000, "ttl": "1h"}},
                       {"match": "*", "allow": ALL}]}


@pytest.fixture
def setup(tmp_path):
    setup = Sentinels(tmp_path)
    yield setup
    setup.close()


@pytest.fixture
def nodes(launch, setup):
    nodes = [launch({**CONFIG, "redis.url": setup.url}) for _ in range(2)]
    for node in nodes:
        until(node.ready, f"{node.name} is ready")
    return nodes


def test_primary_killed_under_load(setup, nodes):
    """All that was acknowledged had been replicated: everybody gets everything."""
    ledger = Ledger()
    channels = ["log:a", "log:b", "plain"]
    with Crowd(ledger) as crowd:
        crowd.begin(nodes, channels, 4, 3)
        ledger.wait_acknowledged(100)
        setup.primary.kill()
        setup.turn_over()
        ledger.wait_acknowledged(100)
        crowd.calm(until)
    account = ledger.check()
    assert not ledger.problems, ledger.problems[:10]
    assert account["accounted delivered"] >= 4 * 150, account  # plain ones may fall into the gap
    assert all(s.connections == 1 for s in crowd.subscribers), "nobody was disconnected"


def test_writes_lost_in_the_failover_are_told(setup, nodes):
    """The replica has not had the last events when it is promoted: a new epoch begins, and subscribers hear of it."""
    a, b = nodes
    with a.connect() as at_a, b.connect() as at_b:
        for client in (at_a, at_b):
            client.subscribe("log:x")
        a.publish("log:x", "replicated")
        until(lambda: setup.replica("HGET", "carillon:{log:x}:meta", "offset") == "1", "it is replicated")
        setup.replica.freeze()
        setup.primary("CLIENT", "KILL", "TYPE", "replica")
        assert a.publish("log:x", "lost")["offset"] == 2
        for client in (at_a, at_b):
            assert [client.expect("test")["data"] for _ in range(2)] == ["replicated", "lost"]
        setup.primary.kill()
        setup.replica.thaw()
        setup.turn_over()
        until(lambda: a.ready() and b.ready(), "both are back")
        for client in (at_a, at_b):
            gap = client.find("gap", channel="log:x")
            assert gap["data"]["reason"] == "epoch_changed" and gap["data"]["offset"] == 1, gap
        assert b.publish("log:x", "after")["offset"] == 2
        for client in (at_a, at_b):
            assert client.expect("test")["data"] == "after"


def test_return_to_what_a_failover_has_replaced(setup, nodes):
    """The lost events were seen by one node only, which is gone, and their offsets have been given again: the id tells."""
    a, b = nodes
    with a.connect() as client:
        client.subscribe("log:x")
        kept = a.publish("log:x", "replicated")
        until(lambda: setup.replica("HGET", "carillon:{log:x}:meta", "offset") == "1", "it is replicated")
        setup.replica.freeze()
        setup.primary("CLIENT", "KILL", "TYPE", "replica")
        lost = [a.publish("log:x", "lost") for _ in range(2)][-1]
        assert [client.expect("test")["data"] for _ in range(3)] == ["replicated", "lost", "lost"]
    a.kill()
    setup.primary.kill()
    setup.replica.thaw()
    setup.turn_over()
    until(b.ready, "it is back")
    events = [b.publish("log:x", n) for n in range(4)]
    assert (events[1]["epoch"], events[1]["offset"]) == (lost["epoch"], lost["offset"])
    for position, missed in ((lost, None), (events[1], [2, 3]), (kept, [0, 1, 2, 3])):
        with b.connect() as client:
            answer = client.ask("subscribe", "subscribed", channel="log:x", since=position)
            assert answer["data"] == {**(events[3] if missed is None else position), "recovered": missed is not None}
            assert [client.expect("test")["data"] for _ in missed or []] == (missed or [])
            client.nothing_before_pong()


@pytest.mark.long
def test_demoted_primary_that_stays_up(setup, nodes):
    """Sentinel makes the old primary a replica: nodes go to the new one, and no publish is acknowledged by the old."""
    setup.sentinels[0]("SENTINEL", "FAILOVER", setup.NAME)
    setup.turn_over()
    until(lambda: setup.replica.role() == "slave", "the old primary is demoted")
    for node in nodes:
        node.logged(rf"connected to Redis at 127\.0\.0\.1:{setup.primary.port}")
    with nodes[0].connect() as client:
        client.subscribe("plain")
        until(lambda: nodes[1].api("POST", "/api/v1/publish", {"channel": "plain", "type": "test", "data": 1}).status == 200,
              "publishes are accepted")
        client.find("test", data=1)
    until(lambda: setup.primary("CLIENT", "LIST").count("name=carillon-") == 4, "each node has its two connections, and no others")


def test_over_tls(launch, tmp_path):
    """Sentinels, primary and replica, also among themselves; and the failover."""
    certificate = Certificate(tmp_path, "redis")
    setup = Sentinels(tmp_path, certificate=certificate)
    try:
        node = launch({**CONFIG, "redis.url": setup.url, "redis.tls_ca": str(certificate.certificate)})
        until(node.ready, "it is ready")
        with node.connect() as client:
            client.subscribe("log:x")
            node.publish("log:x", "before")
            assert client.expect("test")["data"] == "before"
            until(lambda: setup.replica("HGET", "carillon:{log:x}:meta", "offset") == "1", "it is replicated")
            setup.primary.kill()
            setup.turn_over()
            until(lambda: node.api("POST", "/api/v1/publish", {"channel": "log:x", "type": "test", "data": "after"}).status == 200,
                  "publishes are accepted")
            assert client.find("test", data="after")["offset"] == 2
            assert not client.skipped, "nothing was missing"
    finally:
        setup.close()


def test_a_sentinel_that_is_gone(launch, setup):
    setup.sentinels[0].kill()
    node = launch({**CONFIG, "redis.url": setup.url})
    until(node.ready, "another one is asked")


def test_nobody_knows_that_name(launch, setup):
    node = launch({**CONFIG, "redis.url": setup.url.replace(setup.NAME, "other")})
    node.logged('no Sentinel tells where the primary "other" is; the last one: Sentinel at .*: does not know where the primary is')
    assert not node.ready()


def test_passwords(launch, setup, tmp_path):
    """Of Redis and of the Sentinels, which are not the same."""
    for server in setup.servers:
        server("CONFIG", "SET", "masterauth", "of-redis", "requirepass", "of-redis")
    for sentinel in setup.sentinels:
        sentinel("SENTINEL", "SET", setup.NAME, "auth-pass", "of-redis")
    guarded = Sentinel(make_folder(tmp_path, "guarded"), setup.NAME, setup.primary.port, password="of-sentinel")
    try:
        url = f"redis+sentinel://:of-redis@127.0.0.1:{guarded.port}/{setup.NAME}"
        launch({**CONFIG, "redis.url": url}).logged(r"Sentinel at .* wants a password: give it in the URL, \?sentinel_password=")
        until(launch({**CONFIG, "redis.url": url + "?sentinel_password=of-sentinel"}).ready, "logged in")
    finally:
        guarded.close()
    launch({**CONFIG, "redis.url": setup.url}).logged("Redis at .* wants a password")
