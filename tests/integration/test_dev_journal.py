"""The journal of `carillon dev`: it has what happens, in order, and can be read, followed, waited for and verified."""
import http.client
import json
import threading
import time

import pytest
from support.dev import DevServer
from support.wait import DEADLINE_S, SLOWDOWN, until


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    server = DevServer(tmp_path_factory.mktemp("dev"))
    yield server
    server.close()


@pytest.fixture
def dev(shared):
    shared.order("/journal", method="DELETE")
    shared.since = max([0, *(line["n"] for line in shared.journal())])
    return shared


def kinds(lines):
    return [line["kind"] for line in lines]


def chat(dev, channel="room:1"):
    """One client connects, subscribes, gets an event and leaves. Returns the lines of its session."""
    client = dev.connect("ada")
    session = client.init["session_id"]
    client.subscribe(channel)
    dev.publish(channel)
    client.find("notification")
    client.close()
    dev.order("/wait", {"for": {"kind": "closed", "session": session}})
    lines = dev.journal(f"?session={session}")
    return session, [line for line in lines if line.get("frame", {}).get("type") not in ("join", "leave")]  # they come later


def test_it_has_what_happens_in_order(dev):
    session, lines = chat(dev)
    assert kinds(lines) == ["connected", "sent", "received", "subscribed", "answered", "delivered", "unsubscribed", "closing", "closed"] \
        or kinds(lines) == ["connected", "sent", "received", "subscribed", "answered", "delivered", "closing", "unsubscribed", "closed"] \
        or kinds(lines) == ["connected", "sent", "received", "subscribed", "answered", "delivered", "unsubscribed", "closed"]
    assert all(line["user"] == "ada" and line["session"] == session for line in lines)
    assert lines[1]["frame"]["type"] == "session_init"
    assert lines[2]["frame"] == {"type": "subscribe", "id": "subscribe room:1", "data": {"channel": "room:1"}}
    assert lines[5]["frame"]["data"] == {"message": "hello"}
    numbers = [line["n"] for line in dev.journal()]
    assert numbers == sorted(set(numbers))


def test_it_is_read_by_session_user_channel_kind_and_from_a_line_on(dev):
    _, lines = chat(dev, "room:a")
    chat(dev, "room:b")
    assert {line["channel"] for line in dev.journal("?kinds=published")} == {"room:a", "room:b"}
    assert kinds(dev.journal("?channel=room:a&kinds=published,delivered")) == ["published", "delivered"]
    assert dev.journal("?user=nobody") == []
    assert dev.journal("?channel=room:*&kinds=subscribed")[1]["channel"] == "room:b"
    assert dev.journal(f"?after={lines[-1]['n']}")[0]["kind"] == "connected"
    dev.order("/journal", method="DELETE")
    assert dev.journal() == []


@pytest.mark.parametrize("query, said", [
    ("?kind=closed", "kind"), ("?kinds=sold", '"sold" is none; there are connected, refused'), ("?after=x", "after: expected"),
    ("?era=x", "era: expected"), ("?wait=soon", "wait: expected"), ("?wait=1h", "wait: expected"),
])
def test_wrong_queries(dev, query, said):
    answer = dev.call("GET", f"/journal{query}")
    assert answer.status == 400 and said in answer.json["error"]["message"]


def test_a_reader_can_wait_for_the_next_line(dev):
    got = []
    reader = threading.Thread(target=lambda: got.extend(dev.journal("?channel=room:late&wait=30s")))
    reader.start()
    dev.publish("room:late")
    reader.join(DEADLINE_S)
    assert kinds(got) == ["published"]
    assert dev.journal("?channel=room:never&wait=10ms") == []


def test_it_can_be_followed_as_server_sent_events(dev):
    connection = http.client.HTTPConnection(*dev.internal, timeout=DEADLINE_S)
    connection.request("GET", "/dev/v1/journal?kinds=published", headers={"Accept": "text/event-stream"})
    answer = connection.getresponse()
    assert answer.status == 200 and answer.getheader("Content-Type") == "text/event-stream"
    assert answer.getheader("Content-Length") is None

    def event():
        fields = {}
        while line := answer.readline().decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            fields[name] = value
        return fields

    assert event() == {":": ""}
    dev.publish("room:1")
    first = event()
    assert json.loads(first["data"])["kind"] == "published"
    dev.publish("room:2")
    second = event()
    assert json.loads(second["data"])["channel"] == "room:2" and int(second["id"]) > int(first["id"])
    connection.close()
    again = http.client.HTTPConnection(*dev.internal, timeout=DEADLINE_S)
    again.request("GET", "/dev/v1/journal?kinds=published", headers={"Accept": "text/event-stream", "Last-Event-ID": first["id"]})
    answer = again.getresponse()
    event()
    assert event() == second
    again.close()


def test_a_follower_that_does_not_read_holds_nothing_and_misses_nothing_that_is_kept(dev):
    connection = http.client.HTTPConnection(*dev.internal, timeout=DEADLINE_S)
    connection.request("GET", "/dev/v1/journal?kinds=published", headers={"Accept": "text/event-stream"})
    answer = connection.getresponse()
    before = dev.resident_bytes()
    for _ in range(300):
        dev.publish("room:1", "x" * 60000)  # 18 MB
    if SLOWDOWN == 1:  # sanitizers keep freed memory for a while
        assert dev.resident_bytes() - before < 60 * 1024 * 1024
    seen = 0
    while seen < 300:
        seen += answer.readline().startswith(b"data: ")
    connection.close()


def test_waiting_for_something(dev):
    client = dev.connect("ada")
    client.subscribe("room:1")
    lines = dev.order("/wait", {"for": {"kind": "subscribed", "channel": "room:*", "user": "ada"}})["lines"]
    assert kinds(lines) == ["subscribed"]
    got = []
    waiter = threading.Thread(target=lambda: got.extend(
        dev.order("/wait", {"for": {"kind": "received", "frame": {"data": {"channel": "room:9"}}}, "count": 2})["lines"]))
    waiter.start()
    client.subscribe("room:9")
    client.ask("unsubscribe", "unsubscribed", channel="room:9")
    waiter.join(DEADLINE_S)
    assert [line["frame"]["type"] for line in got] == ["subscribe", "unsubscribe"]
    client.drop()


def test_a_wait_that_ends_says_what_came_near(dev):
    client = dev.connect("ada")
    client.subscribe("room:1")
    answer = dev.call("POST", "/wait", {"for": {"kind": "subscribed", "channel": "room:2"}, "timeout": "20ms"})
    assert answer.status == 408
    assert answer.json["error"]["message"] == "0 of 1 such lines came within 20 ms"
    assert [(line["kind"], line["channel"]) for line in answer.json["nearest"]] == [("subscribed", "room:1")]
    client.drop()


def test_waiting_until_nothing_happens_any_more(dev):
    began = time.monotonic()
    assert dev.order("/wait", {"for": {"kind": "idle"}}) == {"lines": []}
    assert time.monotonic() - began >= 0.04
    stop = threading.Event()

    def publish():
        while not stop.is_set():
            dev.publish("room:1")

    publisher = threading.Thread(target=publish)
    publisher.start()
    until(lambda: dev.journal("?kinds=published"), "events come")
    try:
        answer = dev.call("POST", "/wait", {"for": {"kind": "idle"}, "timeout": "300ms"})
        assert answer.status == 200 or answer.json["error"]["message"] == "there was no pause of 50 ms within 300 ms"
    finally:
        stop.set()
        publisher.join()
    dev.order("/wait", {"for": {"kind": "idle"}})


@pytest.mark.parametrize("body, said", [
    ({}, "for"), ({"for": {"kind": "sold"}}, '"sold" is none'), ({"for": {"knd": "closed"}}, 'for: "knd" is not known here; expected kind'),
    ({"for": {}, "count": 0}, "count: expected"), ({"for": {}, "timeout": "1d"}, "timeout: at most"), ({"for": {}, "after": -1}, "after"),
    ({"for": {"kind": []}}, "kind: an empty list"), ({"for": {"user": ""}}, "an empty text matches nothing"),
    ({"for": {"kind": "idle", "user": "x"}}, '"user" is not known here; expected kind'), ({"for": {"kind": "idle", "foo": 1}}, "foo"),
    ({"for": {"kind": "idle"}, "count": 2}, "count: is not for the kind idle"), ({"for": {"kind": "idle"}, "after": 2}, "after: is not"),
    ({"for": {"code": "x"}}, "code"), ({"for": {"frame": {}, "channel": 5}}, "channel"),
])
def test_wrong_waits(dev, body, said):
    assert said in dev.refused("/wait", body)


def test_verify(dev):
    session, _ = chat(dev)
    expected = [{"kind": "connected", "user": "ada"}, {"kind": "subscribed", "channel": "room:1"},
                {"kind": "delivered", "frame": {"data": {"message": "hello"}}}, {"kind": "closed", "session": session}]
    assert dev.order("/verify", {"expect": expected, "in_order": True, "nothing_else": ["closed", "connected"]}) == {"verified": 4}
    assert dev.order("/verify", {"expect": list(reversed(expected))}) == {"verified": 4}
    assert dev.order("/verify") == {"verified": 0}


def test_what_verify_says_of_a_difference(dev):
    chat(dev)
    said = dev.refused("/verify", {"expect": [{"kind": "delivered", "channel": "room:1"}, {"kind": "connected", "user": "ada"},
                                              {"kind": "subscribed", "channel": "room:2"}],
                                   "in_order": True, "nothing_else": ["closed"]}, 422)
    assert 'expect[1] {"kind": "connected", "user": "ada"}\n    came too early, as line' in said
    assert 'expect[2] {"kind": "subscribed", "channel": "room:2"}\n    did not come; near to it:\n      {"n":' in said
    assert 'nothing else of "closed" was expected, but there is' in said


def test_the_same_line_meets_one_expectation_only(dev):
    chat(dev)
    said = dev.refused("/verify", {"expect": [{"kind": "connected"}, {"kind": "connected"}]}, 422)
    assert said.startswith("expect[1]")


def test_sessions_and_their_last_frames(dev):
    client = dev.connect("ada")
    session = client.init["session_id"]
    client.subscribe("room:1")
    dev.publish("room:1")
    client.find("notification")
    listed = {one["session_id"]: one for one in dev.order("/sessions", method="GET")["sessions"]}[session]
    assert listed["user"] == "ada" and listed["endpoint"] == "/ws" and listed["outbox_bytes"] == 0
    [channel] = listed["channels"]
    assert channel["channel"] == "room:1" and channel["subscribed"] and not channel["recovering"] and channel["offset"] >= 1
    shown = dev.order(f"/sessions/{session}", method="GET")
    assert shown["last_in"]["frame"]["type"] == "subscribe" and shown["last_out"]["dir"] == "out"
    client.close()
    until(lambda: dev.call("GET", f"/sessions/{session}").status == 404, "the session has gone")


def test_sessions_come_in_pages(dev):
    clients = [dev.connect(f"user-{n}") for n in range(5)]
    every = dev.order("/sessions", method="GET")
    ids = [session["session_id"] for session in every["sessions"]]
    assert ids == sorted(client.init["session_id"] for client in clients)
    assert every["count"] == 5 and every["next"] is None
    read, after = [], ""
    while after is not None:
        page = dev.order(f"/sessions?limit=2&after={after}", method="GET")
        assert page["count"] == 5 and 1 <= len(page["sessions"]) <= 2
        read += [session["session_id"] for session in page["sessions"]]
        after = page["next"]
    assert read == ids
    assert dev.order(f"/sessions?after={ids[-1]}", method="GET") == {"sessions": [], "count": 5, "next": None}
    for query in ("limit=0", "limit=1001", "limit=x"):
        refused = dev.call("GET", f"/sessions?{query}")
        assert refused.status == 400 and "limit: expected a whole number from 1 to 1000" in refused.json["error"]["message"]
    assert dev.call("GET", "/sessions?user=ada").status == 400
    for client in clients:
        client.drop()



def test_calls_that_wait_are_answered_when_the_server_ends(tmp_path):
    server = DevServer(tmp_path)
    answers = []
    calls = [threading.Thread(target=lambda path=path, body=body, method=method: answers.append(server.call(method, path, body)))
             for method, path, body in (("POST", "/wait", {"for": {"kind": "closed"}, "timeout": "10m"}), ("GET", "/journal?wait=60s", None),
                                        ("POST", "/wait", {"for": {"kind": "idle"}, "timeout": "10m"}))]
    stream = http.client.HTTPConnection(*server.internal, timeout=DEADLINE_S)
    stream.request("GET", "/dev/v1/journal", headers={"Accept": "text/event-stream"})
    stream.getresponse()
    for call in calls:
        call.start()
    until(lambda: len(server.call("GET", "/sessions").body) > 0, "it answers")
    assert server.terminate() == 0
    for call in calls:
        call.join(DEADLINE_S)
    assert len(answers) >= 2
    stream.close()
    server.close()


def test_hostile_texts_stay_texts(dev):
    sub = "<script>\u2028\"\\"
    client = dev.connect(sub)
    client.send_text('{"type":"subscribe","data":{"channel":"</script>"}}')
    line = dev.order("/wait", {"for": {"kind": "received", "user": sub}})["lines"][0]
    assert line["user"] == sub and line["frame"]["data"]["channel"] == "</script>"
    client.send_text("not json")
    assert dev.order("/wait", {"for": {"kind": "received"}, "count": 2})["lines"][1]["frame"] == "not json"
    client.drop()


PRETTY = '{\n\t"type": "subscribe",\r\n  "id": "a\\nb",\r  "data": {\n    "channel": "room:pretty"\n  }\n}'


def test_frames_with_line_breaks_are_one_line_each(dev):
    """A client that indents its JSON, and a backend that does, do not break the lines of the journal."""
    client = dev.connect("ada")
    client.send_text(PRETTY)
    client.find("subscribed")
    event = '{"channel": "room:pretty",\n "type": "notification",\n "data": {\n\t"message":\r\n "two\\nlines"\r}\n}'
    answer = http.client.HTTPConnection(*dev.internal, timeout=DEADLINE_S)
    answer.request("POST", "/api/v1/publish", event, {"X-API-Key": dev.api_key, "Content-Type": "application/json"})
    assert answer.getresponse().status == 200
    answer.close()
    client.find("notification")
    dev.order("/wait", {"for": {"kind": "delivered", "channel": "room:pretty"}})
    read = dev.call("GET", "/journal?kinds=received,published,delivered&user=ada").body.decode()
    frames = [json.loads(line)["frame"] for line in read.removesuffix("\n").split("\n")]
    assert "\r" not in read and frames[0] == json.loads(PRETTY)
    assert [frame["data"] for frame in frames[1:] if frame["type"] == "notification"] == [{"message": "two\nlines"}]
    stream = http.client.HTTPConnection(*dev.internal, timeout=DEADLINE_S)
    stream.request("GET", f"/dev/v1/journal?kinds=received,published&after={dev.since}", headers={"Accept": "text/event-stream"})
    answer, seen = stream.getresponse(), []
    while len(seen) < 2:
        if (line := answer.readline().decode()).startswith("data: "):
            seen.append(json.loads(line.removeprefix("data: ")))
    assert [line["kind"] for line in seen] == ["received", "published"]
    stream.close()
    client.drop()


def test_what_a_client_sends_is_found_by_its_channel(dev):
    client = dev.connect("ada")
    client.subscribe("room:found")
    for match in ({"channel": "room:found"}, {"channel": "room:f*", "frame": {"type": "subscribe"}}):
        assert kinds(dev.order("/wait", {"for": {"kind": "received", **match}})["lines"]) == ["received"]
    assert kinds(dev.journal("?kinds=received&channel=room:found")) == ["received"]
    assert dev.journal("?kinds=received&channel=room:other") == []
    client.drop()


def test_each_expectation_gets_a_line_of_its_own_in_any_order(dev):
    """The wide expectation gives way to the narrow ones, wherever it stands."""
    first, second = dev.connect("ada"), dev.connect("bob")
    narrow = [{"kind": "connected", "user": "ada"}, {"kind": "connected", "user": "bob"}]
    wide = {"kind": ["connected", "sent"], "user": "ada"}
    dev.order("/wait", {"for": {"kind": "sent"}, "count": 2})
    for expected in ([wide, *narrow], [*narrow, wide], [narrow[0], wide, narrow[1]]):
        assert dev.order("/verify", {"expect": expected}) == {"verified": 3}
    chain = [{"user": "ada"}, {"kind": "sent", "user": "ada"}, {"kind": ["sent", "connected"], "user": "bob"}, {"kind": "sent", "user": "bob"}]
    assert dev.order("/verify", {"expect": chain}) == {"verified": 4}
    said = dev.refused("/verify", {"expect": [wide, *narrow, wide]}, 422)
    assert said.startswith("expect[3]")
    first.drop()
    second.drop()


def test_many_differences_are_told_in_part(dev):
    for n in range(100):
        dev.publish(f"room:{n}")
    began = time.monotonic()
    answer = dev.call("POST", "/verify", {"expect": [{"kind": "published", "channel": f"room:{n}", "frame": {"data": {"x": 1}}} for n in range(1000)]})
    assert answer.status == 422 and len(answer.body) < 300_000 and time.monotonic() - began < 2 * SLOWDOWN
    said = answer.json["error"]["message"]
    assert said.count("expect[") == 20 and said.endswith("and more: 1000 differences in all")


def test_lines_that_have_left_the_journal_are_told(tmp_path):
    """Nobody knows any more whether one of them was what is looked for."""
    dev = DevServer(tmp_path, "--quiet")
    clients = [dev.connect(f"user-{n}") for n in range(100)]
    for client in clients:
        client.subscribe("room:1")
    last = clients.pop()
    session = last.init["session_id"]
    last.close()
    dev.order("/wait", {"for": {"kind": "closed", "session": session}})
    since = dev.journal()[-1]["n"]
    for _ in range(102):
        dev.publish("room:1", "x")
    until(lambda: dev.journal("?kinds=published")[0]["n"] > since + 1, "the ring is full")
    said = dev.refused("/verify", {"nothing_else": ["closed"]}, 422)
    assert "lines have left the journal, which keeps 10000 lines and 64 MiB" in said
    assert "lines have left the journal" in dev.refused("/verify", {"expect": [{"kind": "closed"}]}, 422)
    answer = dev.call("POST", "/wait", {"for": {"kind": "closed"}, "timeout": "10ms"})
    assert answer.status == 408 and "lines have left the journal" in answer.json["error"]["message"]
    kept = dev.journal("?kinds=published")[-1]["n"]
    assert dev.order("/verify", {"nothing_else": ["closed"], "after": kept}) == {"verified": 0}
    assert dev.order("/verify", {"expect": [{"kind": "published"}]}) == {"verified": 1}
    dev.order("/journal", method="DELETE")
    assert dev.order("/verify", {"nothing_else": ["closed"]}) == {"verified": 0}
    for client in clients:
        client.drop()
    dev.close()


def test_a_reader_goes_on_after_a_reset(tmp_path):
    """It counts anew then: `after` is a number of the journal before."""
    dev = DevServer(tmp_path)
    for _ in range(3):
        dev.publish("room:old")
    before = dev.call("GET", "/journal")
    era = before.headers["journal-era"]
    after = json.loads(before.body.decode().splitlines()[-1])["n"]
    waiting = []
    waiter = threading.Thread(target=lambda: waiting.append(dev.order("/wait", {"for": {"kind": "published", "channel": "room:new"}, "after": after})))
    waiter.start()
    dev.order("/reset")
    assert kinds(dev.journal(f"?after={after}&wait=5s")) == ["reset"]
    assert kinds(dev.order("/wait", {"for": {"kind": "reset"}, "after": after})["lines"]) == ["reset"]
    for _ in range(5):
        dev.publish("room:new")
    waiter.join(DEADLINE_S)
    assert kinds(waiting[0]["lines"]) == ["published"]
    assert kinds(dev.journal(f"?after={after}&era={era}&kinds=reset")) == ["reset"]
    now = dev.call("GET", f"/journal?after={after}").headers["journal-era"]
    assert now != era and dev.journal(f"?after={after}&era={now}&kinds=reset") == []
    dev.close()


@pytest.mark.parametrize("accept", ["text/event-stream, */*", "text/html;q=0.5,text/event-stream;q=0.9"])
def test_events_are_one_of_the_types_that_are_accepted(dev, accept):
    connection = http.client.HTTPConnection(*dev.internal, timeout=DEADLINE_S)
    connection.request("GET", "/dev/v1/journal", headers={"Accept": accept})
    assert connection.getresponse().getheader("Content-Type") == "text/event-stream"
    connection.close()
