"""Every option that is marked live is: a reload with another value reaches what is there already (open sessions, subscriptions,
timers) and each way in. The table itself is walked: a live row without a probe fails, and so does a probe without a row."""
import json
import re
import signal
import threading
import time

import pytest
from support import http, jwt, ws
from support.backend import Backend
from support.carillon import run
from support.wait import DEADLINE_S, until
from support.ws import Refused

ALL = ["subscribe", "publish", "presence", "history"]
PROBES = {}


def probe(key):
    """Of an option, or of a member of a record, as in channels[].match. Each gets a Change."""
    def keep(function):
        assert key not in PROBES
        PROBES[key] = function
        return function
    return keep


def live_rows():
    """Also the members of entries of a list that is live."""
    rows, entries_of = set(), ""
    for line in run("reference", "--options").stdout.splitlines():
        if line.startswith("## "):
            heading = re.fullmatch(r"## Entries of (\S+)", line)
            entries_of = heading.group(1) if heading else ""
        row = re.match(r"\| `([a-z_.]+)` \|(.*)", line)
        if row and entries_of in rows:
            rows.add(f"{entries_of}[].{row.group(1)}")
        elif row and not entries_of and "| live |" in row.group(2):
            rows.add(row.group(1))
    return rows


class Change:
    """A node that runs with one configuration and is given another."""

    def __init__(self, request, launch):
        self.request, self.launch = request, launch
        self.node, self.base = None, {}

    @property
    def redis(self):
        return self.request.getfixturevalue("redis")

    def start(self, config=None, with_redis=False):
        self.base = {"workers": 1, **(config or {})}
        if with_redis:
            self.base |= {"redis.url": self.redis.url, "redis.canary_interval": "1s"}
        self.node = self.launch(self.base)
        until(self.node.ready, "the node is ready")
        return self.node

    def to(self, config):
        self.node.reload({**self.base, **config})


def accepts(node, token=None, **options):
    try:
        with node.client(token, **options) as client:
            client.start()
            return True
    except Refused:
        return False


@pytest.mark.parametrize("key", sorted(live_rows()))
def test_a_live_option_is_live(request, launch, key):
    assert key in PROBES, f"{key} is marked live: show here that a reload changes it"
    PROBES[key](Change(request, launch))


def test_no_probe_is_left_over():
    assert set(PROBES) - live_rows() == set()


# --- rules ---


def rule(**members):
    return {"channels": [{"match": "room:*", "allow": ALL, **members}]}


def rights_follow(before, after, claims=None):
    def check(change):
        node = change.start(before)
        with node.connect(claims=claims) as client:
            assert client.may_subscribe("room:a")
            change.to(after)
            until(lambda: not client.may_subscribe("room:a"), "the right is gone")
            change.to(before)
            until(lambda: client.may_subscribe("room:a"), "the right is back")
    return check


probe("channels")(rights_follow(rule(), {"channels": []}))
probe("channels[].match")(rights_follow(rule(), rule(match="other:*")))
probe("channels[].allow")(rights_follow(rule(), rule(allow=["history"])))
probe("channels[].require")(rights_follow(rule(), rule(require="grant"), {"channels": []}))
probe("channels[].require_scope")(rights_follow(rule(), rule(require_scope="staff")))


@probe("channels[].history.size")
def history_size(change):
    node = change.start(rule(history={"size": 100}))
    with node.connect() as client:
        client.subscribe("room:a")
        for n in range(10):
            node.publish("room:a", n)
        change.to(rule(history={"size": 3}))

        def is_cut():
            node.publish("room:a", "next")
            return len(client.ask("history", "history", channel="room:a")["data"]["events"]) == 3

        until(is_cut, "three events are kept")


@probe("channels[].history.ttl")
def history_ttl(change):
    node = change.start(rule(history={"size": 100}))
    with node.connect() as client:
        client.subscribe("room:a")
        change.to(rule(history={"size": 100, "ttl": "1s"}))
        node.publish("room:a", 1)
        until(lambda: not client.ask("history", "history", channel="room:a")["data"]["events"], "the events go")


def members(node):
    answer = node.api("GET", "/api/v1/channels/room:a/presence")
    return [member["user"] for member in answer.json["members"]] if answer.status == 200 else None


@probe("channels[].presence")
def presence(change):
    """Presence is off, on, off and on again. Users are counted from the reload on, with and without Redis."""
    for with_redis in (False, True):
        node = change.start(rule(), with_redis)
        with node.connect("ann") as ann, node.connect("ann") as tab, node.connect("bob") as bob:
            for client in (ann, tab, bob):
                client.subscribe("room:a")
            for _ in range(2):
                change.to(rule(presence=True))
                until(lambda: members(node) == ["ann", "bob"], "all are there")
                change.to(rule())
                until(lambda: members(node) is None, "it is not kept")
                bob.error("presence", "not_found", channel="room:a")
            change.to(rule(presence=True))
            until(lambda: members(node) == ["ann", "bob"], "all are there")
            tab.close()
            bob.ask("unsubscribe", "unsubscribed", channel="room:a")
            until(lambda: members(node) == ["ann"], "one has left, one has another tab")
            ann.close()
            until(lambda: members(node) == [], "nobody is left")


@probe("channels[].presence_events")
def presence_events(change):
    node = change.start(rule(presence=True))
    with node.connect("ann") as ann:
        ann.subscribe("room:a")
        change.to(rule(presence=True, presence_events=True))

        def is_told():
            with node.connect("bob") as bob:
                bob.subscribe("room:a")
                until(lambda: members(node) == ["ann", "bob"], "he is there")
                bob.close()
            until(lambda: members(node) == ["ann"], "he has left")
            ann.ask("ping", "pong")
            told = [m["type"] for m in ann.skipped if m["type"] in ("join", "leave")]
            ann.skipped.clear()
            return told

        until(lambda: is_told() == ["join", "leave"], "comings and goings are told")
        change.to(rule(presence=True))
        until(lambda: is_told() == [], "nothing is told")
        change.to(rule())
        until(lambda: members(node) is None, "it is not kept")
        with node.connect("eve") as eve:
            eve.subscribe("room:a")
            change.to(rule(presence=True, presence_events=True))
            ann.find("join", data={"user": "eve"})  # who is there when it is switched on comes with it
            change.to(rule())
            until(lambda: members(node) is None, "it is not kept")
            eve.close()
            ann.nothing_before_pong()  # and is not told to have left when it is switched off


@probe("channels[].presence_ttl")
def presence_ttl(change):
    node = change.start(rule(presence=True, presence_ttl="1h"), with_redis=True)
    with node.connect("ann") as ann:
        ann.subscribe("room:a")
        until(lambda: members(node) == ["ann"], "she is there")
        change.to(rule(presence=True, presence_ttl="1s"))
        node.may_die = True
        until(lambda: signs_of_life_end_soon(change.redis), "the node's word is good for a second")


def signs_of_life_end_soon(redis):
    key, = [key for key in redis("KEYS", "*presence:nodes")]
    now_ms = int(redis("TIME")[0]) * 1000
    till = [int(value.split()[0]) for name, value in pairs(redis("HGETALL", key)) if name]
    return till and max(till) < now_ms + 5000


def pairs(flat):
    return list(zip(flat[::2], flat[1::2]))


@probe("channels[].publisher")
def publisher(change):
    node = change.start(rule())
    with node.connect("ann") as ann:
        ann.subscribe("room:a")

        def named(member):
            ann.send("publish", channel="room:a", type="test", data={"n": 1})
            return member in ann.find("test")

        assert named("user")
        change.to(rule(publisher="session"))
        until(lambda: named("session"), "the session is named")
        change.to(rule(publisher="none"))
        until(lambda: not named("user") and not named("session"), "nobody is named")


@probe("channels[].sender")
def sender(change):
    node = change.start(rule())
    with node.connect("ann") as ann:
        message = {"channel": "room:a", "type": "chat_message", "data": {"conversation_id": "c", "sender_id": "bob", "content": "Hi"}}
        ann.ask("publish", "published", **message)
        change.to(rule(sender="verified"))
        until(lambda: [ann.send("publish", id="ask", **message), ann.receive()["type"]][1] == "error", "another's name is refused")


# --- endpoints ---


def endpoint(**members):
    return {"endpoints": [{"path": "/ws", **members}]}


def doors_follow(after, **options):
    """A client that came in before the change does not come in any more."""
    def check(change):
        node = change.start()
        token = jwt.mint()
        wanted = {name: value(token) if callable(value) else value for name, value in options.items()} or {"token": token}
        assert accepts(node, **wanted)
        change.to(after)
        until(lambda: not accepts(node, **wanted), "the door is closed")
    return check


probe("endpoints")(doors_follow({"endpoints": [{"path": "/other"}]}))
probe("endpoints[].token_header")(doors_follow(endpoint(token_header=False)))
probe("endpoints[].token_subprotocol")(doors_follow(
    endpoint(token_subprotocol=False), headers=lambda token: [("Sec-WebSocket-Protocol", f"{ws.PROTOCOL}, {token}")]))
probe("endpoints[].subprotocols")(doors_follow(
    endpoint(subprotocols=["other"]), headers=lambda token: [("Sec-WebSocket-Protocol", f"{ws.PROTOCOL}, {token}")]))
probe("endpoints[].require_claims")(doors_follow(endpoint(require_claims=["team"])))
probe("endpoints[].subscribe")(doors_follow({**endpoint(subscribe=["room:{sub}"]), "channels": []}))
probe("endpoints[].token_query")(doors_follow(endpoint(token_query=["jwt"]), path=lambda token: f"/ws?token={token}"))
probe("endpoints[].origins")(doors_follow(
    endpoint(origins=["https://a.example"], reject="http"),
    headers=lambda token: [("Authorization", f"Bearer {token}"), ("Origin", "https://b.example")]))

probe("endpoints[].preset")(doors_follow(endpoint(preset="ticket-sockets")))


@probe("endpoints[].path")
def path(change):
    node = change.start(endpoint())
    with node.connect() as client:
        change.to({"endpoints": [{"path": "/new"}]})
        until(lambda: accepts(node, jwt.mint(), path="/new"), "the new path is there")
        assert not accepts(node, jwt.mint())
        client.subscribe("room:a")  # of a path that is gone: stays
        change.to({"endpoints": [{"path": "/new"}], "limits.message_bytes": "1k"})
        until(lambda: accepts(node, jwt.mint(), path="/new"), "it is still there")
        client.send_text(b"x" * 1100)
        client.expect_close(1009, "message_too_big")


@probe("endpoints[].ticket_query")
def ticket_query(change):
    node = change.start(endpoint())
    assert accepts(node, jwt.mint(), path="/ws?ticket=made-up")
    change.to(endpoint(ticket_query=["ticket"]))
    until(lambda: not accepts(node, jwt.mint(), path="/ws?ticket=made-up"), "it is a second credential")


def origin_follows(member, before, after, header, **options):
    """What the backend gets of the upgrade, of new sessions."""
    def check(change):
        with Backend(lambda call: call.answer(200, {})) as backend:
            way = {"text": "upstream", "upstream": "ai"}
            change.base = {"upstreams": {"ai": {"url": backend.url}}}
            node = change.start({**change.base, **endpoint(**way, **{member: before})})

            def told():
                with node.client(jwt.mint(), **options) as client:
                    client.send_text("{}")
                    client.find("session_init")
                    client.receive()
                return backend.calls[-1].headers.get(header)

            assert told()
            change.to(endpoint(**way, **{member: after}))
            until(lambda: not told(), "the backend gets it no longer")
    return check


probe("endpoints[].query")(origin_follows("query", ["trace"], [], "ce-query", path="/ws?trace=1"))
probe("endpoints[].headers")(origin_follows("headers", ["x-app"], [], "x-app", headers=[("X-App", "1")]))


@probe("endpoints[].reject")
def reject(change):
    node = change.start(endpoint(reject="http"))
    assert not accepts(node)
    change.to(endpoint(reject="close"))

    def is_told_by_close():
        try:
            with node.client() as client:
                client.expect_close(1008, "token_missing")
                return True
        except Refused:
            return False

    until(is_told_by_close, "it is refused by a close")


@probe("endpoints[].close_codes")
def close_codes(change):
    node = change.start({**endpoint(), "limits.bad_messages": 1})
    with node.connect() as client:
        change.to({**endpoint(close_codes={"bad_messages": 4001}), "limits.bad_messages": 1, "limits.channels": 7})
        until(lambda: limits_told(node)["channels"] == 7, "the worker has it")
        client.send_text("{")
        client.expect_close(4001, "bad_messages")


def limits_told(node):
    with node.connect() as client:
        return client.init["data"]["limits"]


@probe("endpoints[].require_scopes")
def require_scopes(change):
    node = change.start()
    with node.connect() as client:
        change.to(endpoint(require_scopes=["chat"]))
        until(lambda: not accepts(node, jwt.mint()), "the door asks for it")
        client.error("refresh", "forbidden", token=jwt.mint())
        client.ask("refresh", "refreshed", token=jwt.mint(scope="chat"))


def begins_with(before, after, fits):
    """A session keeps what it began with. A new one has the new setting. fits: whether a client has the old one."""
    def check(change):
        node = change.start(endpoint(**before))
        with node.client(jwt.mint()) as client:
            assert fits(client)
            change.to(endpoint(**after))

            def follows():
                with node.client(jwt.mint()) as another:
                    return not fits(another)

            until(follows, "new sessions have it")
            assert fits(client)
    return check


def next_after(opcode, payload):
    """The frame, or the close code, that answers this message."""
    def take(client):
        client.send_frame(opcode, payload)
        _, opcode_of_answer, answer = client.receive_frame()
        return opcode_of_answer, answer
    return take


def is_echoed(opcode):
    return lambda client: next_after(opcode, b"x")(client) == (opcode, b"x")


def gets_pong(client):
    client.send("ping")
    client.send_frame(ws.PING, b"fence")
    payloads = []
    while not payloads or payloads[-1] != b"fence":
        payloads.append(client.receive_frame()[2])
    return any(b'"pong"' in payload for payload in payloads)


def gets_data_alone(client):
    client.send("subscribe", channel="room:a")
    client.send("publish", channel="room:a", type="test", data="alone")
    return client.receive() == "alone"


probe("endpoints[].text")(begins_with({"text": "echo", "frames": []}, {"text": "ignore", "frames": ["session_init"]}, is_echoed(ws.TEXT)))
probe("endpoints[].binary")(begins_with({"binary": "echo", "frames": []}, {"frames": ["session_init"]}, is_echoed(ws.BINARY)))
probe("endpoints[].frames")(begins_with({"frames": ["pong"]}, {"frames": ["session_init"]}, gets_pong))
probe("endpoints[].deliver")(begins_with({"frames": [], "deliver": "data"}, {"frames": []}, gets_data_alone))


def errors_follow(before, after):
    """What a failed message is answered with: open sessions follow."""
    def check(change):
        members = {"text": "echo", "frames": ["error"], "limits": {"message_rate": 1, "message_burst": 1, "bad_messages": 0}}
        node = change.start(endpoint(**members, correlation=before))
        with node.client(jwt.mint()) as client:
            client.send_text("{}")
            client.receive()

            def answer():
                client.send_text(json.dumps({"a": 1, "b": 2}))
                return client.receive()

            assert answer() == {"e": 1}
            change.to(endpoint(**members, correlation=after))
            until(lambda: answer() == {"f": 2}, "the answer is another one")
    return check


probe("endpoints[].correlation.id")(errors_follow({"id": "/a", "error": {"e": "{id}"}}, {"id": "/b", "error": {"f": "{id}"}}))
probe("endpoints[].correlation.error")(errors_follow({"id": "/a", "error": {"e": "{id}"}}, {"id": "/b", "error": {"f": "{id}"}}))


@probe("endpoints[].rate.counts")
def rate_counts(change):
    members = {"text": "echo", "frames": [], "limits": {"message_rate": 1, "message_burst": 1, "bad_messages": 1}}
    node = change.start(endpoint(**members, rate={"counts": []}))
    with node.client(jwt.mint()) as client:
        for _ in range(10):
            assert is_echoed(ws.TEXT)(client)
        change.to(endpoint(**members))

        def too_fast():
            client.send_text("x")
            return client.receive_frame()[1] == ws.CLOSE

        until(too_fast, "text counts")


def limit_follows(name, before, after, told):
    def check(change):
        node = change.start(endpoint(limits={name: before}))
        with node.connect() as client:
            change.to(endpoint(limits={name: after}))
            until(lambda: told(client), "the limit of an open session is another one")
    return check


def too_many_at_once(client):
    for _ in range(3):
        client.send("ping")
    return [client.receive()["type"] for _ in range(3)] == ["pong", "error", "error"]


def is_refused_a_second_channel(client):
    client.send("subscribe", id=1, channel="room:a")
    client.find("subscribed")
    return not client.may_subscribe("room:b")


def is_closed_after(message, code):
    def told(client):
        client.send_text(message)
        try:
            return client.receive() and False
        except ws.Closed as closed:
            return closed.code == code
    return told


probe("endpoints[].limits.channels")(limit_follows("channels", 5, 1, is_refused_a_second_channel))
probe("endpoints[].limits.message_bytes")(limit_follows("message_bytes", "64k", "1k", is_closed_after("x" * 2000, 1009)))
probe("endpoints[].limits.bad_messages")(limit_follows("bad_messages", 0, 1, is_closed_after("{", 1008)))


@probe("endpoints[].limits.message_rate")
def message_rate_of_an_endpoint(change):
    node = change.start(endpoint(limits={"message_rate": 0, "message_burst": 1, "bad_messages": 0}))
    with node.connect() as client:
        change.to(endpoint(limits={"message_rate": 1, "message_burst": 1, "bad_messages": 0}))
        until(lambda: too_many_at_once(client), "the rate holds")


@probe("endpoints[].limits.message_burst")
def message_burst_of_an_endpoint(change):
    node = change.start(endpoint(limits={"message_rate": 1, "message_burst": 1000, "bad_messages": 0}))
    with node.connect() as client:
        change.to(endpoint(limits={"message_rate": 1, "message_burst": 1, "bad_messages": 0}))
        until(lambda: [client.send("ping"), client.receive()["type"]][1] == "error", "the burst is smaller")


@probe("endpoints[].ping_interval")
def ping_interval_of_an_endpoint(change):
    node = change.start(endpoint(ping_interval="1h"))
    with node.connect() as client:
        change.to(endpoint(ping_interval="1s"))
        assert client.receive_frame()[1] == ws.PING


@probe("endpoints[].pong_timeout")
def pong_timeout_of_an_endpoint(change):
    node = change.start(endpoint(ping_interval="100ms", pong_timeout="5m"))
    with node.connect() as client:
        client.pong = False
        change.to(endpoint(ping_interval="100ms", pong_timeout="100ms"))
        client.expect_close(1001, "pong_timeout")


@probe("endpoints[].token_expiry")
def token_expiry(change):
    node = change.start({**endpoint(token_expiry="connect"), "token.leeway": "10m"})
    ended = jwt.mint(expires_s=-60)
    with node.client(ended).start() as client:
        change.to({**endpoint(token_expiry="connect"), "token.leeway": 0})
        until(lambda: not accepts(node, ended), "its token opens nothing any more")
        client.nothing_before_pong()
        change.to({**endpoint(), "token.leeway": 0})
        client.expect_close(1008, "token_expired")


def places_follow(after):
    """Sessions that were open before the limit came count."""
    def check(change):
        node = change.start()
        with node.connect("one") as one, node.connect("one"):
            change.to(after)
            until(lambda: not accepts(node, jwt.mint("one")), "there is no place left")
            one.close()
            until(lambda: accepts(node, jwt.mint("one")), "there is a place again")
    return check


probe("endpoints[].max_connections")(places_follow(endpoint(max_connections=2)))
probe("limits.connections_per_address")(places_follow({"limits.connections_per_address": 2}))
probe("limits.connections_per_user")(places_follow({"limits.connections_per_user": 2}))


# --- upstreams ---


def backend_of(change, answer=None):
    backend = Backend(answer)
    change.request.addfinalizer(backend.close)
    return backend


def served(backend, upstream=None, **members):
    """An endpoint with text for the upstream "ai"."""
    members = {"text": "upstream", "upstream": "ai", "frames": ["error"], "limits": {"bad_messages": 0}, **members}
    return {**endpoint(**members), "upstreams": {"ai": {"url": backend.url, **(upstream or {})}}}


def first_call(node, backend, message="{}", opcode=ws.TEXT, path="/ws", headers=()):
    """The request that the message of a new session becomes."""
    before = len(backend.calls)
    with node.client(jwt.mint(role="admin"), path=path, headers=headers) as client:
        client.send_frame(opcode, message.encode())
        return until(lambda: [call for call in backend.calls[before:] if call.type == "message"], "the backend has it")[0]


def calls_follow(before, after, fits, of_endpoint=False, **options):
    """The requests of new sessions show the change. fits: whether a request shows it."""
    def check(change):
        backend = backend_of(change)
        first, then = ((served(backend, **members) if of_endpoint else served(backend, members)) for members in (before, after))
        node = change.start(first)
        assert not fits(first_call(node, backend, **options))
        change.to(then)
        until(lambda: fits(first_call(node, backend, **options)), "requests show it")
    return check


def has_header(name):
    return lambda call: name in call.headers


probe("upstreams[].claims")(calls_follow({}, {"claims": ["role"]}, has_header("ce-claims")))
probe("upstreams[].secret")(calls_follow({}, {"secret": ["0123456789abcdef"]}, has_header("webhook-signature")))
probe("endpoints[].binary_type")(calls_follow(
    {"binary": "upstream"}, {"binary": "upstream", "binary_type": "audio/l16"}, lambda call: call.headers["content-type"] == "audio/l16",
    of_endpoint=True, opcode=ws.BINARY))


def backend_follows(after):
    """after(first, second) -> the settings by which the second backend gets what new sessions send."""
    def check(change):
        first, second = backend_of(change), backend_of(change)
        both = {"ai": {"url": first.url}, "b": {"url": second.url}}
        node = change.start({**served(first), "upstreams": both})
        first_call(node, first)
        change.to({**served(first), "upstreams": both, **after(second)})

        def has_come():
            seen = len(first.calls)
            with node.client(jwt.mint()) as client:
                client.send_text("{}")
                until(lambda: len(first.calls) > seen or second.calls, "a backend has it")
            return second.calls

        until(has_come, "the other backend has it")
    return check


probe("upstreams")(backend_follows(lambda second: {"upstreams": {"ai": {"url": second.url}}}))
probe("upstreams[].url")(backend_follows(lambda second: {"upstreams": {"ai": {"url": second.url}, "b": {"url": second.url}}}))
probe("endpoints[].upstream")(backend_follows(lambda second: endpoint(text="upstream", upstream="b")))


def hears_of_azure(change, before, after, fits):
    def answer(call):
        call.answer(**{"WebHook_Allowed_Origin": "carillon"} if call.method == "OPTIONS" else {})

    backend = backend_of(change, answer)
    node = change.start(served(backend, before))

    def follows():
        seen = len(backend.calls)
        with node.client(jwt.mint()) as client:
            client.send_text("{}")
            return fits(until(lambda: [call for call in backend.calls[seen:] if call.type.endswith("message")], "the backend has it")[0])

    assert not follows()
    change.to(served(backend, after))
    until(follows, "requests show it")


@probe("upstreams[].dialect")
def dialect(change):
    hears_of_azure(change, {}, {"dialect": "azure"}, has_header("ce-awpsversion"))


@probe("upstreams[].hub")
def hub(change):
    hears_of_azure(change, {"dialect": "azure"}, {"dialect": "azure", "hub": "chat"}, lambda call: call.headers["ce-hub"] == "chat")


@probe("upstreams[].events")
def events_of_sessions(change):
    backend = backend_of(change)
    node = change.start(served(backend))
    first_call(node, backend)
    assert not backend.of_type("connected")
    change.to(served(backend, {"events": ["connected"]}))
    until(lambda: first_call(node, backend) and backend.of_type("connected"), "the backend is told")


def answers_follow(before, after, answer):
    """The message of a new session has an answer, and after the change it fails."""
    def check(change):
        backend = backend_of(change, answer)
        node = change.start(served(backend, before))

        def has_failed():
            with node.client(jwt.mint()) as client:
                client.send_text("{}")
                return client.receive()["type"] == "error"

        assert not has_failed()
        change.to(served(backend, after))
        until(has_failed, "the answer is an error")
    return check


def after_a_while(call):
    time.sleep(0.4)
    call.answer(200, {"type": "late"})


def in_parts(call):
    call.begin("application/x-ndjson")
    for _ in range(25):
        time.sleep(0.1)
        call.chunk(" ")
    call.chunk(json.dumps({"type": "whole"}) + "\n")
    call.finish()


def large(call):
    call.answer(200, {"type": "large", "text": "x" * 5000})


probe("upstreams[].timeout")(answers_follow({}, {"timeout": "100ms"}, after_a_while))
probe("upstreams[].total_timeout")(answers_follow({"timeout": "2s"}, {"timeout": "2s", "total_timeout": "2s"}, in_parts))
probe("upstreams[].answer_bytes")(answers_follow({}, {"answer_bytes": "1k"}, large))
probe("upstreams[].frame_bytes")(answers_follow({}, {"frame_bytes": "1k"}, large))


@probe("upstreams[].on_failure")
def on_failure(change):
    backend = backend_of(change, lambda call: call.answer(500))
    node = change.start(served(backend))

    def is_closed():
        with node.client(jwt.mint()) as client:
            client.send_text("{}")
            assert client.receive()["type"] == "error"
            client.send_frame(ws.PING, b"fence")
            kinds = []
            while not kinds or kinds[-1] not in (ws.PONG, ws.CLOSE):
                kinds.append(client.receive_frame()[1])
            return kinds[-1] == ws.CLOSE

    assert not is_closed()
    change.to(served(backend, {"on_failure": "close"}))
    until(is_closed, "the session ends")


def most_at_once(change, after, sessions):
    """Slow requests come beside each other, and after the change one after the other. sessions: those that send."""
    at_once, most, lock = [0], [0], threading.Lock()

    def answer(call):
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.15)
        with lock:
            at_once[0] -= 1
        call.answer(200, {"type": "done"})

    def most_of_two():
        most[0] = 0
        clients = [node.client(jwt.mint()) for _ in range(sessions)]
        for n in range(2):
            clients[n % sessions].send_text("{}")
        for n in range(2):
            assert clients[n % sessions].receive()["type"] == "done"
        for client in clients:
            client.close()
        return most[0]

    backend = backend_of(change, answer)
    node = change.start(served(backend))
    until(lambda: most_of_two() == 2, "two at once")
    change.to(served(backend, after))
    until(lambda: most_of_two() == 1, "one after the other")


@probe("upstreams[].in_flight")
def in_flight(change):
    most_at_once(change, {"in_flight": 1}, sessions=2)


@probe("upstreams[].order")
def order(change):
    most_at_once(change, {"order": "session"}, sessions=1)


@probe("upstreams[].waiting")
def waiting(change):
    backend = backend_of(change, after_a_while)
    node = change.start(served(backend, {"in_flight": 1}))

    def answers():
        with node.client(jwt.mint()) as one, node.client(jwt.mint()) as two, node.client(jwt.mint()) as three:
            for client in (one, two, three):
                client.send_text("{}")
            return sorted(client.receive()["type"] for client in (one, two, three))

    assert answers() == ["late"] * 3
    change.to(served(backend, {"in_flight": 1, "waiting": 1}))
    until(lambda: answers() == ["error", "late", "late"], "one waits, and no other")


@probe("upstreams[].join.max_bytes")
def join_max_bytes(change):
    backend = backend_of(change, after_a_while)
    node = change.start(served(backend, {"order": "session"}, binary="upstream"))

    def longest():
        seen = len(backend.calls)
        with node.client(jwt.mint()) as client:
            for _ in range(4):
                client.send_frame(ws.BINARY, b"audio")
            until(lambda: sum(len(call.body) for call in backend.calls[seen:]) == 20, "all has come")
        return max(len(call.body) for call in backend.calls[seen:])

    assert longest() == 5
    change.to(served(backend, {"order": "session", "join": {"max_bytes": "1k"}}, binary="upstream"))
    until(lambda: longest() > 5, "what has waited is joined")


@probe("upstreams[].waiting_bytes")
def waiting_bytes(change):
    gate = threading.Event()
    change.request.addfinalizer(gate.set)
    backend = backend_of(change, lambda call: gate.wait(DEADLINE_S) and call.answer())
    node = change.start(served(backend, {"order": "session"}))

    def is_read():
        """A session is read on while its messages wait."""
        with node.client(jwt.mint()) as client:
            for _ in range(4):
                client.send_text("x" * 1000)
            client.send_frame(ws.PING, b"fence")
            try:
                return client.receive_frame(seconds=3)[2] == b"fence"
            except (TimeoutError, AssertionError):
                return False

    assert is_read()
    change.to(served(backend, {"order": "session", "waiting_bytes": "1k"}))
    until(lambda: not is_read(), "the socket is left alone")


def fails_at(type_):
    return lambda call: call.answer(500 if call.type == type_ else 204)


@probe("upstreams[].connect.enabled")
def connect_enabled(change):
    backend = backend_of(change)
    node = change.start(served(backend))
    first_call(node, backend)
    assert not backend.of_type("connect")
    change.to(served(backend, {"connect": {}}))
    until(lambda: first_call(node, backend) and backend.of_type("connect"), "the backend is asked")


@probe("upstreams[].connect.on_failure")
def connect_on_failure(change):
    backend = backend_of(change, fails_at("connect"))
    node = change.start(served(backend, {"connect": {}}, frames=["session_init"]))
    assert not accepts(node, jwt.mint())
    change.to(served(backend, {"connect": {"on_failure": "accept"}}, frames=["session_init"]))
    until(lambda: accepts(node, jwt.mint()), "clients come in")


def commands(backend, upstream):
    return {**endpoint(upstream="ai"), **rule(), "upstreams": {"ai": {"url": backend.url, **upstream}}}


@probe("upstreams[].subscribe.enabled")
def subscribe_enabled(change):
    backend = backend_of(change)
    node = change.start(commands(backend, {}))
    change.to(commands(backend, {"subscribe": {}}))

    def is_asked():
        with node.connect() as client:
            return client.may_subscribe("room:a") and backend.of_type("subscribe")

    until(is_asked, "the backend is asked")


@probe("upstreams[].subscribe.on_failure")
def subscribe_on_failure(change):
    backend = backend_of(change, fails_at("subscribe"))
    node = change.start(commands(backend, {"subscribe": {}}))

    def may():
        with node.connect() as client:
            return client.may_subscribe("room:a")

    assert not may()
    change.to(commands(backend, {"subscribe": {"on_failure": "accept"}}))
    until(may, "the channel is given")


def reaches(node, backend):
    """Whether a message gets as far as the backend."""
    before = len(backend.calls)
    with node.client(jwt.mint()) as client:
        client.send_text("{}")
        assert client.receive()["type"] == "error"
    return len(backend.calls) > before


@probe("upstreams[].breaker.failures")
def breaker_failures(change):
    backend = backend_of(change, lambda call: call.answer(503))
    node = change.start(served(backend, {"breaker": {"failures": 0, "pause": "10m"}}))
    assert all(reaches(node, backend) for _ in range(3))
    change.to(served(backend, {"breaker": {"failures": 1, "pause": "10m"}}))
    until(lambda: not reaches(node, backend), "requests are refused at once")


@probe("upstreams[].breaker.pause")
def breaker_pause(change):
    backend = backend_of(change, lambda call: call.answer(503))
    node = change.start(served(backend, {"breaker": {"failures": 1, "pause": "10m"}}))
    until(lambda: not reaches(node, backend), "requests are refused at once")
    change.to(served(backend, {"breaker": {"failures": 1, "pause": "10ms"}}))
    until(lambda: [reaches(node, backend) for _ in range(5) if not time.sleep(0.02)].count(True) > 2, "it is tried again and again")


@probe("upstreams[].tls_ca")
def tls_ca(change):
    """A file that cannot be read is refused at the reload, as at the start."""
    backend = backend_of(change)
    node = change.start(served(backend))
    change.to(served(backend, {"tls_ca": "/nowhere/ca.pem"}))
    assert "/nowhere/ca.pem" in node.log() and "reload: refused" in node.log()
    node.check_log = lambda: None


def streamed(stream, **members):
    return {**endpoint(text="upstream", upstream="log"), "upstreams": {"log": {"redis_stream": stream, **members}}}


def length_after(change, node, stream, messages=1):
    """Of the stream, once the messages of a new session have been written, to whatever stream."""
    with node.client(jwt.mint()) as client:
        for _ in range(messages):
            client.send_text("x")
        client.send_frame(ws.PING, b"fence")
        while client.receive_frame()[2] != b"fence":
            pass
    return int(change.redis("XLEN", stream))


@probe("upstreams[].redis_stream")
def redis_stream(change):
    node = change.start(streamed("one"), with_redis=True)
    until(lambda: length_after(change, node, "one"), "the stream has it")
    change.to(streamed("two"))
    until(lambda: length_after(change, node, "two"), "the other stream has it")


@probe("upstreams[].max_len")
def max_len(change):
    node = change.start({**streamed("one"), "limits.message_rate": 0}, with_redis=True)
    until(lambda: length_after(change, node, "one", 50) > 400, "the stream has them")
    change.to({**streamed("one", max_len=1), "limits.message_rate": 0})
    until(lambda: length_after(change, node, "one", 50) < 300, "the oldest go")


@probe("upstreams[].idempotency.enabled")
def idempotency_enabled(change):
    keys_answer_once(change, {}, {"idempotency": {}}, {"idempotency_key": "/k"}, {"idempotency_key": "/k"})


@probe("endpoints[].correlation.idempotency_key")
def idempotency_key(change):
    keys_answer_once(change, {"idempotency": {}}, {"idempotency": {}}, {"id": "/id"}, {"id": "/id", "idempotency_key": "/k"})


def calls_of(node, backend, key, count=2, pause_s=0.0):
    """How many requests the messages of one key become."""
    before = len(backend.calls)
    with node.client(jwt.mint()) as client:
        for _ in range(count):
            client.send_text(json.dumps({"id": "i", "k": key}))
            assert client.receive()["type"] == "once"
            time.sleep(pause_s)
    return len(backend.calls) - before


def once(call):
    call.answer(200, {"type": "once", "text": "x" * 40_000})


def keys_answer_once(change, before, after, correlation_before, correlation_after):
    backend = backend_of(change, once)
    node = change.start(served(backend, before, correlation=correlation_before))
    assert calls_of(node, backend, "first") == 2
    change.to(served(backend, after, correlation=correlation_after))
    until(lambda: calls_of(node, backend, f"k{time.monotonic()}") == 1, "the second one has the answer of the first")


@probe("upstreams[].idempotency.max_age")
def idempotency_max_age(change):
    backend = backend_of(change, once)
    correlation = {"idempotency_key": "/k"}
    node = change.start(served(backend, {"idempotency": {}}, correlation=correlation))
    assert calls_of(node, backend, "first", pause_s=1.2) == 1
    change.to(served(backend, {"idempotency": {"max_age": "1s"}}, correlation=correlation))
    until(lambda: calls_of(node, backend, f"k{time.monotonic()}", pause_s=1.2) == 2, "the answer is forgotten")


@probe("upstreams[].idempotency.max_bytes")
def idempotency_max_bytes(change):
    backend = backend_of(change, once)
    correlation = {"idempotency_key": "/k"}
    node = change.start(served(backend, {"idempotency": {}}, correlation=correlation))

    def is_forgotten():
        key = f"k{time.monotonic()}"
        calls_of(node, backend, key, 1)
        for n in range(3):
            calls_of(node, backend, f"{key}-{n}", 1)
        return calls_of(node, backend, key, 1) == 1

    assert not is_forgotten()
    change.to(served(backend, {"idempotency": {"max_bytes": "64k"}}, correlation=correlation))
    until(is_forgotten, "the oldest answer has gone")


# --- tickets ---


def ticketed(ticket=None, **options):
    socket = {"path": "/s/{id}", "preset": "ticket-sockets", "frames": ["session_init"], "ticket": ticket or {}}
    return {"endpoints": [{"path": "/ws"}, socket], "tickets.path": "/t", "tickets.rate_per_user": 0, "tickets.rate_per_address": 0,
            **{f"tickets.{name}": value for name, value in options.items()}}


def ask(node, path="/t", body=None, sub="ann", **headers):
    body = {"purpose": "chat", "resourceId": "1"} if body is None else body
    return http.request(node.public, "POST", path, body, {"Authorization": f"Bearer {jwt.mint(sub)}", **headers})


def enters(node, ticket, path="/s/1"):
    return accepts(node, path=f"{path}?ticket={ticket}")


def tickets_follow(before, after, told):
    """told(node): whether a new ticket shows the change."""
    def check(change):
        node = change.start(before)
        assert not told(node)
        change.to(after)
        until(lambda: told(node), "tickets follow")
    return check


def opens(node, **body):
    return enters(node, ask(node, body={"purpose": "chat", "resourceId": "1", **body}).json["ticket"])


def is_used_again(node, pause_s=0.0):
    """After its connection was lost."""
    ticket = ask(node).json["ticket"]
    client = node.client(path=f"/s/1?ticket={ticket}")
    client.start()
    client.drop()
    time.sleep(pause_s)
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        if enters(node, ticket):
            return True
        time.sleep(0.05)
    return False


probe("tickets.path")(tickets_follow(ticketed(), ticketed(path="/other"), lambda node: ask(node, "/other").status == 200))
probe("tickets.origins")(tickets_follow(
    ticketed(), ticketed(origins=["https://a.example"]), lambda node: ask(node, Origin="https://b.example").status == 403))
probe("tickets.ttl")(tickets_follow(ticketed(), ticketed(ttl="7s"), lambda node: ask(node).json["expiresIn"] == 7))
probe("tickets.answer")(tickets_follow(ticketed(), ticketed(answer={"t": "{ticket}"}), lambda node: "t" in ask(node).json))
probe("tickets.error")(tickets_follow(ticketed(), ticketed(error={"e": "{code}"}), lambda node: "e" in ask(node, Authorization="Bearer x").json))
probe("tickets.use")(tickets_follow(ticketed(), ticketed(use="resume"), is_used_again))
probe("tickets.resume_ttl")(tickets_follow(
    ticketed(use="resume", resume_ttl="1h"), ticketed(use="resume", resume_ttl="1s"), lambda node: not is_used_again(node, 1.3)))
probe("tickets.max")(tickets_follow(ticketed(), ticketed(max=1), lambda node: {ask(node).status for _ in range(2)} != {200}))
probe("tickets.rate_per_user")(tickets_follow(
    ticketed(), ticketed(rate_per_user=1), lambda node: [ask(node).status for _ in range(2)][1] == 429))
probe("tickets.rate_per_address")(tickets_follow(
    ticketed(), ticketed(rate_per_address=1), lambda node: [ask(node, sub=f"u{n}").status for n in range(2)][1] == 429))
probe("tickets.request.purpose")(tickets_follow(
    ticketed({"purpose": "chat"}), ticketed({"purpose": "chat"}, request={"purpose": "/p"}), lambda node: not opens(node, p="other")))
probe("tickets.request.resource")(tickets_follow(
    ticketed({"resource": "{id}"}), ticketed({"resource": "{id}"}, request={"resource": "/r"}), lambda node: not opens(node, r="other")))
probe("endpoints[].ticket.purpose")(tickets_follow(
    ticketed({"purpose": "chat"}), ticketed({"purpose": "talk"}), lambda node: not opens(node)))
probe("endpoints[].ticket.resource")(tickets_follow(
    ticketed({"resource": "{id}"}), ticketed({"resource": "x{id}"}), lambda node: not opens(node)))


@probe("tickets.lease")
def lease(change):
    node = change.start(ticketed(use="resume", lease="1h"), with_redis=True)
    ticket = ask(node).json["ticket"]
    with node.client(path=f"/s/1?ticket={ticket}") as client:
        client.start()

        def ends():
            key, = change.redis("KEYS", "*:ticket")
            now_ms = int(change.redis("TIME")[0]) * 1000
            return max(int(value) for _, value in pairs(change.redis("HGETALL", key)) if value.isdigit() and len(value) == 13) - now_ms

        assert ends() > 60_000
        change.to(ticketed(use="resume", lease="3s"))

        def new_one():
            fresh = ask(node).json["ticket"]
            change.redis("DEL", *change.redis("KEYS", "*:ticket"))
            del fresh
            another = ask(node).json["ticket"]
            with node.client(path=f"/s/1?ticket={another}") as holder:
                holder.start()
                return 0 < ends() < 60_000

        until(new_one, "the ticket is taken for three seconds at a time")


@probe("endpoints[].token_single_use")
def token_single_use(change):
    node = change.start()
    token = jwt.mint()
    assert accepts(node, token) and accepts(node, token)
    change.to(endpoint(token_single_use=True))

    def opens_once():
        another = jwt.mint(jti=f"j{time.monotonic()}")
        return accepts(node, another) and not accepts(node, another)

    until(opens_once, "a token opens one connection")


# --- lifecycle events ---


def told_in_stream(change, types, before, after, act, fits):
    """act(node) makes events. fits(entries): whether the stream's entries, each a dict, show the change."""
    base = {"lifecycle.types": types, "lifecycle.redis_stream": "ev", **rule(presence=True)}
    node = change.start({**base, **before}, with_redis=True)

    def told():
        act(node)
        return fits([dict(pairs(fields)) for _, fields in change.redis("XRANGE", "ev", "-", "+")])

    assert not told()
    change.to({**base, **after})
    until(told, "the stream shows it")


def subscribes(node, times=1):
    with node.connect() as client:
        for _ in range(times):
            client.subscribe("room:a")
            client.ask("unsubscribe", "unsubscribed", channel="room:a")


def has_type(type_):
    return lambda entries: any(entry.get("type") == type_ for entry in entries)


@probe("lifecycle.types")
def lifecycle_types(change):
    told_in_stream(change, [], {"lifecycle.types": ["token.revoked"]}, {"lifecycle.types": ["session.opened"]}, subscribes, has_type("session.opened"))


@probe("lifecycle.channels")
def lifecycle_channels(change):
    told_in_stream(change, ["subscription.added"], {"lifecycle.channels": ["other:*"]}, {"lifecycle.channels": ["room:*"]}, subscribes,
                   has_type("subscription.added"))


@probe("lifecycle.vacated_after")
def lifecycle_vacated_after(change):
    told_in_stream(change, ["channel.vacated"], {"lifecycle.vacated_after": "10m"}, {"lifecycle.vacated_after": "0"}, subscribes,
                   has_type("channel.vacated"))


@probe("lifecycle.max_len")
def lifecycle_max_len(change):
    lengths = []

    def fits(entries):
        lengths.append(len(entries))
        return len(lengths) > 1 and lengths[-1] < lengths[-2]

    told_in_stream(change, ["subscription.added"], {}, {"lifecycle.max_len": 1}, lambda node: subscribes(node, 40), fits)


def posted(change, before, after, fits, answer=None):
    """fits(calls): whether the requests since the change show it."""
    backend = backend_of(change, answer)
    base = {"lifecycle.types": ["session.opened", "subscription.added", "subscription.removed"], **rule()}
    node = change.start({**base, "lifecycle.http": {"url": backend.url, **before}}, with_redis=True)

    def told():
        seen = len(backend.calls)
        subscribes(node, 3)
        until(lambda: len(backend.calls) > seen, "the address has them")
        time.sleep(1.0)
        return fits(backend.calls[seen:])

    assert not told()
    change.to({**base, "lifecycle.http": {"url": backend.url, **after}})
    until(told, "the requests show it")


@probe("lifecycle.http.secret")
def lifecycle_secret(change):
    posted(change, {}, {"secret": ["0123456789abcdef"]}, lambda calls: all("webhook-signature" in call.headers for call in calls))


@probe("lifecycle.http.batch")
def lifecycle_batch(change):
    posted(change, {}, {"batch": 1}, lambda calls: all(len(call.json()) == 1 for call in calls))


@probe("lifecycle.http.timeout")
def lifecycle_timeout(change):
    def slow(call):
        time.sleep(0.3)
        call.answer()

    def is_sent_again(calls):
        bodies = [call.body for call in calls]
        return len(set(bodies)) < len(bodies)

    posted(change, {"retry_max": "100ms"}, {"retry_max": "100ms", "timeout": "50ms"}, is_sent_again, slow)


@probe("lifecycle.http.retry_max")
def lifecycle_retry_max(change):
    posted(change, {"retry_max": "10m"}, {"retry_max": "100ms"}, lambda calls: len(calls) > 6,
           lambda call: call.answer(500))


def drops(change, setting, after):
    """While Redis is away more events come than may wait."""
    base = {"lifecycle.types": ["subscription.added", "subscription.removed"], "lifecycle.redis_stream": "ev",
            "limits.message_rate": 0, "limits.channels": 1000, **rule()}
    node = change.start(base, with_redis=True)

    def dropped():
        before = node.metric("carillon_lifecycle_dropped_total")
        with node.connect() as client:
            for n in range(400):
                client.send("subscribe", channel=f"room:{n}")
            client.find("subscribed", channel="room:399")
            until(lambda: node.metric("carillon_lifecycle_waiting_bytes") == 0, "Redis has taken what there was")
            change.redis("CLIENT", "PAUSE", "1500", "WRITE")
            for n in range(400):
                client.send("unsubscribe", channel=f"room:{n}")
            client.find("unsubscribed", channel="room:399")
            time.sleep(0.5)
            change.redis("CLIENT", "UNPAUSE")
        return node.metric("carillon_lifecycle_dropped_total") > before

    assert not dropped()
    change.to({**base, setting: after})
    until(dropped, "what is too much is dropped")


@probe("lifecycle.waiting_events")
def lifecycle_waiting_events(change):
    drops(change, "lifecycle.waiting_events", 1)


@probe("lifecycle.waiting_bytes")
def lifecycle_waiting_bytes(change):
    drops(change, "lifecycle.waiting_bytes", "64k")


# --- times ---


@probe("ping_interval")
def ping_interval(change):
    node = change.start({"ping_interval": "1h"})
    with node.connect() as client:
        change.to({"ping_interval": "1s"})
        assert client.receive_frame()[1] == ws.PING
        client.pong = True
        client.send_frame(ws.PONG, b"c")
        change.to({"ping_interval": "0"})
        until(lambda: not pings_told(node), "the worker has it")


def pings_told(node):
    with node.connect() as client:
        return client.init["data"]["ping_interval_s"]


@probe("pong_timeout")
def pong_timeout(change):
    node = change.start({"ping_interval": "1s", "pong_timeout": "5m"})
    with node.connect() as client:
        client.pong = False
        assert client.receive_frame()[1] == ws.PING
        change.to({"ping_interval": "1s", "pong_timeout": "500ms"})
        client.expect_close(1001, "pong_timeout")


@probe("close_timeout")
def close_timeout(change):
    node = change.start({"close_timeout": "5m"})
    with node.connect("deaf"):
        change.to({"close_timeout": "100ms", "limits.channels": 7})
        until(lambda: limits_told(node)["channels"] == 7, "the worker has it")
        assert node.api("POST", "/api/v1/disconnect", {"user": "deaf"}).status == 200
        until(lambda: node.metric("carillon_connections_open") == 0, "it is cut")


@probe("drain_window")
def drain_window(change):
    node = change.start({"drain_window": "1h"})
    with node.connect() as client:
        change.to({"drain_window": "50ms"})
        node.signal(signal.SIGTERM)
        assert client.find("reconnect")["data"]["after_ms"] <= 50
        client.expect_close(1001)
    assert node.wait() == 0


# --- the HTTP API ---


def api_follows(before, after, body, refused):
    def check(change):
        node = change.start(before)
        assert node.api("POST", "/api/v1/broadcast", body).status == 200
        change.to(after)
        until(lambda: node.api("POST", "/api/v1/broadcast", body).status in refused, "it is too much")
    return check


LARGE = {"channels": ["a", "b", "c"], "type": "test", "data": "x" * 2000}
probe("api.max_body")(api_follows({}, {"api.max_body": "1k"}, LARGE, [413]))
probe("api.max_bodies")(api_follows({}, {"api.max_bodies": "1k", "api.max_body": "1k"}, LARGE, [413, 503]))
probe("api.max_batch")(api_follows({}, {"api.max_batch": 2}, LARGE, [400, 413]))


@probe("api.keys")
def api_keys(change):
    node = change.start()
    second = "the-second-api-key-for-tests-only"
    change.to({"api.keys": [second]})
    until(lambda: node.api("GET", "/api/v1/info").status == 401, "the old key is shut out")
    assert node.api("GET", "/api/v1/info", key=second).status == 200


# --- tokens ---

SECOND = "the secret that comes after the first one"


def tokens_follow(before, after, token, good=False):
    """token: makes a token that is taken only before the reload. good: one that is taken only after it."""
    def check(change):
        node = change.start(before)
        assert accepts(node, token()) != good
        change.to(after)
        until(lambda: accepts(node, token()) == good, "the tokens follow")
    return check


probe("token.secret")(tokens_follow({}, {"token.secret": SECOND}, lambda: jwt.mint(secret=SECOND), good=True))
probe("token.keys")(tokens_follow({}, {"token.keys": [{"secret": SECOND}]}, lambda: jwt.mint(secret=SECOND), good=True))
probe("token.keys[].secret")(tokens_follow({"token.keys": [{"secret": SECOND + "!"}]}, {"token.keys": [{"secret": SECOND}]},
                                           lambda: jwt.mint(secret=SECOND), good=True))
probe("token.keys[].kid")(tokens_follow({"token.keys": [{"secret": SECOND, "kid": "a"}]}, {"token.keys": [{"secret": SECOND, "kid": "b"}]},
                                        lambda: jwt.mint(secret=SECOND, header={"kid": "a"})))
probe("token.keys[].algorithms")(tokens_follow({"token.keys": [{"secret": SECOND + SECOND, "algorithms": ["HS512"]}]},
                                               {"token.keys": [{"secret": SECOND + SECOND, "algorithms": ["HS256"]}]},
                                               lambda: jwt.mint(secret=SECOND + SECOND), good=True))
probe("token.algorithms")(tokens_follow({}, {"token.algorithms": ["RS256"]}, jwt.mint))
probe("token.issuers")(tokens_follow({}, {"token.issuers": ["https://a.example"]}, lambda: jwt.mint(iss="https://b.example")))
probe("token.audiences")(tokens_follow({}, {"token.audiences": ["a"]}, lambda: jwt.mint(aud="b")))
probe("token.leeway")(tokens_follow({}, {"token.leeway": "10m"}, lambda: jwt.mint(expires_s=-120), good=True))
probe("token.require_exp")(tokens_follow({}, {"token.require_exp": False}, lambda: jwt.mint(exp=None), good=True))
probe("token.max_bytes")(tokens_follow({}, {"token.max_bytes": 512}, lambda: jwt.mint(filler="x" * 1000)))


@probe("token.keys[].file")
def key_file(change):
    folder = change.request.getfixturevalue("tmp_path")
    pairs = [jwt.KeyPair(folder, "EdDSA", name) for name in ("old", "new")]
    node = change.start({"token.keys": [{"file": str(pairs[0].public_path)}]})
    assert accepts(node, pairs[0].mint()) and not accepts(node, pairs[1].mint())
    change.to({"token.keys": [{"file": str(pairs[1].public_path)}]})
    until(lambda: accepts(node, pairs[1].mint()), "the new key is taken")
    assert not accepts(node, pairs[0].mint())


@probe("token.expiry_warning")
def expiry_warning(change):
    node = change.start()
    with node.connect() as client:
        change.to({"token.expiry_warning": "1h"})
        assert client.find("warning")["data"]["code"] == "token_expiring"


# --- revocations ---


@probe("revocation.max")
def revocation_max(change):
    node = change.start()
    assert node.api("POST", "/api/v1/revoke", {"jti": "a"}).status == 200
    change.to({"revocation.max": 1})
    until(lambda: node.api("POST", "/api/v1/revoke", {"jti": "b"}).status != 200, "there is no room")


@probe("revocation.ttl")
def revocation_ttl(change):
    node = change.start(with_redis=True)

    def kept_until_ms():
        assert node.api("POST", "/api/v1/revoke", {"user": "ann"}).status == 200
        key, = change.redis("KEYS", "*revoked")
        return max(float(score) for _, score in pairs(change.redis("ZRANGE", key, 0, -1, "WITHSCORES")))

    first = kept_until_ms()
    change.to({"revocation.ttl": "3650d"})
    until(lambda: kept_until_ms() > first + 86400 * 1000, "it is kept for longer")


# --- limits of sessions ---


@probe("limits.channels")
def channels(change):
    node = change.start()
    with node.connect() as client:
        client.subscribe("one")
        change.to({"limits.channels": 1})
        until(lambda: not client.may_subscribe("two"), "it has its channel")


@probe("limits.message_bytes")
def message_bytes(change):
    node = change.start()
    with node.connect() as client, node.connect("slow") as slow:
        slow.send_frame(ws.TEXT, b"x" * 900, fin=False)  # the limit comes in the middle of a message
        slow.send_frame(ws.CONTINUATION, b"x" * 900, fin=False)
        change.to({"limits.message_bytes": "1k"})
        until(lambda: limits_told(node)["message_bytes"] == 1024, "the worker has it")
        client.send_text(b'{"type":"ping","x":"' + b"x" * 1100 + b'"}')
        client.expect_close(1009, "message_too_big")
        slow.send_frame(ws.CONTINUATION, b"x")
        slow.expect_close(1009, "message_too_big")


def rates_follow(before, after):
    def check(change):
        node = change.start({"limits.bad_messages": 0, **before})

        def limited(client):
            for n in range(10):
                client.send("ping", id=n)
            return any(client.receive()["type"] == "error" for _ in range(10))

        with node.connect() as client:
            assert not limited(client)
            change.to({"limits.bad_messages": 0, **after})
            until(lambda: limited(client), "the open session is limited")
            change.to({"limits.bad_messages": 0, **before, "limits.message_rate": 0})
            until(lambda: not limited(client), "the open session is not limited")
    return check


probe("limits.message_rate")(rates_follow({"limits.message_rate": 0, "limits.message_burst": 2}, {"limits.message_rate": 1, "limits.message_burst": 2}))
probe("limits.message_burst")(rates_follow({"limits.message_rate": 5, "limits.message_burst": 1000},
                                           {"limits.message_rate": 5, "limits.message_burst": 1}))


@probe("limits.bad_messages")
def bad_messages(change):
    node = change.start({"limits.bad_messages": 0})
    with node.connect() as client:
        for _ in range(5):
            client.send_text("{")
            client.expect("error")
        change.to({"limits.bad_messages": 2})
        until(lambda: is_closed_by_bad_message(client), "it is closed")


def is_closed_by_bad_message(client):
    try:
        client.send_text("{")
        client.receive()
        return False
    except ws.Closed as closed:
        assert closed.reason == "bad_messages"
        return True


def slow_ones_follow(after):
    def check(change):
        before = {"outbox.max_bytes": "64m", "outbox.max_messages": 100000, "limits.event_bytes": "4k", "ping_interval": "0"}
        node = change.start(before)
        client = ws.connect(node.public, jwt.mint(), receive_buffer=2048)
        client.subscribe("news")

        def outbox_bytes():
            return sum(session["outbox_bytes"] for session in node.api("GET", "/api/v1/sessions").json["sessions"])

        def is_stalled():
            for _ in range(50):
                node.publish("news", "x" * 4000)
            return outbox_bytes() > 100000

        until(is_stalled, "the kernel takes no more")
        change.to({**before, **after})

        def is_sent_away():
            node.publish("news", "x")
            return node.metric("carillon_slow_consumers_total") == 1

        until(is_sent_away, "it is too slow now")
        client.drop()
    return check


probe("outbox.max_bytes")(slow_ones_follow({"outbox.max_bytes": "4k"}))
probe("outbox.max_messages")(slow_ones_follow({"outbox.max_messages": 2}))


# --- events, by each way in ---


def ways_in(change, client):
    """Functions that publish an event by one way each, and say whether it was taken."""
    node, redis = change.node, change.redis

    def by_client(type_, data):
        client.send("publish", id="p", channel="room:a", type=type_, data=data)
        while (message := client.receive()).get("id") != "p":
            pass
        return message["type"] == "published"

    def by_publish(type_, data):
        return node.api("POST", "/api/v1/publish", {"channel": "room:a", "type": type_, "data": data}).status == 200

    def by_broadcast(type_, data):
        answer = node.api("POST", "/api/v1/broadcast", {"channels": ["room:a"], "type": type_, "data": data})
        return answer.status == 200 and "error" not in answer.json["results"][0]

    def by_batch(type_, data):
        answer = node.api("POST", "/api/v1/batch", {"commands": [{"publish": {"channel": "room:a", "type": type_, "data": data}}]})
        return answer.status == 200 and "error" not in answer.json["results"][0]

    def by_ingest(type_, data):
        dead = redis("XLEN", "carillon:ingest:dead")
        seen = node.metric("carillon_events_in_total", source="ingest")
        redis("XADD", "carillon:ingest", "*", "channel", "room:a", "type", type_, "data", json.dumps(data))
        until(lambda: redis("XLEN", "carillon:ingest:dead") > dead or node.metric("carillon_events_in_total", source="ingest") > seen,
              "the entry is published or dead-lettered")
        return redis("XLEN", "carillon:ingest:dead") == dead

    def by_redis(type_, data):
        channel, = redis("PUBSUB", "CHANNELS", "*{room:a}:live")
        redis("PUBLISH", channel, json.dumps({"type": type_, "data": data}))
        redis("PUBLISH", channel, '{"type":"notification","data":{"message":"fence"}}')
        while (message := client.receive())["type"] != "notification":
            if message["type"] == type_ and message["data"] == data and "offset" not in message:
                return client.find("notification") and True
        return False

    return [by_client, by_publish, by_broadcast, by_batch, by_ingest, by_redis]


def events_follow(after, type_, data):
    def check(change):
        node = change.start(rule(history={"size": 100}), with_redis=True)
        with node.connect() as client:
            client.subscribe("room:a")
            for way in ways_in(change, client):
                assert way(type_, data), f"{way.__name__} refuses it"
            change.to({**rule(history={"size": 100}), **after})
            for way in ways_in(change, client):
                until(lambda: not way(type_, data), f"{way.__name__} refuses it")
            change.to(rule(history={"size": 100}))
            for way in ways_in(change, client):
                until(lambda: way(type_, data), f"{way.__name__} takes it")
    return check


probe("events.custom")(events_follow({"events.custom": False}, "made_up", 1))
probe("limits.event_bytes")(events_follow({"limits.event_bytes": 256}, "made_up", "x" * 300))


# --- Redis and the log ---


@probe("redis.session_ttl")
def session_ttl(change):
    node = change.start({"redis.session_ttl": "1h"}, with_redis=True)
    with node.connect("ann", {"session_limit": 3}):
        change.to({"redis.session_ttl": "3s"})

        def ends_soon():
            key, = change.redis("KEYS", "*sessions")
            return float(change.redis("ZRANGE", key, 0, 0, "WITHSCORES")[1]) < (int(change.redis("TIME")[0]) + 10) * 1000

        until(ends_soon, "it is kept for three seconds at a time")


@probe("redis.linger")
def linger(change):
    node = change.start({"redis.linger": "10m"}, with_redis=True)
    change.to({"redis.linger": "0"})

    def is_left():
        with node.connect() as client:
            client.subscribe("brief")
            client.ask("unsubscribe", "unsubscribed", channel="brief")
            client.ask("ping", "pong")
        return not change.redis("PUBSUB", "CHANNELS", "*{brief}:live")

    until(is_left, "the channel is left at once")


@probe("log.level")
def log_level(change):
    node = change.start({"log.level": "info"})
    assert not accepts(node, "not a token") and "token refused" not in node.log()
    change.to({"log.level": "debug"})
    until(lambda: not accepts(node, "not a token") and "token refused" in node.log(), "it is logged")


@probe("log.format")
def log_format(change):
    node = change.start()
    change.to({"log.format": "json"})
    until(lambda: json.loads(node.log().splitlines()[-1]), "lines are JSON")
