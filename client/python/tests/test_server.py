"""The client against the real server (CARILLON_BIN), and the vectors that any client can run against `carillon dev`."""

import asyncio
import base64
import json
import re
import sys
from pathlib import Path

import pytest
from carillon_client import Carillon, CarillonError, Position, Unauthorized
from carillon_client.backoff import Ending, judge
from carillon_client.websocket import Ended, dial
from test_vectors import cases

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests"))

from support import jwt  # noqa: E402
from support.carillon import BINARY, Node, Process  # noqa: E402
from support.tls import Certificate  # noqa: E402
from support.wait import DEADLINE_S, until  # noqa: E402

pytestmark = pytest.mark.skipif(not Path(BINARY).exists(), reason="there is no binary: set CARILLON_BIN")

RULES = [
    {"match": "log:*", "allow": ["subscribe", "publish", "presence", "history"], "presence": True, "presence_events": True,
     "history": {"size": 1000, "ttl": "10m"}},
    {"match": "short:*", "allow": ["subscribe", "publish", "history"], "history": {"size": 2, "ttl": "10m"}},
    {"match": "plain:*", "allow": ["subscribe", "publish"]},
]


@pytest.fixture
def node(tmp_path):
    node = Node(tmp_path, {"channels": RULES, "workers": 1})
    yield node
    node.close()


def client_of(node, sub="ann", get_token=None, **options):
    options.setdefault("reconnect_delay", 0.1)
    host, port = node.public
    return Carillon(f"http://{host}:{port}", get_token or (lambda request: jwt.mint(sub)), **options)


def play(test):
    async def bounded():
        async with asyncio.timeout(DEADLINE_S):
            await test()
        await asyncio.sleep(0.05)  # the package websockets has tasks of its own that end a moment later
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        assert not rest, f"tasks are left: {rest}"

    asyncio.run(bounded())


async def see(condition):
    """Waits until something holds."""
    while not condition():
        await asyncio.sleep(0.01)


def end_sessions(node, user, **more):
    answer = node.api("POST", "/api/v1/disconnect", {"user": user, **more})
    assert answer.json == {"count": 1}, answer


def test_events_publish_history_and_presence(node):
    async def test():
        async with client_of(node, "ann") as ann, client_of(node, "bob") as bob:
            room, got = ann.channel("log:1"), []
            off = room.on("note", got.append)
            members = []
            room.presence().on_change(members.append)
            await see(lambda: members)
            bob.channel("log:1").on("*", lambda event: None)
            await see(lambda: [member.user for member in members[-1]] == ["ann", "bob"])
            first = await bob.channel("log:1").publish("note", {"n": 1.50, "text": "é"}, event_id="a")
            again = await bob.channel("log:1").publish("note", {"n": 1.50, "text": "é"}, event_id="a")
            assert again.duplicate and again.id == first.id and first.offset == 1
            await see(lambda: got)
            assert (got[0].id, got[0].user, got[0].data, got[0].offset) == (first.id, "bob", {"n": 1.5, "text": "é"}, 1)
            page = await room.history(limit=10)
            assert [event.id for event in page.events] == [first.id] and not page.more and page.epoch == room.position.epoch
            assert (await room.history(since=room.position)).events == []
            assert [member.user for member in await room.members()] == ["ann", "bob"]
            with pytest.raises(CarillonError) as caught:
                await room.publish("Bad Type", 1)
            assert caught.value.code == "invalid_request"
            off()
        assert room.position.offset == 1

    play(test)


def test_echo_false_leaves_the_sender_out(node):
    async def test():
        async with client_of(node) as client:
            room, got = client.channel("log:1"), []
            room.on("*", lambda event: got.append(event.data))
            await see(lambda: room.state == "live")
            await room.publish("note", 1, echo=False)
            await room.publish("note", 2)
            await see(lambda: got)
            assert got == [2] and room.position.offset == 2

    play(test)


def test_missed_events_come_after_a_lost_connection(node):
    async def test():
        async with client_of(node) as client:
            got, told, changes = [], [], []
            client.on_state_change(changes.append)
            room = client.channel("log:1")
            room.on_continuity(told.append)

            async def loop():
                async for event in room:
                    got.append(event.data)

            task = asyncio.create_task(loop())
            await see(lambda: room.state == "live")
            for n in range(300):
                await asyncio.to_thread(node.publish, "log:1", n)
                if n % 60 == 30:
                    await see(lambda: room.state == "live")
                    changes.clear()
                    await asyncio.to_thread(end_sessions, node, "ann", code=1012)
                    await see(lambda: changes)
            await see(lambda: len(got) == 300 and room.state == "live")
            assert got == list(range(300)) and len(told) == 5 and all(c.recovered for c in told)
        await task

    play(test)


def test_a_further_listener_gets_its_earlier_events_while_others_are_published(node):
    async def test():
        async with client_of(node) as client:
            room = client.channel("log:1")
            seen = {"live": [], "last": [], "since": []}
            errors = []
            client.on_error(errors.append)
            room.on("*", lambda event: seen["live"].append(event.data))
            await see(lambda: room.state == "live")
            start = room.position
            for n in range(1, 401):  # a page has about 256 KiB
                node.api("POST", "/api/v1/publish", {"channel": "log:1", "type": "x", "data": [n, "x" * 1500]})
            await see(lambda: len(seen["live"]) == 400)
            room.on("*", lambda event: seen["last"].append(event.data), last=250)
            room.on("*", lambda event: seen["since"].append(event.data), since=start)
            looped = asyncio.create_task(first_of(room.events(since=start, buffer=10), 410))
            for n in range(401, 411):
                await room.publish("x", [n])
            await see(lambda: all(got and got[-1] == [410] for got in seen.values()))
            newest = [data[0] for data in seen["last"]]  # counted when the server read the history
            assert 250 <= len(newest) <= 260 and newest == list(range(411 - len(newest), 411))
            assert [data[0] for data in seen["since"]] == list(range(1, 411)) == [event.data[0] for event in await looped]
            assert not errors

    play(test)


def test_a_further_listener_is_told_that_the_history_does_not_reach_back(node):
    async def test():
        async with client_of(node) as client:
            room = client.channel("short:2")
            seen, errors = [], []
            client.on_error(lambda error: errors.append(error.code))
            room.on("*", lambda event: None)
            await see(lambda: room.state == "live")
            start = room.position
            for n in range(1, 6):
                await room.publish("x", n)
            room.on("*", lambda event: seen.append(event.data), since=start)
            await room.publish("x", 6)
            await see(lambda: 6 in seen)
            assert errors == ["history_too_short"] and seen[-3:] in ([4, 5, 6], [5, 6])

    play(test)


@pytest.mark.parametrize("epoch", ["of the channel", "another"])
def test_the_first_listener_is_told_that_the_history_does_not_reach_back(node, epoch):
    async def test():
        async with client_of(node) as client:
            room = client.channel("short:3")
            seen, told = [], []
            for n in range(1, 9):
                await room.publish("x", n)
            start = Position((await room.history()).epoch if epoch == "of the channel" else "zzzzzzzz", 1)
            room.on_continuity(told.append)
            room.on("*", lambda event: seen.append(event.data), since=start)
            await see(lambda: told)
            missed = 7 if epoch == "of the channel" else None
            assert [(c.recovered, c.reason, c.missed, c.position.offset) for c in told] == [(False, "not_recovered", missed, 8)]
            await room.publish("x", 9)
            await see(lambda: seen == [9])

    play(test)


def test_a_publish_that_is_too_large_does_not_end_the_client(node):
    async def test():
        async with client_of(node) as client:
            room = client.channel("log:2")
            most = client.session.limits["message_bytes"]
            with pytest.raises(CarillonError) as caught:
                await room.publish("x", "x" * most)
            assert caught.value.code == "too_large" and not caught.value.retryable
            await room.publish("x", "x" * (most - 200))
            assert client.state == "open" and len((await room.history()).events) == 1

    play(test)


async def first_of(events, count):
    got = []
    async for event in events:
        got.append(event)
        if len(got) == count:
            break
    await events.aclose()
    return got


def test_tls_with_a_certificate_of_ones_own(tmp_path):
    node = Node(tmp_path, {"channels": RULES, "workers": 1}, certificate=Certificate(tmp_path))

    async def test():
        url = "https://{}:{}".format(*node.public)
        async with Carillon(url, lambda request: jwt.mint("ann"), ssl=node.tls) as client:
            assert (await client.channel("log:1").publish("note", 1)).offset == 1
        changes = []
        stranger = Carillon(url, lambda request: jwt.mint("ann"))
        stranger.on_state_change(changes.append)
        connecting = asyncio.create_task(stranger.connect())
        await see(lambda: len(changes) > 1)
        assert changes[1].state == "reconnecting" and "certificate" in changes[1].reason.lower()
        await stranger.close()
        with pytest.raises(CarillonError):
            await connecting

    play(test)
    node.close()


def test_what_cannot_be_recovered_is_told(node):
    async def test():
        kept = {}
        client = client_of(node, positions=kept)
        client.channel("short:1").on("*", lambda event: None)
        client.channel("plain:1").on("*", lambda event: None)
        async with client:
            await see(lambda: client.channel("short:1").state == "live")
            await asyncio.to_thread(node.publish, "short:1", 0)
            await see(lambda: kept["short:1"].offset == 1)
        for n in range(5):
            await asyncio.to_thread(node.publish, "short:1", n)
        async with client_of(node, positions=kept) as client:
            told, room = [], client.channel("short:1")
            room.on_continuity(told.append)
            room.on("*", lambda event: None)
            await see(lambda: told)
            assert not told[0].recovered and told[0].reason == "not_recovered" and told[0].position.offset == 6

    play(test)


def test_a_server_that_was_killed_comes_back_with_another_epoch(tmp_path):
    async def test():
        first = Node(tmp_path, {"channels": RULES, "workers": 1}, name="first")
        async with client_of(first) as client:
            told, got, room = [], [], client.channel("log:1")
            room.on_continuity(told.append)
            room.on("*", lambda event: got.append(event.data))
            await see(lambda: room.state == "live")
            await asyncio.to_thread(first.publish, "log:1", 1)
            await see(lambda: got == [1])
            await asyncio.to_thread(first.kill)
            await see(lambda: client.state == "reconnecting")
            second = await asyncio.to_thread(
                Node, tmp_path, {"channels": RULES, "workers": 1, "port": first.public[1]}, "second")
            await see(lambda: told)
            assert not told[0].recovered and room.state == "live"
            await asyncio.to_thread(second.publish, "log:1", 2)
            await see(lambda: got == [1, 2])
        await asyncio.to_thread(second.close)

    play(test)


def test_a_draining_node_tells_its_clients_when_to_move(tmp_path):
    node = Node(tmp_path, {"channels": RULES, "workers": 1, "drain_window": "1s"})

    async def test():
        client, changes = client_of(node), []
        client.on_state_change(changes.append)
        await client.connect()
        closing = asyncio.create_task(asyncio.to_thread(node.close))
        await see(lambda: client.state == "reconnecting")
        first = [change for change in changes if change.state == "reconnecting"][0]
        assert (first.code, first.retry_in) == (1001, 0)
        await closing
        await client.close()

    play(test)


def test_tokens_are_refreshed_before_they_end(node):
    async def test():
        asked = []

        def token(request):
            asked.append(request.why)
            return jwt.mint("ann", expires_s=3)

        async with client_of(node, get_token=token) as client:
            first = client.session.id
            await see(lambda: asked.count("refresh") == 3)  # so that the first token has ended
            assert client.session.id == first and asked[0] == "connect" and set(asked) == {"connect", "refresh"}

    play(test)


def test_a_revoked_token_is_replaced_once(node):
    async def test():
        asked = []

        def token(request):
            asked.append(request)
            return jwt.mint("ann", jti=f"j{len(asked)}")

        async with client_of(node, get_token=token) as client:
            first = client.session.id
            answer = await asyncio.to_thread(node.api, "POST", "/api/v1/revoke", {"jti": "j1"})
            assert answer.status == 200
            await see(lambda: client.session and client.session.id != first)
            assert [request.why for request in asked] == ["connect", "refused"]
            assert asked[1].refusal.reason == "token_revoked"

    play(test)


def test_a_user_who_is_signed_out_stays_out(node):
    async def test():
        def token(request):
            if request.why == "refused":
                raise Unauthorized
            return jwt.mint("ann", expires_s=-3600)

        with pytest.raises(CarillonError) as caught:
            await client_of(node, get_token=token).connect()
        assert caught.value.reason == "signed_out"

    play(test)


def test_a_channel_without_a_rule_is_refused(node):
    async def test():
        async with client_of(node) as client:
            with pytest.raises(CarillonError) as caught:
                async for _ in client.channel("secret:1"):
                    pass
            assert caught.value.code in ("forbidden", "unauthorized") and not caught.value.retryable

    play(test)


@pytest.fixture(scope="module")
def dev(tmp_path_factory):
    """`carillon dev`: its URL and the demo token."""
    process = Process(tmp_path_factory.mktemp("dev"), ["dev", "--port", 0, "--internal-port", 0], "dev")
    found = until(lambda: re.search(r"(ws://[^/]+)/ws\?token=(\S+)", process.output()), "carillon dev prints its URL")
    yield found.groups()
    process.close()


def has(frame, expected):
    """Whether a frame has the members that are expected."""
    if isinstance(expected, dict):
        return isinstance(frame, dict) and all(name in frame and has(frame[name], value) for name, value in expected.items())
    return frame == expected


async def check_end(expected, wait):
    with pytest.raises(Ended) as caught:
        await wait
    ending = caught.value.ending
    assert judge(ending) == expected["verdict"], ending
    if "status" in expected:
        assert ending.status == expected["status"]
        if ending.reason:  # the package websockets before version 13 does not give the body of a refusal
            assert ending.reason == expected.get("reason", "")
    else:
        assert ending == Ending(expected["code"], expected["reason"])


@pytest.mark.parametrize("case", cases("live.json"))
def test_live_vectors(dev, case):
    url, demo = dev
    token = {None: None, "$TOKEN": demo}.get(case["token"], case["token"])

    async def frame(line):
        return json.loads(await line.receive())

    async def test():
        opening = dial(url + case.get("path", "/ws"), token)
        if "refused" in case["steps"][0]:
            return await check_end(case["steps"][0]["refused"], opening)
        line = await opening
        for step in case["steps"]:
            (what, value), = step.items()
            if what == "send":
                await line.send(json.dumps(value))
            elif what == "send_text":
                await line.send(value)
            elif what == "send_binary":
                await line.send(base64.b64decode(value))
            elif what == "receive":
                got = await frame(line)
                assert has(got, value), (got, value)
            elif what == "receive_any":
                got = [await frame(line) for _ in value]
                assert all(any(has(one, expected) for one in got) for expected in value), got
            else:
                await check_end(value, line.receive())
        await line.close()

    play(test)
