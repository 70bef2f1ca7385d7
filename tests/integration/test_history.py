"""Subscribers who come back get exactly the events that they missed. Histories are read by pages. There is one node with memory, or two
with Redis. Publishing goes on meanwhile."""
import threading

import pytest
from support.carillon import ALL
from support.wait import DEADLINE_S, until

HISTORY = {"channels": [{"match": "short:*", "allow": ALL, "history": {"size": 5, "ttl": "10m"}},
                        {"match": "log:*", "allow": ALL, "history": {"size": 100000, "ttl": "10m"}},
                        {"match": "secret:*", "allow": ["subscribe"], "history": {"size": 5, "ttl": "10m"}},
                        {"match": "*", "allow": ALL}],
           "outbox.max_messages": 100000, "outbox.max_bytes": "64m"}


@pytest.fixture(params=["memory", "redis"])
def nodes(request, launch):
    """Where to publish, and where to subscribe."""
    if request.param == "memory":
        node = launch(HISTORY)
        return [node, node]
    redis = request.getfixturevalue("redis")
    both = [launch({**HISTORY, "redis.url": redis.url}) for _ in range(2)]
    for node in both:
        until(node.ready, "ready")
    return both


def since(answer, offset=None):
    """The position of a publication, or of another event of its epoch; without the id."""
    return {"epoch": answer["epoch"], "offset": answer["offset"] if offset is None else offset}


def numbers(client, count, channel=None):
    """The data of the next events, whose offsets must follow each other."""
    events = [client.expect("test", **({"channel": channel} if channel else {})) for _ in range(count)]
    for before, after in zip(events, events[1:]):
        assert after["offset"] == before["offset"] + 1
    return [event["data"] for event in events]


def test_what_was_missed_comes_before_what_is_live(nodes):
    a, b = nodes
    first = a.publish("log:x", 0)
    with b.connect() as client:
        for n in range(1, 10):
            a.publish("log:x", n)
        answer = client.ask("subscribe", "subscribed", channel="log:x", since=since(first))
        assert answer["data"] == {"epoch": first["epoch"], "offset": 1, "recovered": True}
        a.publish("log:x", 10)
        assert numbers(client, 10) == list(range(1, 11))
        client.nothing_before_pong()
        with b.connect("another") as other:
            answer = other.ask("subscribe", "subscribed", channel="log:x", since=since(first, 11))
            assert answer["data"] == {"epoch": first["epoch"], "offset": 11, "recovered": True}
            other.nothing_before_pong()


def test_what_is_no_longer_kept(nodes):
    a, b = nodes
    first = a.publish("short:x", 0)
    for n in range(1, 8):
        last = a.publish("short:x", n)
    with b.connect() as client:
        answer = client.ask("subscribe", "subscribed", channel="short:x", since=since(first))
        assert answer["data"] == {**last, "recovered": False}
        last = a.publish("short:x", 8)
        assert numbers(client, 1) == [8]
    with b.connect() as client:
        answer = client.ask("subscribe", "subscribed", channel="short:x", since={"epoch": "another", "offset": 8})
        assert answer["data"] == {**last, "recovered": False}
        client.nothing_before_pong()
    with b.connect() as client: # more than anybody has seen
        answer = client.ask("subscribe", "subscribed", channel="short:x", since=since(first, 1000))
        assert answer["data"] == {**last, "recovered": False}


def test_the_event_is_named(nodes):
    """With its id a client says which event it has at its offset: only that one will do."""
    a, b = nodes
    events = [a.publish("short:x", n) for n in range(8)] # 4 to 8 are kept
    with b.connect() as client:
        for position, missed in ((events[3], [4, 5, 6, 7]), (events[6], [7]), (events[7], [])):
            answer = client.ask("subscribe", "subscribed", channel="short:x", since=position)
            assert answer["data"] == {**position, "recovered": True}
            assert numbers(client, len(missed)) == missed
            client.ask("unsubscribe", "unsubscribed", channel="short:x")
            answer = client.ask("subscribe", "subscribed", channel="short:x", since={**position, "id": events[0]["id"]})
            assert answer["data"] == {**events[7], "recovered": False}
            client.ask("unsubscribe", "unsubscribed", channel="short:x")
        # The events after it are kept, but not the event itself.
        answer = client.ask("subscribe", "subscribed", channel="short:x", since=events[2])
        assert answer["data"] == {**events[7], "recovered": False}
        client.ask("unsubscribe", "unsubscribed", channel="short:x")
        answer = client.ask("subscribe", "subscribed", channel="short:x", since=since(events[2]))
        assert answer["data"] == {**since(events[2]), "recovered": True}
        assert numbers(client, 5) == [3, 4, 5, 6, 7]
        error = client.error("subscribe", "invalid_request", channel="log:x", since={**events[7], "id": "x" * 37})
        assert error["message"].startswith("data.since.id: ")
        client.nothing_before_pong()


def test_the_named_event_has_aged(launch, request):
    """A client that has seen the last event before a silence longer than the ttl has missed nothing."""
    for redis in (None, request.getfixturevalue("redis")):
        node = launch({"channels": [{"match": "*", "allow": ALL, "history": {"size": 5, "ttl": "3s"}}],
                       **({"redis.url": redis.url} if redis else {})})
        until(node.ready, "ready")
        seen = [node.publish("c", n) for n in range(2)][-1]
        until(lambda: not node.api("GET", "/api/v1/channels/c/history").json["events"], "they have aged")
        for missed in ([], [2], [2, 3]):
            if missed:
                node.publish("c", missed[-1])
            with node.connect() as client:
                answer = client.ask("subscribe", "subscribed", channel="c", since=seen)
                assert answer["data"] == {**seen, "recovered": True}
                assert numbers(client, len(missed)) == missed
            with node.connect() as client:
                assert not client.ask("subscribe", "subscribed", channel="c", since={**seen, "id": "x"})["data"]["recovered"]


def test_the_last_events(nodes):
    a, b = nodes
    for n in range(8):
        a.publish("short:x", n)
    for last, expected in ((0, []), (3, [5, 6, 7]), (100, [3, 4, 5, 6, 7])):
        with b.connect() as client:
            answer = client.ask("subscribe", "subscribed", channel="short:x", last=last)
            assert answer["data"]["offset"] == 8 - len(expected)
            assert answer["data"]["recovered"] is False
            assert numbers(client, len(expected)) == expected
            client.nothing_before_pong()


def test_channel_without_history(nodes):
    a, b = nodes
    a.publish("plain", 1)
    with b.connect() as client:
        answer = client.ask("subscribe", "subscribed", channel="plain", since={"epoch": "e", "offset": 1})
        assert answer["data"] == {"recovered": False}
    with b.connect() as client:
        assert client.ask("subscribe", "subscribed", channel="plain", last=5)["data"] == {"recovered": False}
        client.nothing_before_pong()


def test_a_channel_of_a_claim_keeps_what_others_publish(launch):
    node = launch({"channels": [{"match": "user:{sub}", "allow": ["history"], "history": {"size": 10}},
                                {"match": "user:*", "allow": ["publish"]}]})
    with node.connect("alice") as alice, node.connect("bob") as bob:
        sent = bob.ask("publish", "published", channel="user:alice", type="test", data=1)["data"]
        assert sent["offset"] == 1
        assert [event["id"] for event in alice.ask("history", "history", channel="user:alice")["data"]["events"]] == [sent["id"]]


def test_pages(nodes):
    a, b = nodes
    first = a.publish("log:p", 0)
    for n in range(1, 20):
        a.publish("log:p", n)

    def page(client, **question):
        data = client.ask("history", "history", channel="log:p", **question)["data"]
        assert (data["epoch"], data["offset"]) == (first["epoch"], 20)
        return [event["data"] for event in data["events"]], data["more"]

    def api_page(query):
        answer = b.api("GET", f"/api/v1/channels/log:p/history{query}")
        assert answer.status == 200
        assert (answer.json["epoch"], answer.json["offset"]) == (first["epoch"], 20)
        return [event["data"] for event in answer.json["events"]], answer.json["more"]

    epoch = first["epoch"]
    with b.connect() as client:
        assert page(client) == (list(range(20)), False)
        assert page(client, limit=6) == ([14, 15, 16, 17, 18, 19], True)
        assert page(client, limit=6, before=since(first, 3)) == ([0, 1], False)
        assert page(client, limit=6, since=since(first, 3)) == ([3, 4, 5, 6, 7, 8], True)
        assert page(client, limit=6, since=since(first, 20)) == ([], False)
        event = client.ask("history", "history", channel="log:p", limit=1)["data"]["events"][0]
        assert (event["type"], event["channel"], event["offset"]) == ("test", "log:p", 20)
        client.error("history", "conflict", channel="log:p", since={"epoch": "other", "offset": 1})
        client.error("history", "unauthorized", channel="secret:x")
        client.error("history", "invalid_request", channel="log:p", limit=0)
        assert client.ask("history", "history", channel="plain")["data"] == {"events": [], "more": False}
    assert api_page("?limit=6") == ([14, 15, 16, 17, 18, 19], True)
    assert api_page(f"?limit=6&before_offset=3&before_epoch={epoch}") == ([0, 1], False)
    assert api_page(f"?limit=6&since_offset=3&since_epoch={epoch}") == ([3, 4, 5, 6, 7, 8], True)
    assert b.api("GET", "/api/v1/channels/log:p/history?since_offset=3&since_epoch=other").status == 409


def test_comings_and_goings_under_load(nodes):
    """Eight subscribers leave and come back all the time while two publishers publish: nobody misses an event, gets one
    twice or in another order."""
    a, b = nodes
    count, failures = 3000, []
    position = a.publish("log:load", -1)
    published = threading.Event()

    def publish(which):
        for n in range(count // 2):
            answer = nodes[which].api("POST", "/api/v1/publish", {"channel": "log:load", "type": "test", "data": n})
            assert answer.status == 200
        if which == 0:
            published.set()

    def follow(which):
        node, offset, visits = nodes[which % 2], position["offset"], 0
        try:
            while offset < position["offset"] + count:
                with node.connect(f"user-{which}") as client:
                    answer = client.ask("subscribe", "subscribed", channel="log:load", since=since(position, offset))
                    assert answer["data"]["recovered"] is True, answer
                    assert answer["data"]["offset"] == offset, answer
                    visits += 1
                    for _ in range(1 + (which * 37 + visits * 11) % 150):
                        if offset == position["offset"] + count:
                            break
                        event = client.expect("test")
                        assert event["offset"] == offset + 1, (which, event)
                        offset += 1
        except BaseException as failure:
            failures.append((which, failure))

    threads = [threading.Thread(target=publish, args=(n,)) for n in range(2)]
    threads += [threading.Thread(target=follow, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert not failures, failures


def test_long_absence(nodes):
    """More than an outbox takes comes in pages."""
    a, b = nodes
    first = a.publish("log:long", 0)
    for begin in range(1, 3001, 1000):
        commands = [{"publish": {"channel": "log:long", "type": "test", "data": [n, "x" * 400]}}
                    for n in range(begin, begin + 1000)]
        assert a.api("POST", "/api/v1/batch", {"commands": commands}).status == 200
    with b.connect() as client:
        answer = client.ask("subscribe", "subscribed", channel="log:long", since=since(first))
        assert answer["data"]["recovered"] is True
        assert [data[0] for data in numbers(client, 3000)] == list(range(1, 3001))
        a.publish("log:long", "live")
        assert numbers(client, 1) == ["live"]
        client.nothing_before_pong()


def test_one_read_serves_many(launch, redis):
    node = launch({**HISTORY, "redis.url": redis.url})
    until(node.ready, "ready")
    first = node.publish("log:storm", 0)
    for n in range(100):
        node.publish("log:storm", n)
    clients = [node.connect(f"user-{n}") for n in range(100)]
    for client in clients:
        client.send("subscribe", id="s", channel="log:storm", since=since(first))
    for client in clients:
        assert client.find("subscribed", id="s")["data"]["recovered"] is True
        assert numbers(client, 100) == list(range(100))
        client.close()
    # Arriving over a while they share a read too: what was read stays at hand for some seconds.
    assert node.metric("carillon_history_reads_total") <= 3
    assert node.metric("carillon_recoveries_total", result="complete") == 100


def test_memory_forgets_over_its_bound(launch):
    node = launch({**HISTORY, "history.max_bytes": "64k"})
    first = node.publish("log:old", "x" * 1000)
    for n in range(200):
        node.publish("log:new", "x" * 1000)
    kept = node.api("GET", "/api/v1/channels/log:new/history?limit=1000").json["events"]
    assert 40 < len(kept) < 65
    assert kept[-1]["offset"] == 200
    with node.connect() as client:
        answer = client.ask("subscribe", "subscribed", channel="log:old", since=since(first, 0))
        assert answer["data"]["recovered"] is False


def refused(client, command, **data):
    """Whether the session's rate does not allow it now."""
    client.send(command, id="asked", **data)
    while True:
        frame = client.receive()
        if frame.get("id") == "asked":
            return frame["type"] == "error" and frame["error"]["code"] == "rate_limited"


@pytest.mark.parametrize("used_up", ["page", "presence", "since", "last"])
def test_what_is_read_counts(launch, used_up):
    """50 events or members count as one message. A page has to be paid for before it is read. Six messages may come at once, and six a
    minute."""
    node = launch({**HISTORY, "channels": [{"match": "*", "allow": ALL, "presence": True, "history": {"size": 1000, "ttl": "1h"}}],
                   "limits.bad_messages": 0})
    first = node.publish("log:x", 0)
    node.api("POST", "/api/v1/batch", {"commands": [{"publish": {"channel": "log:x", "type": "test", "data": n}} for n in range(500)]})
    with node.connect(claims={"rate_limit": 6}) as client:
        if used_up == "page":  # 1 + 250 / 50; of what is given back the next one lives
            assert not refused(client, "history", channel="log:empty", limit=250)
            assert not refused(client, "history", channel="log:x", limit=150)
            assert refused(client, "history", channel="log:x", limit=300)
        elif used_up == "presence":
            assert not refused(client, "presence", channel="log:empty", limit=250)
            assert not refused(client, "presence", channel="log:empty", limit=200)
            assert refused(client, "presence", channel="log:x", limit=250)
        else:
            wanted = {"since": since(first)} if used_up == "since" else {"last": 500}
            client.ask("subscribe", "subscribed", channel="log:x", **wanted)
            assert len(numbers(client, 500)) == 500
        if used_up in ("since", "last"):
            assert refused(client, "ping")


def test_pages_in_one_burst_are_paid_for_before_they_are_read(launch):
    """At the default rate and burst: four pages of a thousand, not a hundred."""
    node = launch({**HISTORY, "limits.bad_messages": 0, "limits.message_rate": 1, "limits.message_burst": 100})
    for _ in range(2):
        node.api("POST", "/api/v1/batch", {"commands": [{"publish": {"channel": "log:x", "type": "test", "data": n}} for n in range(1000)]})
    with node.connect() as client:
        for n in range(100):
            client.send("history", id=n, channel="log:x", limit=1000)
        pages = [client.receive() for _ in range(100)]
        assert 4 <= sum(page["type"] == "history" for page in pages) <= 5
