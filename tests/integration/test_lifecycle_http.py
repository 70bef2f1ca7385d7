"""Lifecycle events by HTTP: batches of CloudEvents that are signed, sent until they are accepted, and never out of order."""
import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.proxy import Proxy
from support.wait import DEADLINE_S, until

SECRET = "a-secret-for-lifecycle-tests"
TYPES = ["session.opened", "session.closed", "subscription.added", "channel.occupied"]


class Receiver:
    """Accepts batches, or answers with `status`, or not at all (`hang`)."""

    def __init__(self):
        self.batches = []
        self.refused = []
        self.begun = 0
        self.status = 204
        self.delay = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.begun += 1
                status = receiver.status
                threading.Event().wait(receiver.delay)
                (receiver.batches if status < 300 else receiver.refused).append((dict(self.headers), body))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/events"

    def events(self):
        return [event for _, body in list(self.batches) for event in json.loads(body)]

    def told(self, type_, count=1, **members):
        return until(lambda: len(found := [e for e in self.events() if e["type"] == "carillon." + type_ and
                                           members.items() <= e["data"].items()]) >= count and found, f"{count} {type_}")

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


def config(receiver, **more):
    return {"lifecycle.types": TYPES, "lifecycle.http": {"url": receiver.url, "secret": [SECRET], "retry_max": "1s"}, **more}


def check_signature(headers, body):
    headers = {name.lower(): value for name, value in headers.items()}
    assert headers["content-type"].startswith("application/cloudevents-batch+json"), headers
    text = headers["webhook-id"].encode() + b"." + headers["webhook-timestamp"].encode() + b"." + body
    expected = base64.b64encode(hmac.new(SECRET.encode(), text, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == "v1," + expected


@pytest.fixture(params=["memory", "redis"])
def broker(request):
    return {} if request.param == "memory" else {"redis.url": request.getfixturevalue("redis").url}


def test_batches_are_signed_and_complete(launch, receiver, broker):
    node = launch(config(receiver, **broker))
    until(node.ready, "ready")
    for i in range(20):
        with node.connect(f"user-{i}") as client:
            client.subscribe("room:1")
    receiver.told("session.closed", count=20)
    for headers, body in receiver.batches:
        check_signature(headers, body)
    ids = [event["id"] for event in receiver.events()]
    assert len(ids) == len(set(ids))
    for kind in ("session.opened", "subscription.added", "session.closed"):
        assert len(receiver.told(kind)) == 20
    node.terminate()


def test_an_endpoint_that_fails_and_recovers(launch, receiver, broker):
    node = launch(config(receiver, **broker))
    until(node.ready, "ready")
    receiver.status = 500
    clients = [node.connect(f"user-{i}") for i in range(10)]
    until(lambda: len(receiver.refused) >= 2, "the batch is tried again")
    first = {headers["webhook-id"] for headers, _ in receiver.refused}
    assert len(first) == 1 and len({body for _, body in receiver.refused}) == 1, "the same batch, byte for byte"
    for client in clients:
        client.close()
    receiver.status = 200
    receiver.told("session.closed", count=10)
    sequences = {}
    for event in receiver.events():
        sequences.setdefault(event["subject"], []).append(int(event.get("sequence", 0)))
    assert all(numbers == sorted(numbers) for numbers in sequences.values()), sequences
    assert node.metric("carillon_lifecycle_retries_total") >= 2
    node.terminate()


def test_the_last_events_of_a_node_without_redis(launch, receiver):
    node = launch(config(receiver))
    clients = [node.connect(f"user-{i}") for i in range(30)]
    node.terminate()
    assert len(receiver.told("session.closed")) == 30
    for client in clients:
        client.close()


@pytest.mark.long
def test_another_node_goes_on(launch, receiver, redis):
    """Both nodes have the endpoint, one of them sends. It is killed, and the other sends the rest: duplicates have the same id."""
    nodes = launch.pair(redis, {**config(receiver), "redis.command_timeout": "1s"})
    clients = [nodes[i % 2].connect(f"user-{i}") for i in range(40)]
    receiver.told("session.opened", count=40)
    reader = redis("HGET", "carillon:{carillon:events}:lifecycle:counters", "reader")
    killed = nodes[0] if f"node {reader}" in nodes[0].log() else nodes[1]
    killed.kill()
    closed = receiver.told("session.closed", count=20)
    assert {event["data"]["reason"] for event in closed} == {"node_lost"}
    for client in clients:
        client.close()
    receiver.told("session.closed", count=40)
    seen = {}
    for event in receiver.events():
        assert seen.setdefault(event["id"], event) == event, "an event that comes twice is the same"
    assert len([e for e in seen.values() if e["type"] == "carillon.session.closed"]) == 40


def lives(receiver, count):
    """Waits until so many sessions have ended. An event may come again, but the first time each comes in the order of its session,
    and none is missing. Returns how many came again."""
    receiver.told("session.closed", count=count)
    until(lambda: len({e["subject"] for e in receiver.told("session.closed")}) == count, f"{count} sessions have ended")
    seen, sessions, again = set(), {}, 0
    for event in receiver.events():
        if event["id"] in seen:
            again += 1
        elif "session_id" in event["data"]:
            sessions.setdefault(event["subject"], []).append(event)
        seen.add(event["id"])
    for of_session in sessions.values():
        assert [int(e["sequence"]) for e in of_session] == list(range(1, len(of_session) + 1)), of_session
        assert of_session[0]["type"] == "carillon.session.opened" and of_session[-1]["type"] == "carillon.session.closed", of_session
    return again


def come_and_go(node, count, user="user", channels=1):
    for i in range(count):
        with node.connect(f"{user}-{i}") as client:
            for number in range(channels):
                client.subscribe(f"room:{i % 7}:" + f"{number:02}" * 110)


@pytest.fixture
def proxy(redis):
    proxy = Proxy(redis.port)
    yield proxy
    proxy.close()


def test_what_a_node_has_written_itself_is_not_read_back(launch, receiver, redis):
    node = launch(config(receiver, **{"redis.url": redis.url}))
    until(node.ready, "ready")
    come_and_go(node, 1)
    lives(receiver, 1)  # so the node is the reader, and knows how far it is
    receiver.status = 503
    come_and_go(node, 300)
    until(lambda: redis("XLEN", "carillon:events") >= 900, "all are in the stream")
    redis("XTRIM", "carillon:events", "MAXLEN", 0)
    receiver.status = 204
    assert lives(receiver, 301) == 0
    assert node.metric("carillon_lifecycle_dropped_total") == 0
    counters = "carillon:{carillon:events}:lifecycle:counters"
    until(lambda: redis("HGET", counters, "done_number") == redis("HGET", counters, "number"), "Redis knows how far the node is")


def test_events_of_two_nodes_that_write_at_once(launch, receiver, redis):
    nodes = launch.pair(redis, config(receiver))
    threads = [threading.Thread(target=come_and_go, args=(node, 150, node.name)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lives(receiver, 300) == 0
    assert sum(node.metric("carillon_lifecycle_dropped_total") for node in nodes) == 0


def test_a_redis_that_answers_late(launch, receiver, proxy):
    node = launch(config(receiver, **{"redis.url": proxy.url}))
    until(node.ready, "ready")
    come_and_go(node, 50)
    proxy.delay_s = 0.1
    proxy.commands_late_s = 0.1
    come_and_go(node, 100, "late")
    proxy.delay_s = proxy.commands_late_s = 0
    come_and_go(node, 50, "after")
    assert lives(receiver, 200) == 0


@pytest.mark.long
def test_a_redis_that_goes_between_a_write_and_its_answer(launch, receiver, proxy):
    """The answers are on their way when the connection is lost. So the node does not know whether Redis has its last batch."""
    node = launch(config(receiver, **{"redis.url": proxy.url, "redis.command_timeout": "1s", "redis.canary_interval": "1s"}))
    until(node.ready, "ready")
    for number in range(4):
        come_and_go(node, 30, f"before-{number}")
        proxy.delay_s = 0.2
        client = node.connect(f"there-{number}")
        time.sleep(0.3)  # its first event has come to Redis, and the answer is on its way
        for wire in list(proxy.wires):
            wire.cut()
        proxy.delay_s = 0
        client.close()
        until(node.ready, "service is back")
    lives(receiver, 124)
    assert node.metric("carillon_lifecycle_retries_total") >= 1


@pytest.mark.long
def test_redis_is_away_for_longer_than_the_node_is_the_reader(launch, receiver, proxy):
    """What was sent before is not sent again."""
    node = launch(config(receiver, **{"redis.url": proxy.url, "redis.command_timeout": "1s", "redis.canary_interval": "1s"}))
    until(node.ready, "ready")
    come_and_go(node, 50)
    lives(receiver, 50)
    proxy.open.clear()
    until(lambda: not node.ready(), "Redis is away")
    for i in range(20):
        node.connect(f"away-{i}").close()
    time.sleep(16)
    proxy.open.set()
    until(node.ready, "service is back")
    assert lives(receiver, 70) == 0


@pytest.mark.long
def test_more_than_the_node_keeps_waits_in_redis(launch, receiver, redis):
    node = launch(config(receiver, **{"redis.url": redis.url}))
    until(node.ready, "ready")
    come_and_go(node, 1)
    lives(receiver, 1)
    receiver.status = 503
    come_and_go(node, 900, "u" * 200, 12)
    until(lambda: receiver.refused, "a batch is refused")
    kept = sum(len(fields[5]) for _, fields in redis("XRANGE", "carillon:events", "-", "+"))
    assert kept > 5 << 20, f"{kept} bytes"
    receiver.status = 204
    assert lives(receiver, 901) == 0
    come_and_go(node, 20, "after")
    assert lives(receiver, 921) == 0
    assert node.metric("carillon_lifecycle_dropped_total") == 0


@pytest.mark.long
def test_a_reader_that_is_killed_with_events_under_way(launch, receiver, redis):
    """What it had kept in memory is in Redis too, where the other node finds it."""
    nodes = launch.pair(redis, {**config(receiver), "redis.command_timeout": "1s"})
    come_and_go(nodes[0], 1)
    lives(receiver, 1)
    reader = redis("HGET", "carillon:{carillon:events}:lifecycle:counters", "reader")
    first = 0 if f"node {reader}" in nodes[0].log() else 1
    come_and_go(nodes[first], 100, "early")
    receiver.delay = 0.2
    come_and_go(nodes[first], 100, "late")
    until(lambda: any(entry[1][1] == "session.closed" and "late-99" in entry[1][5] for entry in redis("XREVRANGE", "carillon:events", "+", "-",
                                                                                                    "COUNT", 10)), "all are in Redis")
    nodes[first].kill()
    receiver.delay = 0
    come_and_go(nodes[1 - first], 50, "after")
    lives(receiver, 251)


@pytest.mark.long
def test_a_reader_that_ends_in_order_leaves_what_it_kept(launch, receiver, redis):
    """Its backend takes nothing, so it ends with events in memory. They are in Redis, and another node sends them."""
    node = launch(config(receiver, **{"redis.url": redis.url, "redis.canary_interval": "1s"}))
    until(node.ready, "ready")
    come_and_go(node, 1)
    lives(receiver, 1)
    receiver.status = 503
    stays = node.connect("stays")
    come_and_go(node, 100)
    until(lambda: receiver.refused, "a batch is refused")
    assert node.terminate() == 0
    receiver.status = 204
    other = launch(config(receiver, **{"redis.url": redis.url, "redis.canary_interval": "1s"}))
    until(other.ready, "ready")
    assert lives(receiver, 102) == 0
    stays.close()


def test_what_the_stream_has_lost_is_said(launch, receiver, redis):
    node = launch(config(receiver, **{"redis.url": redis.url}))
    until(node.ready, "ready")
    with node.connect("first") as client:
        receiver.told("session.opened", user="first")
        receiver.status = 503
        for i in range(10):
            node.connect(f"user-{i}").close()
        until(lambda: receiver.refused, "a batch is refused")
        until(lambda: redis("XLEN", "carillon:events") == 21, "all are in the stream")
        time.sleep(0.2)
        redis("XTRIM", "carillon:events", "MAXLEN", "1")
        node.kill()
        receiver.status = 200
        other = launch(config(receiver, **{"redis.url": redis.url}))
        dropped = receiver.told("lifecycle.dropped")[0]
        assert dropped["data"]["count"] >= 10
        client.drop()
        assert other.metric("carillon_lifecycle_dropped_total") == dropped["data"]["count"]


def test_what_others_write_to_the_stream_is_passed_over(launch, receiver, redis):
    redis("XADD", "carillon:events", "*", "greeting", "hello")
    for foreign in ("no event", '{"specversion":"1.0","id":"1"}', '{"specversion":"2.0","id":"1","data":{}}'):
        redis("XADD", "carillon:events", "*", "type", "session.opened", "number", "1", "event", foreign)
    node = launch(config(receiver, **{"redis.url": redis.url}))
    until(node.ready, "ready")
    node.connect("ada").close()
    receiver.told("session.closed", user="ada")
    redis("XADD", "carillon:events", "*", "type", "session.opened", "number", "x", "event", "no event")
    node.connect("bob").close()
    receiver.told("session.closed", user="bob")
    assert all(event["source"].startswith("/nodes/") for event in receiver.events())


def test_events_behind_many_entries_of_others_do_not_wait(launch, receiver, redis):
    """With a pause for each page of a hundred they would take three minutes."""
    redis("EVAL", "for i = 1, 100000 do redis.call('XADD', KEYS[1], '*', 'greeting', 'hello') end", 1, "carillon:events")
    node = launch(config(receiver, **{"redis.url": redis.url}))
    until(node.ready, "ready")
    node.connect("ada").close()
    receiver.told("session.closed", user="ada")


def test_a_node_ends_while_the_receiver_does_not_answer(launch, receiver, broker):
    receiver.delay = 2 * DEADLINE_S
    node = launch(config(receiver, close_timeout="5m", **broker))
    until(node.ready, "ready")
    with node.connect():
        until(lambda: receiver.begun, "a batch is under way")
    assert node.terminate() == 0
    assert "they are cut" not in node.log()
