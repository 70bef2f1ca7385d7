"""Everything that can befall a Redis, under load, with two nodes. Each test accounts for every acknowledged event at every
subscriber, and says what publishers and subscribers are to see besides."""
import signal
import threading

import pytest
from support.accounting import Ledger
from support.load import Crowd, SocketPublisher
from support.partition import Relay
from support.wait import DEADLINE_S, SLOWDOWN, until

NUMBERED, PLAIN = ["log:a", "log:b"], ["plain"]
CONFIG = {"redis.command_timeout": "1s", "redis.connect_timeout": "1s", "redis.canary_interval": "1s", "redis.retry_max": "1s",
          "limits.message_rate": 0, "outbox.max_bytes": "64m", "outbox.max_messages": 100000,
          "channels": [{"match": "log:*", "allow": ["subscribe", "publish"], "history": {"size": 100000, "ttl": "1h"}},
                       {"match": "*", "allow": ["subscribe", "publish"]}]}
BACK_S = 20 * SLOWDOWN


class Scene:
    def __init__(self, nodes):
        self.nodes = nodes
        self.ledger = Ledger()
        self.crowd = Crowd(self.ledger)

    def begin(self, id_share=0.8):
        for node in self.nodes:
            until(node.ready, f"{node.name} is ready")
        self.crowd.subscribe(lambda: self.nodes, NUMBERED + PLAIN, 6)
        until(lambda: all(s.standing() for s in self.crowd.subscribers), "all are subscribed")
        self.crowd.publish(lambda: self.nodes, NUMBERED + PLAIN, 3, id_share=id_share)
        self.crowd.publish(lambda: self.nodes, NUMBERED + PLAIN, 2, kind=SocketPublisher, id_share=id_share)
        self.go_on()

    def go_on(self, count=100):
        self.ledger.wait_acknowledged(count, BACK_S)

    def unready(self):
        until(lambda: not any(node.ready() for node in self.nodes), "readiness shows it")

    def back(self):
        for node in self.nodes:
            until(node.ready, f"{node.name} is back", BACK_S)
        self.go_on()

    def end(self):
        """The account. Nobody has lost a connection, nothing is missing."""
        self.crowd.calm(until, BACK_S)
        connections = sum(s.connections for s in self.crowd.subscribers)
        self.crowd.stop()
        account = self.ledger.check()
        assert not self.ledger.problems, self.ledger.problems[:10]
        assert connections == 6, "nobody lost its connection"
        return account


def told(account):
    return [what for what in account if what.startswith("told")]


@pytest.fixture
def scene(launch, redis):
    scene = Scene([launch({**CONFIG, "redis.url": redis.url}) for _ in range(2)])
    yield scene
    scene.crowd.stop()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_stopped_and_killed(scene, redis, how):
    scene.begin()
    for _ in range(2):
        getattr(redis, how)()
        scene.unready()
        refused = scene.ledger.counts["refused 503"]
        until(lambda: scene.ledger.counts["refused 503"] > refused + 10, "publishes are refused")
        redis.start()
        scene.back()
    assert told(scene.end()) == ["told gap connection_lost"]


def test_restarted_empty(scene, redis):
    """Everybody is told that the channel begins anew; what was acknowledged before and delivered is not sent again."""
    scene.begin(id_share=0)  # the memory of event_ids goes too
    redis("FLUSHALL")
    redis.kill()
    scene.unready()
    redis.start()
    scene.back()
    account = scene.end()
    assert set(told(account)) == {"told gap connection_lost", "told gap epoch_changed"}
    assert account["told gap epoch_changed"] == 6 * len(NUMBERED), account


@pytest.mark.parametrize("seconds", [2, 30])
def test_paused(scene, redis, seconds):
    scene.begin()
    redis.freeze()
    threading.Event().wait(seconds)
    redis.thaw()
    scene.back()
    assert set(told(scene.end())) <= {"told gap connection_lost"}


def test_paused_within_the_timeouts(launch, redis):
    """Nobody sees more than a delay."""
    scene = Scene([launch({**CONFIG, "redis.url": redis.url, "redis.command_timeout": "5s"}) for _ in range(2)])
    try:
        scene.begin()
        redis.freeze()
        threading.Event().wait(2)
        redis.thaw()
        scene.back()
        account = scene.end()
        assert not told(account) and not account["refused 503"] and not account["unknown 503"], account
    finally:
        scene.crowd.stop()


def test_slow(launch, redis):
    """100 ms there and 100 ms back: everything goes on, later; nothing is refused."""
    relay = Relay(redis.port)
    scene = Scene([launch({**CONFIG, "redis.url": f"redis://127.0.0.1:{relay.port}"}) for _ in range(2)])
    try:
        scene.begin()
        relay.delay_s = 0.1
        scene.go_on()
        assert all(node.ready() for node in scene.nodes)
        relay.delay_s = 0
        scene.back()
        account = scene.end()
        assert not told(account) and not account["refused 503"] and not account["unknown 503"], account
    finally:
        scene.crowd.stop()
        for node in scene.nodes:
            node.close()
        relay.close()


def test_full(scene, redis):
    """noeviction: publishes to channels with history are refused, subscribers stay, and it ends as soon as there is room."""
    scene.begin()
    redis("CONFIG", "SET", "maxmemory", "1")
    refused = scene.ledger.counts["refused 503"]
    until(lambda: scene.ledger.counts["refused 503"] > refused + 10, "publishes are refused")
    assert all(node.ready() for node in scene.nodes), "reading works"
    redis("CONFIG", "SET", "maxmemory", "0")
    scene.back()
    assert not told(scene.end())


def test_scripts_flushed(scene, redis):
    scene.begin()
    for _ in range(5):
        redis("SCRIPT", "FLUSH")
        scene.go_on(30)
    account = scene.end()
    assert not told(account) and not account["refused 503"] and not account["unknown 503"], account


@pytest.mark.parametrize("kind", ["pubsub", "normal"])
def test_one_of_the_connections_is_cut(scene, redis, kind):
    scene.begin()
    for _ in range(3):
        redis("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        scene.go_on(30)
    scene.back()
    assert told(scene.end()) == ["told gap connection_lost"]


def test_cut_by_the_output_buffer_limit(scene, redis):
    """A node that stands still while much is published: Redis ends its subscribing connection, and only that."""
    redis("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 0 0")
    scene.begin()
    slow, other = scene.nodes
    with slow.connect("watcher") as client:
        client.subscribe("log:large")
        slow.signal(signal.SIGSTOP)
        cut = until_cut(redis, other)
        slow.signal(signal.SIGCONT)
        offsets = [client.find("test", seconds=3 * DEADLINE_S)["offset"] for _ in range(cut)]
        assert offsets == list(range(1, cut + 1))
        assert not [m for m in client.skipped if m["type"] == "gap"], client.skipped
    scene.back()
    assert told(scene.end()) == ["told gap connection_lost"]


def until_cut(redis, node):
    """Publishes until Redis has had enough of somebody; returns how many events it took."""
    count = 0

    def enough():
        nonlocal count
        node.publish("log:large", "x" * 60000)
        count += 1
        return len(redis("CLIENT", "LIST", "TYPE", "pubsub").splitlines()) == 1

    until(enough, "Redis cuts the subscriber", 3 * DEADLINE_S)
    return count
