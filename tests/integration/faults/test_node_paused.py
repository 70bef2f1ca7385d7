"""A node stands still (SIGSTOP) and goes on: for a moment, and for longer than all its timeouts. Its clients may stay or leave. Either way
no acknowledged event is missing or doubled."""
import re
import signal
import threading
from pathlib import Path

import pytest
from support.accounting import Ledger
from support.load import Crowd
from support.wait import until

NUMBERED = ["log:a", "log:b"]
PLAIN = ["plain"]
CONFIG = {"redis.command_timeout": "500ms", "redis.canary_interval": "1s", "limits.message_rate": 0,
          "channels": [{"match": "log:*", "allow": ["subscribe", "publish"], "history": {"size": 100000, "ttl": "1h"}},
                       {"match": "*", "allow": ["subscribe", "publish"]}]}


@pytest.fixture
def start(launch, redis):
    def start(count, config):
        nodes = [launch({**CONFIG, "redis.url": redis.url, **config}) for _ in range(count)]
        for node in nodes:
            until(node.ready, f"{node.name} is ready")
        return nodes
    return start


def stands_still(node):
    return re.search(r"^State:\s+T", Path(f"/proc/{node.pid}/status").read_text(), re.M)


def pause(node, seconds, meanwhile=lambda: None):
    node.signal(signal.SIGSTOP)
    until(lambda: stands_still(node), "the node stands still")
    meanwhile()
    threading.Event().wait(seconds)  # the fault itself takes this long
    node.signal(signal.SIGCONT)


def give_up(redis, node_id):
    """Redis ends the node's connections, as it does with one that reads nothing (client-output-buffer-limit)."""
    of_node = [line for line in redis("CLIENT", "LIST").splitlines() if f"name=carillon-{node_id}" in line]
    assert len(of_node) >= 2, of_node  # one for commands, one for subscriptions, and one for ingest once it has begun
    for line in of_node:
        redis("CLIENT", "KILL", "ID", re.match(r"id=(\d+)", line).group(1))


@pytest.mark.parametrize("seconds, timeout", [(2, "5s"), (3, "500ms")])
@pytest.mark.parametrize("patience_s", [None, 1])
def test_paused_under_load(start, seconds, timeout, patience_s):
    """patience_s 1: its clients leave, and come back elsewhere with their positions; None: they wait."""
    nodes = start(2, {"redis.command_timeout": timeout})
    ledger = Ledger()
    with Crowd(ledger) as crowd:
        crowd.begin(nodes, NUMBERED + PLAIN, 6, 4, patience_s=patience_s)
        ledger.wait_acknowledged(100)
        pause(nodes[0], seconds)
        until(nodes[0].ready, "it serves again")
        ledger.wait_acknowledged(100)
        crowd.calm(until)
    account = ledger.check()
    assert not ledger.problems, ledger.problems[:10]
    assert not account["told recovered:false"], account
    numbered_gaps = [what for what in account if what.startswith("told gap") and what != "told gap connection_lost"]
    assert not numbered_gaps, account
    if timeout == "5s":
        assert not account["told gap connection_lost"], "two seconds are within its timeouts"
    assert account["accounted delivered"] > 6 * 150, account


def test_redis_gives_it_up_meanwhile(start, redis):
    nodes = start(2, {})
    node_id = nodes[0].api("GET", "/api/v1/info").json["node"]
    ledger = Ledger()
    with Crowd(ledger) as crowd:
        crowd.begin(nodes, NUMBERED + PLAIN, 6, 4)
        ledger.wait_acknowledged(100)
        pause(nodes[0], 2, lambda: give_up(redis, node_id))
        until(lambda: nodes[0].metric("carillon_broker_reconnects_total") == 1, "it is back")
        ledger.wait_acknowledged(100)
        crowd.calm(until)
        assert sum(s.connections for s in crowd.subscribers) == 6, "nobody lost its connection"
    account = ledger.check()
    assert not ledger.problems, ledger.problems[:10]
    assert [what for what in account if what.startswith("told")] == ["told gap connection_lost"], account


def test_what_a_publisher_and_a_subscriber_see(start):
    """One of each, on the paused node: silence, then the answer and every event, on the connection that they have."""
    a, b = start(2, {"redis.command_timeout": "5s"})
    with a.connect() as client:
        client.subscribe("log:x")
        client.subscribe("plain")
        a.signal(signal.SIGSTOP)
        until(lambda: stands_still(a), "the node stands still")
        answers = []
        waits = threading.Thread(target=lambda: answers.append(a.publish("log:x", "through the paused node", event_id="once")))
        waits.start()
        for n in range(50):
            b.publish("log:x", n)
            b.publish("plain", n)
        threading.Event().wait(1)
        assert not answers
        a.signal(signal.SIGCONT)
        waits.join()
        assert answers[0]["offset"] == 51
        got = [client.expect("test") for _ in range(101)]
        assert [m["offset"] for m in got if m["channel"] == "log:x"] == list(range(1, 52))
        assert [m["data"] for m in got if m["channel"] == "plain"] == list(range(50))
        client.nothing_before_pong()
        assert b.publish("log:x", "again", event_id="once")["duplicate"] is True
