"""`carillon bench` against a real node: it measures, and it fails when it cannot."""
import json

import pytest

from support import jwt
from support.carillon import API_KEY, Node, run

CONFIG = {"workers": 1, "limits.message_rate": 0}


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    node = Node(tmp_path_factory.mktemp("bench"), CONFIG)
    yield node
    node.close()


def bench(node, *arguments, key=API_KEY, secret=jwt.SECRET):
    return run("bench", "--url", f"ws://{node.public[0]}:{node.public[1]}/ws",
               "--api", f"http://{node.internal[0]}:{node.internal[1]}", *arguments,
               env={"CARILLON_API_KEY": key, "CARILLON_TOKEN_SECRET": secret})


def measured(node, *arguments):
    done = bench(node, "--json", "--warmup", 0, "--server-pid", node.pid, *arguments)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["lost"], result["duplicated"], result["misordered"]) == (0, 0, 0)
    assert result["server_cpu_us_each"] >= 0  # of a moment's work the kernel's clock of another process may show nothing yet
    assert result["latency_us"]["p50"] <= result["latency_us"]["p99"] <= result["latency_us"]["max"]
    return result


@pytest.mark.parametrize("window", [1, 16])
def test_fanout(node, window):
    assert measured(node, "fanout", "--connections", 20, "--count", 50, "--window", window)["operations"] == 20 * 50


def test_echo(node):
    assert measured(node, "echo", "--connections", 5, "--count", 100)["operations"] == 100


def test_connect(node):
    result = measured(node, "connect", "--connections", 50)
    assert result["operations"] == 50
    assert result["server_rss_growth_bytes"] is not None


def test_publish(node):
    before = node.metric("carillon_events_in_total", source="http")
    assert measured(node, "publish", "--connections", 3, "--count", 60)["operations"] == 60
    assert measured(node, "publish", "--connections", 3, "--count", 6, "--batch", 100)["operations"] == 600
    assert node.metric("carillon_events_in_total", source="http") == before + 660


def test_by_duration(node):
    result = measured(node, "publish", "--connections", 2, "--duration", 1)
    assert result["elapsed_us"] >= 1000000
    assert result["operations"] > 0
    assert result["server_cpu_us_each"] > 0


def test_a_request_of_many_megabytes(node):
    """More than a socket takes at once."""
    result = measured(node, "publish", "--connections", 1, "--count", 1, "--batch", 15, "--size", 60000)
    assert result["operations"] == 15


def test_the_table(node):
    done = bench(node, "echo", "--connections", 2, "--count", 10)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    row = done.stdout.splitlines()[2].split()
    assert row[:3] == ["echo", "2", "10"]
    assert row[4] == "-", "CPU time is not known without a process id"


@pytest.mark.parametrize("scenario", ["fanout", "publish"])
def test_a_wrong_api_key(node, scenario):
    done = bench(node, scenario, "--connections", 2, "--count", 10, key="not-the-key")
    assert done.returncode == 1
    assert "HTTP status 401" in done.stderr or "unauthorized" in done.stderr
    assert done.stdout == ""


def test_a_wrong_secret(node):
    done = bench(node, "connect", "--connections", 3, secret="another-secret-another-secret-another")
    assert done.returncode == 1
    assert "only 0 of 3 clients could connect" in done.stderr
    assert "401" in done.stderr


def test_a_channel_that_is_not_granted(node, tmp_path):
    other = Node(tmp_path, {**CONFIG, "channels": [{"match": "other", "allow": ["subscribe"]}]})
    try:
        done = bench(other, "connect", "--connections", 3)
    finally:
        other.close()
    assert done.returncode == 1
    assert "unauthorized" in done.stderr


@pytest.mark.parametrize("arguments, words", [
    ((), "name one scenario"),
    (("dance",), 'there is no scenario "dance"'),
    (("echo", "--connections", "0"), "--connections should be a number from 1"),
    (("echo", "--size", "31"), "--size should be a number from 32"),
    (("echo", "--count", "1", "--duration", "1"), "--duration or --count"),
    (("echo", "--url", "wss://localhost/"), "speaks no TLS"),
])
def test_wrong_calls(arguments, words):
    done = run("bench", *arguments, env={"CARILLON_TOKEN_SECRET": jwt.SECRET})
    assert done.returncode == 2
    assert words in done.stderr


def test_no_secret():
    done = run("bench", "echo")
    assert done.returncode == 2
    assert "CARILLON_TOKEN_SECRET" in done.stderr


def test_a_process_that_is_not_there(node):
    done = bench(node, "echo", "--connections", 1, "--count", 1, "--server-pid", 4194304)
    assert done.returncode == 1
    assert "there is no process 4194304" in done.stderr
