"""`carillon bench` against a real node: it measures, and it fails when it cannot."""
import json

import pytest

from support import http, jwt
from support.carillon import API_KEY, Node, run
from support.redis import Redis
from support.wait import until

CONFIG = {"workers": 1, "limits.message_rate": 0}


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    node = Node(tmp_path_factory.mktemp("bench"), CONFIG)
    yield node
    node.close()


@pytest.fixture(scope="module")
def echoing(tmp_path_factory):
    """/echo gives each message back, /quiet takes it in silence."""
    node = Node(tmp_path_factory.mktemp("echoing"), {**CONFIG, "endpoints": [
        {"path": "/echo", "text": "echo", "binary": "echo"}, {"path": "/quiet", "text": "ignore", "binary": "ignore"}]})
    yield node
    node.close()


def bench(node, *arguments, key=API_KEY, secret=jwt.SECRET, path="/ws"):
    return run("bench", "--url", f"ws://{node.public[0]}:{node.public[1]}{path}",
               "--api", f"http://{node.internal[0]}:{node.internal[1]}", *arguments,
               env={"CARILLON_API_KEY": key, "CARILLON_TOKEN_SECRET": secret})


def measured(node, *arguments, **options):
    done = bench(node, "--json", "--warmup", 0, "--server-pid", node.pid, *arguments, **options)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["lost"], result["duplicated"], result["misordered"]) == (0, 0, 0)
    assert result["server_cpu_us_each"] >= 0  # of a moment's work the kernel's clock of another process may show nothing yet
    if result["latency_us"]:
        assert result["latency_us"]["p50"] <= result["latency_us"]["p99"] <= result["latency_us"]["max"]
    return result


@pytest.mark.parametrize("window", [1, 16])
def test_fanout(node, window):
    assert measured(node, "fanout", "--connections", 20, "--count", 50, "--window", window)["operations"] == 20 * 50


def test_a_first_size(node):
    """A long event before all others, which is not measured."""
    before = node.metric("carillon_events_in_bytes_total")
    result = measured(node, "rooms", "--channels", 3, "--members", 2, "--count", 50, "--first-size", 5000)
    assert (result["events"], result["operations"], result["first_data_bytes"]) == (50, 100, 5000)
    assert node.metric("carillon_events_in_bytes_total") - before == 3 * 5000 + 50 * 128


def test_a_rate(node):
    """Open loop: that many events a second, whatever is in flight."""
    result = measured(node, "fanout", "--connections", 5, "--rate", 300, "--count", 150)
    assert (result["events"], result["operations"], result["rate"]) == (150, 750, 300)
    assert 450_000 < result["elapsed_us"] and 0 < result["events_per_second"] <= 330
    assert result["first_latency_us"]["max"] <= result["last_latency_us"]["max"] == result["latency_us"]["max"]


@pytest.mark.parametrize("arguments", [("--threads", 3), ("--publish-over", "websocket", "--publishers", 2),
                                       ("--batch", 8, "--publishers", 2), ("--sources", 2), ("--sources", "127.0.0.9,127.0.0.8")])
def test_ways_to_load(node, arguments):
    result = measured(node, "fanout", "--connections", 7, "--count", 100, "--window", 20, *arguments)
    assert result["operations"] == 700


@pytest.mark.parametrize("order", ["random", "round-robin"])
def test_rooms(node, order):
    result = measured(node, "rooms", "--channels", 10, "--members", 3, "--count", 200, "--window", 4, "--threads", 2,
                      "--order", order)
    assert result["operations"] == 600
    assert (result["channels"], result["members"], result["connections"], result["order"]) == (10, 3, 30, order)


def test_idle(node):
    result = measured(node, "idle", "--connections", 20, "--duration", 1, "--threads", 2)
    assert result["operations"] == 20
    assert result["elapsed_us"] >= 1_000_000
    assert result["server_rss_growth_bytes"] is not None
    assert result["latency_us"] is None


def test_slow(tmp_path):
    """Subscribers that stop reading are closed. The others get everything."""
    node = Node(tmp_path, {**CONFIG, "outbox.max_bytes": "2m", "close_timeout": "500ms"})
    try:
        result = measured(node, "slow", "--connections", 10, "--slow-percent", 20, "--size", 8000, "--count", 2000,
                          "--rate", 500)
        assert node.metric("carillon_slow_consumers_total") == 2
    finally:
        node.close()
    assert (result["stopped"], result["closed"], result["operations"]) == (2, 2, 8 * 2000)
    assert result["server_rss_peak_bytes"] > 0


def test_slow_ones_that_are_not_closed(node):
    result = measured(node, "slow", "--connections", 4, "--slow-percent", 50, "--count", 5)
    assert (result["stopped"], result["closed"], result["operations"]) == (2, 0, 10)


def test_cluster(tmp_path):
    redis = Redis(tmp_path)
    nodes = [Node(tmp_path, {**CONFIG, "redis.url": redis.url}, name=f"node{n}") for n in range(2)]
    try:
        common = ["--json", "--warmup", 0, "--url", f"ws://127.0.0.1:{nodes[1].public[1]}", "--count", 50, "--window", 10,
                  "--connections", 6, "--server-pid", nodes[0].pid, "--server-pid", nodes[1].pid]
        over_http = run("bench", "cluster", "--api", f"http://127.0.0.1:{nodes[0].internal[1]}", "--batch", 5, *common,
                        env={"CARILLON_API_KEY": API_KEY, "CARILLON_TOKEN_SECRET": jwt.SECRET})
        direct = run("bench", "cluster", "--publish-over", "redis", "--redis", redis.url, *common,
                     env={"CARILLON_TOKEN_SECRET": jwt.SECRET})
    finally:
        for node in nodes:
            node.close()
        redis.close()
    for done in (over_http, direct):
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert result["operations"] == 300
        assert [server["pid"] for server in result["servers"]] == [node.pid for node in nodes]
        assert result["server_cpu_us_each"] == pytest.approx(sum(s["cpu_us_each"] for s in result["servers"]), rel=0.001)


def test_publish_through_redis(tmp_path):
    redis = Redis(tmp_path)
    node = Node(tmp_path, {**CONFIG, "redis.url": redis.url})
    try:
        result = measured(node, "publish", "--publish-over", "redis", "--redis", redis.url, "--connections", 2, "--count", 50)
    finally:
        node.close()
        redis.close()
    assert (result["operations"], result["publish_over"]) == (50, "redis")


def test_publish_over_websocket(node):
    before = node.metric("carillon_events_in_total", source="websocket")
    assert measured(node, "publish", "--publish-over", "websocket", "--connections", 3, "--count", 60)["operations"] == 60
    assert node.metric("carillon_events_in_total", source="websocket") == before + 60


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_token_key(tmp_path, algorithm):
    pair = jwt.KeyPair(tmp_path, algorithm)
    node = Node(tmp_path, {**CONFIG, "token.secret": None, "token.keys": [{"file": str(pair.public_path)}]})
    try:
        result = measured(node, "connect", "--connections", 5, "--token-key", pair.private_path, secret="")
    finally:
        node.close()
    assert result["operations"] == 5


def test_connecting_without_subscribing(node):
    before = node.metric("carillon_commands_total", type="subscribe")
    assert measured(node, "connect", "--connections", 4, "--subscribe", "no")["operations"] == 4
    assert node.metric("carillon_commands_total", type="subscribe") == before


def test_echo(node):
    assert measured(node, "echo", "--connections", 5, "--count", 100)["operations"] == 100


@pytest.mark.parametrize("kind", ["text", "binary"])
@pytest.mark.parametrize("pace", [(), ("--rate", 2000)])
def test_request(echoing, kind, pace):
    result = measured(echoing, "request", "--connections", 5, "--count", 200, "--kind", kind, "--size", 640, *pace, path="/echo")
    assert (result["operations"], result["unit"]) == (200, "messages")


def test_request_without_answers(echoing):
    before = echoing.metric("carillon_received_bytes_total")
    result = measured(echoing, "request", "--connections", 5, "--count", 200, "--rate", 2000, "--answers", "no", path="/quiet")
    assert result["operations"] == 200 and result["latency_us"] is None
    until(lambda: echoing.metric("carillon_received_bytes_total") == before + 200 * 128, "200 messages")


def test_request_that_is_not_answered(echoing):
    done = bench(echoing, "request", "--connections", 1, "--count", 1, "--warmup", 0, "--patience", 1, path="/quiet")
    assert done.returncode == 1 and "1 lost" in done.stderr


def test_request_that_fails(node):
    """The default endpoint takes commands, and a payload is none."""
    done = bench(node, "request", "--connections", 1, "--count", 1)
    assert done.returncode == 1 and "what is no answer to its message" in done.stderr


def test_tickets(tmp_path):
    node = Node(tmp_path, {**CONFIG, "endpoints": [{"path": "/up", "ticket_query": ["ticket"], "ticket": {"purpose": "bench", "resource": "load"}}]})
    try:
        assert measured(node, "publish", "--protocol", "tickets", "--connections", 3, "--count", 30)["operations"] == 30
        assert node.metric("carillon_tickets_issued_total") == 30
        tickets = [http.request(node.internal, "POST", "/api/v1/tickets", {"user": "ada", "purpose": "bench", "resource": "load"},
                                {"X-API-Key": API_KEY}).json["ticket"] for _ in range(4)]
        file = tmp_path / "tickets"
        file.write_text("\n".join(tickets) + "\n")
        connecting = ("connect", "--subscribe", "no", "--tickets", file)
        assert measured(node, *connecting, "--connections", 4, path="/up", secret="")["operations"] == 4
        assert node.metric("carillon_tickets_used_total") == 4
        again = bench(node, *connecting, "--connections", 4, path="/up", secret="")
        assert again.returncode == 1 and "401" in again.stderr
        few = bench(node, *connecting, "--connections", 5, path="/up", secret="")
        assert few.returncode == 2 and "4 lines for 5 --connections" in few.stderr
    finally:
        node.close()


def test_connect(node):
    result = measured(node, "connect", "--connections", 50)
    assert result["operations"] == 50
    assert result["server_rss_growth_bytes"] is not None


def test_publish_at_a_rate(node):
    result = measured(node, "publish", "--connections", 4, "--count", 200, "--rate", 1000, "--histogram")
    assert (result["operations"], result["rate"]) == (200, 1000)
    assert 190000 <= result["elapsed_us"], "the last one is due after 199 ms"
    assert sum(count for _, count in result["latency_counts"]) == 200
    assert result["latency_counts"] == sorted(result["latency_counts"]) and result["latency_counts"][-1][0] >= result["latency_us"]["p99"]


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
    (("fanout", "--first-size", "127"), "--first-size should not be less than --size"),
    (("echo", "--first-size", "5000"), "echo has no option --first-size"),
    (("echo", "--url", "wss://localhost/"), "speaks no TLS"),
    (("request", "--answers", "no"), "--answers no needs a --rate"),
    (("request", "--kind", "audio"), '"audio" should be text or binary'),
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


@pytest.mark.parametrize("arguments", [(), ("--threads", 3), ("--batch", 7)])
def test_recover(node, arguments):
    """All come back to a history (log:* has one here), and have what they missed once and in order."""
    result = measured(node, "recover", "--channel", "log:recover", "--connections", 40, "--missed", 25, *arguments)
    assert (result["operations"], result["events"]) == (40 * 25, 25)
    assert result["recovered_clients"] == 40 and 0 < result["caught_up_us"] <= result["elapsed_us"]
    assert node.metric("carillon_recoveries_total", result="complete") >= 40


@pytest.mark.parametrize("arguments", [(), ("--threads", 3), ("--batch", 7)])
def test_recover_many_channels(node, arguments):
    """40 clients of 12 channels: each has the events of its own, and of no other."""
    result = measured(node, "recover", "--channel", "log:rooms", "--channels", 12, "--connections", 40, "--missed", 25, *arguments)
    assert (result["operations"], result["events"], result["channels"]) == (40 * 25, 12 * 25, 12)
    assert result["recovered_clients"] == 40


def test_recover_empty_channels(node):
    done = bench(node, "recover", "--channels", 3, "--connections", 2)
    assert done.returncode == 2 and "as many --connections as --channels" in done.stderr


def test_recover_needs_a_history(node):
    done = bench(node, "recover", "--connections", 2)
    assert done.returncode == 1 and "bench:log has no history" in done.stderr


def test_recover_when_too_much_was_missed(node):
    """log:* keeps 1000."""
    done = bench(node, "recover", "--channel", "log:long", "--connections", 2, "--missed", 1500)
    assert done.returncode == 1 and '"recovered":false' in done.stderr


def test_recover_speaks_carillon_only(node):
    done = bench(node, "recover", "--protocol", "nchan", "--connections", 2)
    assert done.returncode == 2 and "recover is for the carillon protocol" in done.stderr
