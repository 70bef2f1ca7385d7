"""The client with a clock that jumps and a server that the test plays. A test that begins with `complaint` answers one of those that users have of such clients."""

import asyncio
import random

import pytest
from carillon_client import Carillon, CarillonError, Continuity, Position, Unauthorized
from carillon_client.backoff import Ending
from world import SESSION, FakeServer, World, event, play, settle


def test_connects_and_closes():
    async def test():
        world = World()
        async with world.client as client:
            assert client.state == "open" and client.session.user == "ann"
        assert world.states == ["connecting", "open", "closed"]
        assert [request.why for request in world.asked] == ["connect"]
        assert client.session is None and not world.server.open

    play(test)


def test_a_url_that_cannot_be_dialled_is_told_at_once():
    with pytest.raises(ValueError, match="is not a URL of a server"):
        Carillon("rt.example.com", lambda request: "t")


def test_complaint_already_subscribed_listeners_of_a_type_and_of_all_share_one_subscription():
    async def test():
        world = World()
        room, got = world.client.channel("room"), []
        assert room is world.client.channel("room")
        room.on("x", lambda event: got.append(("x", event.data)))
        off = room.on("*", lambda event: got.append(("*", event.data)))
        room.on("y", lambda event: got.append(("y", event.data)))
        await world.client.connect()
        await settle()
        assert room.state == "live" and world.server.line.types() == ["subscribe"]
        world.server.line.tell(event(1))
        await settle()
        off()
        world.server.line.tell({"type": "y", "channel": "room", "data": 2})
        world.server.line.tell({"type": "y", "channel": "another", "data": 3})
        await settle()
        assert got == [("x", 1), ("*", 1), ("y", 2)]
        await world.client.close()

    play(test)


def test_a_listener_that_fails_keeps_nothing_from_the_others(caplog):
    async def test():
        world = World()
        room, got = world.client.channel("room"), []
        room.on("x", lambda event: 1 / 0)
        room.on("x", lambda event: got.append(event.data))
        await world.client.connect()
        await settle()
        world.server.line.tell(event(1))
        await settle()
        assert got == [1] and "a listener failed" in caplog.text
        await world.client.close()

    play(test)


def test_missed_events_are_asked_for_and_come_once():
    async def test():
        world = World()
        room, got, told = world.client.channel("room"), [], []
        world.server.positions["room"] = {"epoch": "e", "offset": 4, "id": "i4"}
        room.on("*", lambda event: got.append(event.offset))
        room.on_continuity(told.append)
        await world.client.connect()
        await settle()
        for offset in (5, 6, 6, 5):
            world.server.line.tell(event(offset))
        await settle()
        assert room.position == Position("e", 6, "i6") and told == []
        world.server.positions["room"] = {"epoch": "e", "offset": 6, "id": "i6"}
        world.server.line.end(1006)
        await settle()
        assert room.state == "lost" and world.client.state == "reconnecting"
        await world.client.connect()
        await settle()
        assert world.server.line.last("subscribe")["data"]["since"] == {"epoch": "e", "offset": 6, "id": "i6"}
        for offset in (6, 7):
            world.server.line.tell(event(offset))
        await settle()
        assert got == [5, 6, 7]
        assert [(c.recovered, c.reason) for c in told] == [(True, None)]
        await world.client.close()

    play(test)


def test_a_gap_moves_the_position_and_is_told():
    async def test():
        world = World()
        room, got, told = world.client.channel("room"), [], []
        world.server.positions["room"] = {"epoch": "e", "offset": 90, "id": "i90"}
        room.on("*", lambda event: got.append(event.offset))
        room.on_continuity(told.append)
        await world.client.connect()
        await settle()
        world.server.line.tell(
            {"type": "gap", "channel": "room", "data": {"reason": "epoch_changed", "epoch": "f", "offset": 0}}
        )
        world.server.line.tell(event(1))
        await settle()
        assert got == [1] and room.position == Position("f", 1, "i1")
        assert (told[0].recovered, told[0].reason, told[0].position) == (False, "epoch_changed", Position("f", 0))
        await world.client.close()

    play(test)


@pytest.mark.parametrize("recovered", [True, False])
def test_the_since_of_the_first_listener_tells_what_is_missing(recovered):
    async def test():
        world = World()
        room, told = world.client.channel("room"), []
        world.server.positions["room"] = {"epoch": "e", "offset": 2 if recovered else 8, "recovered": recovered}
        room.on_continuity(told.append)
        room.on("*", lambda event: None, since=Position("e", 2))
        await world.client.connect()
        await settle()
        assert world.server.line.last("subscribe")["data"]["since"] == {"epoch": "e", "offset": 2}
        if recovered:
            assert told == [Continuity(True, Position("e", 2), None, 0)]
        else:
            assert told == [Continuity(False, Position("e", 8), "not_recovered", 6)]
        await world.client.close()

    play(test)


def test_the_since_of_the_first_listener_in_another_epoch():
    async def test():
        world = World()
        room, told = world.client.channel("room"), []
        world.server.positions["room"] = {"epoch": "f", "offset": 8, "recovered": False}
        room.on_continuity(told.append)
        room.on("*", lambda event: None, since=Position("e", 2))
        await world.client.connect()
        await settle()
        assert told == [Continuity(False, Position("f", 8), "not_recovered", None)]
        await world.client.close()

    play(test)


def test_positions_outlive_the_client():
    async def test():
        kept = {"room": Position("e", 6, "i6")}
        world = World(positions=kept)
        told = []
        room = world.client.channel("room")
        room.on_continuity(told.append)
        room.on("*", lambda event: None, last=10)
        world.server.positions["room"] = {"epoch": "e", "offset": 6, "id": "i6"}
        await world.client.connect()
        await settle()
        assert world.server.line.last("subscribe")["data"] == {
            "channel": "room", "since": {"epoch": "e", "offset": 6, "id": "i6"}}
        assert told[0].recovered
        await world.client.close()
        assert kept == {"room": Position("e", 6, "i6")}
        await world.client.sign_out()
        assert kept == {}

    play(test)


def test_a_channel_is_left_a_while_after_its_last_listener():
    async def test():
        world = World()
        room = world.client.channel("room")
        off = room.on("*", lambda event: None)
        await world.client.connect()
        await settle()
        off()
        await asyncio.sleep(1)
        off = room.on("*", lambda event: None)
        await asyncio.sleep(5)
        assert world.server.line.types() == ["subscribe"]
        off()
        off()
        await asyncio.sleep(3)
        assert world.server.line.types() == ["subscribe", "unsubscribe"] and room.state == "idle"
        await world.client.close()

    play(test)


def test_a_loop_over_events_ends_with_the_client():
    async def test():
        world = World()
        got = []

        async def loop():
            async for event in world.client.channel("room"):
                got.append(event.data)

        task = asyncio.create_task(loop())
        await world.client.connect()
        await settle()
        world.server.line.tell(event(1))
        world.server.line.tell(event(2))
        await settle()
        await world.client.close()
        await task
        assert got == [1, 2]

    play(test)


def test_a_loop_over_a_refused_channel_raises():
    async def test():
        world = World()
        world.server.answers = False

        async def loop():
            async for _ in world.client.channel("room"):
                pass

        task = asyncio.create_task(loop())
        await world.client.connect()
        await settle()
        id = world.server.line.last("subscribe")["id"]
        world.server.line.tell({"type": "error", "id": id, "error": {"code": "forbidden", "message": "no right"}})
        with pytest.raises(CarillonError, match="no right") as caught:
            await task
        assert caught.value.code == "forbidden" and caught.value.link.endswith("#forbidden")
        assert world.client.channel("room").state == "refused" and world.errors == []
        await world.client.close()

    play(test)


def test_a_loop_that_is_too_slow_is_told():
    async def test():
        world = World()

        async def loop():
            async for _ in world.client.channel("room").events(buffer=3):
                await asyncio.sleep(10)

        task = asyncio.create_task(loop())
        await world.client.connect()
        await settle()
        for offset in range(1, 9):
            world.server.line.tell(event(offset))
        with pytest.raises(CarillonError, match="3 events behind"):
            await task
        await world.client.close()

    play(test)


def test_a_subscribe_that_may_succeed_later_is_sent_again():
    async def test():
        world = World()
        world.server.answers = False
        room = world.client.channel("room")
        room.on("*", lambda event: None)
        await world.client.connect()
        await settle()
        id = world.server.line.last("subscribe")["id"]
        world.server.line.tell({"type": "error", "id": id, "error": {"code": "unavailable", "message": "later"}})
        world.server.answers = True
        await asyncio.sleep(2)
        assert room.state == "live" and world.server.line.types() == ["subscribe", "subscribe"]
        await world.client.close()

    play(test)


def test_a_subscribe_without_an_answer_tells_what_may_be_missing():
    async def test():
        world = World()
        world.server.answers = False
        room = world.client.channel("room")
        told = []
        room.on("*", lambda event: None)
        room.on_continuity(told.append)
        await world.client.connect()
        await settle()
        world.server.line.tell(event(1))  # the server has subscribed it, and its answer is lost
        await asyncio.sleep(14.5)
        assert world.server.line.types().count("subscribe") == 1
        world.server.answers = True
        world.server.positions["room"] = {"epoch": "e1", "offset": 1, "id": "i1"}
        await asyncio.sleep(2)
        assert room.state == "live" and world.server.line.types().count("subscribe") == 2
        assert [(told.recovered, told.reason, told.position.offset) for told in told] == [(False, "not_recovered", 1)]
        await world.client.close()

    play(test)


@pytest.mark.parametrize("live", [False, True])
def test_the_first_listener_after_presence_gets_the_earlier_events_by_history(live):
    async def test():
        world = World()
        world.server.answers = live
        world.server.positions["room"] = {"epoch": "e1", "offset": 10, "id": "i10", "recovered": False}
        room = world.client.channel("room")
        seen = []
        room.presence().on_change(lambda members: None)
        await world.client.connect()
        await settle()
        assert room.state == ("live" if live else "subscribing")
        room.on("*", lambda event: seen.append(event.offset), last=3)
        line = world.server.line
        if not live:
            line.tell({"type": "subscribed", "id": line.last("subscribe")["id"], "channel": "room", "data": world.server.positions["room"]})
        await settle()
        line.tell(event(11))
        asked = line.last("history")
        assert asked["data"] == {"channel": "room", "limit": 3}
        page = {"epoch": "e1", "offset": 11, "more": True, "events": [event(9), event(10), event(11)]}
        line.tell({"type": "history", "id": asked["id"], "channel": "room", "data": page})
        line.tell(event(12))
        await settle()
        assert seen == [9, 10, 11, 12]
        await world.client.close()

    play(test)


def test_the_first_listener_in_the_moment_of_presence_gets_the_earlier_events_by_the_subscribe():
    async def test():
        world = World()
        await world.client.connect()
        room = world.client.channel("room")
        room.presence().on_change(lambda members: None)
        room.on("*", lambda event: None, last=3)
        await settle()
        assert world.server.line.last("subscribe")["data"] == {"channel": "room", "last": 3}
        assert "history" not in world.server.line.types()
        await world.client.close()

    play(test)


def test_a_channel_without_history_is_not_asked_for_earlier_events():
    async def test():
        world = World()
        room = world.client.channel("room")
        seen = []
        room.presence().on_change(lambda members: None)
        await world.client.connect()
        await settle()
        room.on("*", lambda event: seen.append(event.data), last=3)
        world.server.line.tell({"type": "x", "channel": "room", "data": 1})
        await settle()
        assert seen == [1] and not world.errors and "history" not in world.server.line.types()
        await world.client.close()

    play(test)


def test_earlier_events_come_after_a_connection_that_broke_meanwhile():
    async def test():
        world = World()
        world.server.positions["room"] = {"epoch": "e1", "offset": 10, "id": "i10"}
        room = world.client.channel("room")
        seen = []
        room.presence().on_change(lambda members: None)
        await world.client.connect()
        await settle()
        room.on("*", lambda event: seen.append(event.offset), last=2)
        await settle()
        world.server.line.tell(event(11))
        await settle()
        world.server.positions["room"] = {"epoch": "e1", "offset": 11, "id": "i11"}
        world.server.open.clear()
        world.server.line.end(1006)
        await asyncio.sleep(2)
        line = world.server.line
        assert line.last("subscribe")["data"]["since"]["offset"] == 11
        await settle()
        page = {"epoch": "e1", "offset": 11, "more": True, "events": [event(10), event(11)]}
        line.tell({"type": "history", "id": line.last("history")["id"], "channel": "room", "data": page})
        await settle()
        assert seen == [10, 11]
        await world.client.close()

    play(test)


def test_a_subscription_that_the_server_ends_is_refused():
    async def test():
        world = World()
        room = world.client.channel("room")
        room.on("*", lambda event: None)
        await world.client.connect()
        await settle()
        world.server.line.tell({"type": "unsubscribed", "channel": "room"})
        await settle()
        assert room.state == "refused" and [error.code for error in world.errors] == ["unsubscribed"]
        await world.client.close()

    play(test)


def test_complaint_an_expired_token_loops_for_ever():
    """It is asked for once more at once, and then with back-off. No refused token is sent twice."""

    async def test():
        world = World()
        world.server.refuse = [Ending(1006, "token_expired", 401)] * 6
        loop = asyncio.get_running_loop()
        begin = loop.time()
        await world.client.connect()
        assert [request.why for request in world.asked] == ["connect"] + ["refused"] * 6
        assert world.asked[1].refusal.reason == "token_expired"
        assert world.server.line.token == "t7"
        waits = [change.retry_in for change in world.changes if change.state == "reconnecting"]
        assert waits[0] == 0 and all(0 < wait <= 20 for wait in waits[1:])
        assert loop.time() - begin == pytest.approx(sum(waits), abs=1)
        await world.client.close()

    play(test)


def test_a_refused_token_is_never_sent_twice():
    async def test():
        world = World(get_token=lambda request: "the same")
        world.server.refuse = [Ending(1006, "token_invalid", 401)] * 100
        task = asyncio.create_task(world.client.connect())
        await asyncio.sleep(600)
        assert len(world.server.refuse) == 99
        assert "refused" in str(world.errors[0])
        await world.client.close()
        with pytest.raises(CarillonError):
            await task

    play(test)


def test_signed_out_ends_the_client():
    async def test():
        def token(request):
            raise Unauthorized

        world = World(get_token=token)
        with pytest.raises(CarillonError) as caught:
            await world.client.connect()
        assert caught.value.reason == "signed_out" and not caught.value.retryable
        assert world.client.state == "closed"
        with pytest.raises(CarillonError, match="the client is closed: signed_out"):
            await world.client.channel("room").publish("x", 1)
        with pytest.raises(CarillonError, match="the client is closed: signed_out"):
            world.client.channel("room").on("x", print)

    play(test)


def test_a_token_function_that_fails_or_hangs_is_asked_again():
    async def test():
        asked = []

        async def token(request):
            asked.append(request)
            if len(asked) == 1:
                raise OSError("no route")
            if len(asked) == 2:
                await asyncio.sleep(1e5)
            return "t"

        world = World(get_token=token)
        await world.client.connect()
        assert len(asked) == 3 and str(world.errors[0]) == "no route"
        await world.client.close()

    play(test)


@pytest.mark.parametrize("code, reason", [(1008, "scope_missing"), (1003, "data_kind"), (1008, "bad_messages")])
def test_complaint_a_lifecycle_that_cannot_be_seen_what_is_final_has_its_code_and_reason(code, reason):
    async def test():
        world = World()
        room = world.client.channel("room")
        await world.client.connect()

        async def loop():
            async for _ in room:
                pass

        task = asyncio.create_task(loop())
        await settle()
        world.server.line.end(code, reason)
        await asyncio.sleep(600)
        assert world.client.state == "closed" and len(world.server.lines) == 1
        with pytest.raises(CarillonError, match=reason):
            await task

    play(test)


def test_the_servers_word_for_how_long_to_wait_wins():
    async def test():
        world = World()
        world.server.refuse = [Ending(1006, "draining", 503, 77.0)]
        await world.client.connect()
        assert [change.retry_in for change in world.changes if change.state == "reconnecting"] == [77]
        await world.client.close()

    play(test)


def test_delays_are_spread_and_bounded():
    async def test():
        world = World()
        world.server.refuse = [Ending(1006)] * 300
        await world.client.connect()
        waits = [change.retry_in for change in world.changes if change.state == "reconnecting"]
        assert len(waits) == 300 and max(waits) < 20
        late = waits[10:]
        assert min(late) < 2 and max(late) > 18 and 8 < sum(late) / len(late) < 12
        assert all(wait <= 2**n for n, wait in enumerate(waits[:5]))
        await world.client.close()

    play(test)


def test_a_draining_server_spreads_its_clients():
    async def test():
        world = World()
        await world.client.connect()
        world.server.line.tell({"type": "reconnect", "data": {"reason": "draining", "after_ms": 5000}})
        await asyncio.sleep(4.5)
        assert len(world.server.lines) == 1 and world.client.state == "open"
        await asyncio.sleep(1)
        assert len(world.server.lines) == 2 and world.client.state == "open"
        assert world.server.lines[0].closed
        await world.client.close()

    play(test)


def test_the_token_is_refreshed_once_at_80_percent():
    async def test():
        world = World()
        world.server.session = {**SESSION, "data": {**SESSION["data"], "expires_at": "2026-01-15T10:31:40.000Z"}}
        await world.client.connect()
        await asyncio.sleep(79)
        assert len(world.asked) == 1
        await asyncio.sleep(2)
        world.server.line.tell({"type": "warning", "data": {"code": "token_expiring", "message": "soon"}})
        await settle()
        assert [request.why for request in world.asked] == ["connect", "refresh", "refresh"]
        assert world.server.line.types() == ["ping", "ping", "refresh", "refresh"]
        assert world.server.line.last("refresh")["data"] == {"token": "t3"}
        assert world.client.session.expires_at.hour == 12
        world.server.line.end(1006)
        await settle()
        await world.client.connect()
        assert world.server.line.token == "t3"
        await world.client.close()

    play(test)


def test_a_refresh_counts_by_the_servers_clock():
    """The clock of this machine is years away from that of the fake server."""

    async def test():
        world = World()
        world.server.session = {**SESSION, "data": {**SESSION["data"], "expires_at": "2026-01-15T11:30:00.000Z"}}
        await world.client.connect()
        await asyncio.sleep(2881)  # refreshed until 12:30, 71 minutes and 59 seconds from now
        assert len(world.asked) == 2
        await asyncio.sleep(0.8 * (7200 - 2881) - 5)
        assert len(world.asked) == 2
        await asyncio.sleep(10)
        assert len(world.asked) == 3
        await world.client.close()

    play(test)


def test_a_refused_refresh_is_tried_with_another_token():
    async def test():
        world = World()
        world.server.answers = False
        await world.client.connect()
        world.server.line.tell({"type": "warning", "data": {"code": "token_expiring", "message": "soon"}})
        await settle()
        id = world.server.line.last("refresh")["id"]
        world.server.line.tell({"type": "error", "id": id, "error": {"code": "unauthorized", "message": "expired"}})
        world.server.answers = True
        await settle()
        assert [request.why for request in world.asked] == ["connect", "refresh", "refused"]
        assert world.server.line.last("refresh")["data"] == {"token": "t3"} and world.client.state == "open"
        await world.client.close()

    play(test)


def test_complaint_silent_death():
    async def test():
        world = World()
        await world.client.connect()
        await asyncio.sleep(100)
        assert world.server.line.types() == ["ping"] * 2 and world.client.state == "open"
        world.server.answers = False
        await asyncio.sleep(45)
        reasons = [change.reason for change in world.changes if change.state == "reconnecting"]
        assert reasons == ["silent"]
        await world.client.close()

    play(test)


def test_a_line_that_does_not_open_is_given_up():
    async def test():
        world = World()
        world.server.session = None
        task = asyncio.create_task(world.client.connect())
        await asyncio.sleep(9)
        world.server.session = SESSION
        await task
        assert [change.reason for change in world.changes if change.state == "reconnecting"] == ["timeout"]
        await world.client.close()

    play(test)


def test_complaint_sends_while_offline_lost_a_publish_with_an_event_id_survives_the_connection():
    async def test():
        world = World()
        await world.client.connect()
        world.server.answers = False
        task = asyncio.create_task(world.client.channel("room").publish("x", 1, event_id="e1", echo=False))
        await settle()
        world.server.answers = True
        world.server.line.end(1006)
        assert (await task).id == "p1"
        sent = [line.last("publish")["data"] for line in world.server.lines]
        assert sent == [{"channel": "room", "type": "x", "data": 1, "event_id": "e1", "echo": False}] * 2
        await world.client.close()

    play(test)


def test_complaint_sends_while_offline_doubled_a_publish_without_an_event_id_is_sent_once():
    async def test():
        world = World()
        await world.client.connect()
        world.server.answers = False
        task = asyncio.create_task(world.client.channel("room").publish("x", 1))
        await settle()
        world.server.line.end(1006)
        with pytest.raises(CarillonError) as caught:
            await task
        assert caught.value.code == "offline" and caught.value.retryable
        await world.client.connect()
        await settle()
        assert "publish" not in world.server.line.types()
        await world.client.close()

    play(test)


def test_a_publish_that_is_too_large_is_not_sent():
    """The server would close the connection for good."""

    async def test():
        world = World()
        async with world.client as client:
            room = client.channel("room")
            for text in ("x" * 70_000, "\N{SNOWMAN}" * 25_000):
                with pytest.raises(CarillonError, match="publish has 7.* bytes, and the server takes 65536 at most") as caught:
                    await room.publish("x", text)
                assert caught.value.code == "too_large" and not caught.value.retryable
            assert world.server.line.types() == [] and client.state == "open"
            assert (await room.publish("x", "x" * 65_000)).id == "p1"

    play(test)


@pytest.mark.parametrize("event_id", [None, "e1"])
@pytest.mark.parametrize(("code", "reason"), [(1009, "message_too_big"), (1008, "bad_messages")])
def test_a_final_end_fails_what_is_under_way(code, reason, event_id):
    async def test():
        world = World()
        await world.client.connect()
        world.server.answers = False
        room = world.client.channel("room")
        room.on("*", lambda event: None)
        room.presence().on_change(lambda members: None)
        task = asyncio.create_task(room.publish("x", 1, event_id=event_id))
        await settle()
        world.server.line.end(code, reason)
        with pytest.raises(CarillonError) as caught:
            await task
        assert (caught.value.code, caught.value.reason, caught.value.retryable) == ("closed", reason, False)
        await settle()
        assert room.state == "lost" and world.errors == []  # `connect` brings it back

    play(test)


def test_calls_end_in_time():
    async def test():
        world = World()
        world.server.refuse = [Ending(1006)] * 1000
        with pytest.raises(CarillonError) as caught:
            await world.client.channel("room").history(timeout=3)
        assert caught.value.code == "offline"
        world.server.refuse = []
        world.server.answers = False
        await world.client.connect()
        with pytest.raises(CarillonError, match="no answer to publish came in 3 s") as caught:
            await world.client.channel("room").publish("x", 1, timeout=3)
        assert caught.value.code == "timeout"
        await world.client.close()

    play(test)


def test_presence_is_kept_by_joins_and_leaves():
    async def test():
        world = World()
        room, told = world.client.channel("room"), []
        presence = room.presence()
        off = presence.on_change(lambda members: told.append([member.user for member in members]))
        await world.client.connect()
        await settle()
        assert presence.ready and told == [["ann", "zoe"]]
        world.server.line.tell({"type": "join", "channel": "room", "data": {"user": "bob", "info": 1}})
        world.server.line.tell({"type": "leave", "channel": "room", "data": {"user": "ann"}})
        await settle()
        assert told[1:] == [["ann", "bob", "zoe"], ["bob", "zoe"]] and presence.members[0].info == 1
        world.server.line.tell({"type": "gap", "channel": "room", "data": {"reason": "connection_lost"}})
        await settle()
        assert told[-1] == ["ann", "zoe"]
        off()
        await asyncio.sleep(3)
        assert world.server.line.types()[-1] == "unsubscribe"
        await world.client.close()

    play(test)


def test_joins_before_the_answer_count_after_it():
    async def test():
        world = World()
        room = world.client.channel("room")
        presence = room.presence()
        presence.on_change(lambda members: None)
        world.server.answers = False
        await world.client.connect()
        await settle()
        line = world.server.line
        line.tell({"type": "subscribed", "id": line.last("subscribe")["id"], "channel": "room", "data": {"recovered": False}})
        await settle()
        line.tell({"type": "leave", "channel": "room", "data": {"user": "ann"}})
        line.tell({"type": "presence", "id": line.last("presence")["id"], "channel": "room", "data": {
            "members": [{"user": "ann"}, {"user": "bob"}], "next": None, "users": 2, "connections": 2}})
        await settle()
        assert [member.user for member in presence.members] == ["bob"]
        await world.client.close()

    play(test)


def test_presence_that_cannot_be_had_now_is_asked_for_again():
    async def test():
        world = World()
        room = world.client.channel("room")
        presence = room.presence()
        presence.on_change(lambda members: None)
        plain, failures = world.server.answer, iter([1, 2])

        def answer(line, command):
            if command["type"] == "presence" and next(failures, None):
                return line.tell({"type": "error", "id": command["id"], "error": {"code": "unavailable", "message": "later"}})
            plain(line, command)

        world.server.answer = answer
        await world.client.connect()
        await asyncio.sleep(10)
        assert presence.ready and world.errors == []
        await world.client.close()

    play(test)


def test_an_answer_to_an_earlier_subscribe_says_nothing():
    async def test():
        world = World(linger=0)
        world.server.answers = False
        room = world.client.channel("room")
        off = room.on("*", lambda event: None)
        await world.client.connect()
        await settle()
        first = world.server.line.last("subscribe")["id"]
        off()
        await asyncio.sleep(0.1)
        room.on("*", lambda event: None)
        await settle()
        assert world.server.line.types() == ["subscribe", "unsubscribe", "subscribe"]
        for id in (first, world.server.line.last("subscribe")["id"]):
            assert room.state == "subscribing"
            world.server.line.tell({"type": "subscribed", "id": id, "channel": "room", "data": {"recovered": False}})
            await settle()
        assert room.state == "live"
        world.server.line.tell({"type": "unsubscribed", "channel": "room"})
        await settle()
        assert room.state == "refused"
        world.server.line.tell({"type": "subscribed", "channel": "room", "data": {"recovered": False}})
        await settle()
        assert room.state == "live"
        await world.client.close()

    play(test)


def test_a_refresh_that_fails_is_tried_again_and_not_at_once():
    async def test():
        asked = []

        def token(request):
            asked.append(request.why)
            if len(asked) > 1:
                raise OSError("no token")
            return "t"

        world = World(get_token=token)
        await world.client.connect()
        world.server.line.tell({"type": "warning", "data": {"code": "token_expiring", "message": "soon"}})
        await asyncio.sleep(60)
        assert set(asked[1:]) == {"refresh"} and 4 <= len(asked) <= 30 and world.client.state == "open"
        await world.client.close()

    play(test)


def test_complaint_state_that_survives_logout():
    """After `sign_out` nobody is told anything, nothing is sent, and nothing dials."""

    async def test():
        for closed_before in (False, True):
            positions = {}
            world = World(positions=positions)
            world.server.positions["room"] = {"epoch": "e", "offset": 4, "id": "i4"}
            room, told = world.client.channel("room"), []
            presence = room.presence()
            room.on("*", told.append)
            room.on_continuity(told.append)
            room.on_state_change(lambda state: None)
            presence.on_change(lambda members: told.append(members))
            await world.client.connect()
            await settle()
            assert positions and told == [presence.members]
            del told[:]
            if closed_before:
                await world.client.close()
            await world.client.sign_out()
            assert world.client.state == "closed" and world.changes[-1].reason == "signed_out"
            assert (positions, world.client.session, room.state) == ({}, None, "idle")
            for call in (world.client.connect, lambda: room.publish("x", 1), room.history, room.members):
                with pytest.raises(CarillonError) as caught:
                    await call()
                assert (caught.value.code, caught.value.reason) == ("closed", "signed_out")
            with pytest.raises(CarillonError):
                room.on("*", told.append)
            with pytest.raises(CarillonError):
                room.presence().on_change(told.append)
            await asyncio.sleep(100)
            assert told == [] and len(world.asked) == len(world.server.lines) == 1 and not world.server.open

    play(test)


def test_a_closed_client_comes_back_with_what_it_missed():
    async def test():
        world = World()
        room, got = world.client.channel("room"), []
        world.server.positions["room"] = {"epoch": "e", "offset": 4, "id": "i4"}
        room.on("*", lambda event: got.append(event.offset))
        await world.client.connect()
        await settle()
        await world.client.close()
        assert room.state == "lost"
        await world.client.connect()
        await settle()
        assert world.server.line.last("subscribe")["data"]["since"]["offset"] == 4
        world.server.line.tell(event(5))
        await settle()
        assert got == [5]
        await world.client.close()

    play(test)


def test_frames_of_later_versions_are_ignored():
    async def test():
        world = World()
        room, got = world.client.channel("room"), []
        room.on("*", lambda event: got.append(event.frame))
        await world.client.connect()
        await settle()
        for frame in ({"type": "news", "x": 1}, {"no": "type"}, [], {"type": "gap"}):
            world.server.line.tell(frame)
        world.server.line.tell(event(1, priority="high"))
        await settle()
        assert [frame["priority"] for frame in got] == ["high"] and world.client.state == "open"
        await world.client.close()

    play(test)


@pytest.mark.parametrize("seed", range(200))
def test_whatever_happens_there_is_one_socket_and_nothing_is_left(seed):
    """Random ends, refusals, moves, failing tokens, silence and publishes. Every event comes once, in order."""
    chance = random.Random(seed)

    async def test():
        def token(request):
            if chance.random() < 0.2:
                raise OSError("no token")
            return next(world.tokens)

        world = World(get_token=token)
        room, got, history = world.client.channel("room"), [], 0
        world.server.positions["room"] = {"epoch": "e", "offset": 0}

        def answer(line, command, plain=world.server.answer):
            if command["type"] != "subscribe":
                return plain(line, command)
            since = command["data"].get("since", {"offset": history})["offset"]
            world.server.positions["room"] = {"epoch": "e", "offset": since}
            plain(line, command)
            for offset in range(since + 1, history + 1):
                line.tell(event(offset))

        world.server.answer = answer
        room.on("*", lambda event: got.append(event.offset))
        await world.client.connect()
        await settle()
        for _ in range(60):
            live = room.state == "live"
            line = world.server.line
            match chance.randrange(9):
                case 0:
                    line.end(chance.choice([1001, 1006, 1011, 1012, 1013]))
                case 1:
                    line.end(1008, chance.choice(["token_expired", "token_revoked", "disconnected"]))
                case 2:
                    line.tell({"type": "reconnect", "data": {"reason": "draining", "after_ms": chance.randrange(3000)}})
                case 3:
                    line.tell({"type": "warning", "data": {"code": "token_expiring", "message": ""}})
                case 4:
                    world.server.refuse = [Ending(1006, "", chance.choice([0, 401, 503]))] * chance.randrange(3)
                case 5:
                    world.server.answers = False
                    await asyncio.sleep(chance.random() * 60)
                    world.server.answers = True
                case 6:
                    await world.client.close()
                    await world.client.connect()
                case _:
                    history += 1
                    if live and not line._ended:
                        line.tell(event(history))
            await asyncio.sleep(chance.choice([0, 0, 0.001, 0.5, 10]))
        world.server.refuse = []
        world.server.line.end(1006)
        await asyncio.sleep(300)
        assert world.client.state == "open" and room.state == "live"
        assert got == list(range(1, history + 1))
        await world.client.close()
        assert not world.server.open

    play(test)
