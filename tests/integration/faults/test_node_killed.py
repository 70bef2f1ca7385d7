"""A node is killed (kill -9) while it publishes and delivers. Clients go to another node and resume: nothing acknowledged is
missing or doubled, and publishers who try again with the same event_id publish once."""
import signal

import pytest
from support.accounting import Ledger
from support.load import Crowd, SocketPublisher
from support.wait import until

NUMBERED = ["log:a", "log:b"]
PLAIN = ["plain"]
CONFIG = {"redis.command_timeout": "1s", "redis.canary_interval": "1s", "limits.message_rate": 0,
          "channels": [{"match": "log:*", "allow": ["subscribe", "publish"], "history": {"size": 100000, "ttl": "1h"}},
                       {"match": "*", "allow": ["subscribe", "publish"]}]}


@pytest.fixture
def nodes(launch, redis):
    nodes = [launch({**CONFIG, "redis.url": redis.url}) for _ in range(3)]
    for node in nodes:
        until(node.ready, f"{node.name} is ready")
    return nodes


def kill(nodes, node):
    """Nobody is sent to it any more, as behind a balancer. Its clients find out by themselves."""
    nodes.remove(node)
    node.may_die = True
    node.signal(signal.SIGKILL)
    node.wait()


def test_killed_under_load(nodes):
    ledger = Ledger()
    with Crowd(ledger) as crowd:
        crowd.begin(nodes, NUMBERED + PLAIN, 9, 3)
        crowd.publish(lambda: nodes, NUMBERED + PLAIN, 2, kind=SocketPublisher)
        for _ in range(2):
            ledger.wait_acknowledged(150)
            kill(nodes, nodes[0])
        ledger.wait_acknowledged(150)
        crowd.calm(until)
    account = ledger.check()
    assert not ledger.problems, ledger.problems[:10]
    assert account["recovered"] >= len(NUMBERED), account  # whoever was on a killed node
    assert not account["told recovered:false"] and not [what for what in account if what.startswith("told gap")], account
    assert account["accounted delivered"] > 9 * 300, account


def test_the_others_forget_it(launch, nodes):
    until(lambda: len(nodes[0].api("GET", "/api/v1/info").json["nodes"]) == 3, "the nodes know each other")
    kill(nodes, nodes[1])
    answer = nodes[0].api("GET", "/api/v1/info").json
    assert answer["partial"] is True and (answer["nodes_asked"], answer["nodes_answered"]) == (3, 2)
    until(lambda: "partial" not in nodes[0].api("GET", "/api/v1/info").json, "the dead node is forgotten")
