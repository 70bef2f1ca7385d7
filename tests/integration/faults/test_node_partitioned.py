"""One node is cut off from Redis and the others are not: packets vanish, every connection looks alive. It notices, refuses publications and
says that it is not ready. Its clients keep their connections. When the network is whole again, they get all missed events."""
import pytest
from support.accounting import Ledger
from support.load import Crowd
from support.partition import Machine, why_not
from support.proxy import Proxy
from support.redis import Redis
from support.wait import until

NUMBERED = ["log:a", "log:b"]
PLAIN = ["plain"]
CONFIG = {"redis.command_timeout": "1s", "redis.canary_interval": "1s", "redis.connect_timeout": "1s", "redis.retry_max": "1s",
          "limits.message_rate": 0,
          "channels": [{"match": "log:*", "allow": ["subscribe", "publish"], "history": {"size": 100000, "ttl": "1h"}},
                       {"match": "*", "allow": ["subscribe", "publish"]}]}


class ByNamespace:
    """Real packets on a real wire that is cut."""

    def __init__(self, folder, launch):
        self.machine = Machine()
        self.redis = Redis(folder, "--bind", "127.0.0.1", self.machine.redis_address, "--protected-mode", "no")
        self.far = launch({**CONFIG, "redis.url": f"redis://{self.machine.redis_address}:{self.redis.port}",
                           "host": self.machine.address, "internal.host": self.machine.address}, prefix=self.machine.prefix)
        self.cut, self.mend = self.machine.cut, self.machine.mend

    def close(self):
        self.redis.close()
        self.machine.close()


class ByProxy:
    """A proxy between the node and Redis swallows everything. Bytes that are sent meanwhile are lost for good."""

    def __init__(self, folder, launch):
        self.redis = Redis(folder)
        self.proxy = Proxy(self.redis.port)
        self.far = launch({**CONFIG, "redis.url": self.proxy.url})

    def cut(self):
        self.proxy.open.clear()

    def mend(self):
        self.proxy.open.set()

    def close(self):
        self.proxy.close()
        self.redis.close()


@pytest.fixture(params=[ByNamespace, ByProxy])
def network(request, tmp_path, launch):
    if request.param is ByNamespace and why_not():
        pytest.skip(why_not())
    network = request.param(tmp_path, launch)
    yield network
    network.far.close()
    network.close()


@pytest.fixture
def near(launch, network):
    node = launch({**CONFIG, "redis.url": network.redis.url})
    for each in (node, network.far):
        until(each.ready, f"{each.name} is ready")
    return node


def test_cut_off_under_load(network, near):
    far, nodes = network.far, [near, network.far]
    ledger = Ledger()
    with Crowd(ledger) as crowd:
        crowd.begin(nodes, NUMBERED + PLAIN, 6, 4)
        ledger.wait_acknowledged(100)
        network.cut()
        until(lambda: not far.ready(), "it sees that it is cut off")
        ledger.wait_acknowledged(100)  # by the other one
        network.mend()
        until(far.ready, "it is back")
        ledger.wait_acknowledged(100)
        crowd.calm(until)
        connections = sum(s.connections for s in crowd.subscribers)
    account = ledger.check()
    assert not ledger.problems, ledger.problems[:10]
    assert connections == 6, "nobody lost its connection"
    assert account["refused 503"], account
    assert account["told gap connection_lost"], "on the channel without history"
    assert [w for w in account if w.startswith("told")] == ["told gap connection_lost"], account


def test_what_a_publisher_and_a_subscriber_see(network, near):
    far = network.far
    with far.connect() as client:
        for channel in ("log:x", "plain"):
            client.subscribe(channel)
        near.publish("log:x", "before")
        assert client.expect("test")["offset"] == 1
        network.cut()
        for n in range(10):
            near.publish("log:x", n)
            near.publish("plain", n)
        until(lambda: not far.ready(), "it sees that it is cut off")
        answer = far.api("POST", "/api/v1/publish", {"channel": "log:x", "type": "test", "data": 1})
        assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1
        client.error("publish", "unavailable", channel="log:x", type="test", data=1)
        assert not [m for m in client.skipped if m["type"] == "test"], client.skipped
        network.mend()
        until(far.ready, "it is back")
        got = client.skipped = []
        while {m["type"] for m in got} != {"test", "gap"} or len(got) < 11:
            got.append(client.receive())
        client.send("ping", id="fence")
        client.find("pong", id="fence")
        assert [m["offset"] for m in got if m["type"] == "test"] == list(range(2, 12))
        # A set, because on a busy machine the connection may be lost twice, which is told twice.
        assert {(m["channel"], m["data"]["reason"]) for m in got if m["type"] == "gap"} == {("plain", "connection_lost")}
