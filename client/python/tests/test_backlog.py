"""A listener with `last` or `since` on a channel that is subscribed already: its earlier events, in order and once."""

import asyncio

import pytest
from carillon_client import Position
from world import World, event, play, settle


def page(first, last, more=False, epoch="e1", offset=None):
    events = [event(offset) for offset in range(first, last + 1)]
    return {"type": "history", "data": {"epoch": epoch, "offset": last if offset is None else offset, "more": more, "events": events}}


def failure(code):
    return {"type": "error", "error": {"code": code, "message": "no"}}


class Live(World):
    """A live channel at offset 10, with a listener that has asked for nothing."""

    async def begin(self, **first):
        self.server.positions["room"] = {"epoch": "e1", "offset": 10, "id": "i10"}
        self.room = self.client.channel("room")
        self.before = self.listen(**first)
        self.answered = set()
        await self.client.connect()
        await settle()
        return self

    def listen(self, **options):
        seen = []
        self.room.on("*", lambda event: seen.append(event.offset), **options)
        return seen

    @property
    def pages(self):
        return [{k: v for k, v in sent["data"].items() if k != "channel"} for sent in self.server.line.sent if sent["type"] == "history"]

    async def tell(self, *frames):
        for frame in frames:
            self.server.line.tell(frame)
        await settle()

    async def answer(self, frame):
        """Answers the first `history` of this line that has no answer yet."""
        await settle()
        line = self.server.line
        sent = next(sent for sent in line.sent if sent["type"] == "history" and (line, sent["id"]) not in self.answered)
        self.answered.add((line, sent["id"]))
        await self.tell({"channel": "room", **frame, "id": sent["id"]})

    async def come_back(self, offset, recovered=True):
        self.server.positions["room"] = {"epoch": "e1", "offset": offset, "id": f"i{offset}", "recovered": recovered}
        self.server.open.clear()
        self.server.line.end(1006)
        await asyncio.sleep(5)


def with_live(test, **first):
    async def run():
        world = await Live().begin(**first)
        await test(world)
        await world.client.close()

    play(run)


def at(offset):
    return Position("e1", offset)


def wire(offset):
    return {"epoch": "e1", "offset": offset}


def test_it_gets_the_last_ones_and_then_the_live_ones_each_once_and_the_others_get_live_ones_at_once():
    async def test(world):
        seen = world.listen(last=3)
        await world.tell(event(11), event(12))
        assert (world.before, seen) == ([11, 12], [])
        await world.answer(page(10, 13))  # the server has another one already
        await world.tell(event(13), event(14))
        assert world.before == [11, 12, 13, 14] and seen == [10, 11, 12, 13, 14] and world.pages == [{"limit": 3}]

    with_live(test)


def test_of_several_each_gets_its_own_number_also_before_the_channel_is_live():
    async def test():
        world = Live()
        world.room, world.answered = world.client.channel("room"), set()
        world.server.positions["room"] = {"epoch": "e1", "offset": 8}
        two, same, three = world.listen(last=2), world.listen(last=2), world.listen(last=3)
        await world.client.connect()
        await settle()
        await world.tell(event(9), event(10))
        await world.answer(page(8, 10))
        await world.tell(event(11))
        assert world.server.line.last("subscribe")["data"] == {"channel": "room", "last": 2} and world.pages == [{"limit": 3}]
        assert (two, same, three) == ([9, 10, 11], [9, 10, 11], [8, 9, 10, 11])
        await world.client.close()

    play(test)


def test_it_gets_the_last_ones_of_pages_that_end_early_because_their_events_are_large():
    async def test(world):
        seen = world.listen(last=5)
        await world.answer(page(9, 10, more=True))
        await world.answer(page(7, 8, more=True))
        await world.answer(page(6, 6, more=True))
        assert seen == [6, 7, 8, 9, 10]
        assert world.pages == [{"limit": 5}, {"limit": 3, "before": wire(9)}, {"limit": 1, "before": wire(7)}]

    with_live(test)


def test_it_gets_all_pages_after_its_position_until_the_live_ones():
    async def test(world):
        seen = world.listen(since=at(3))
        await world.answer(page(4, 6, more=True))
        await world.tell(event(11))
        await world.answer(page(7, 9, more=True))
        await world.answer(page(10, 11, more=True))  # events are published faster than they are read
        await world.tell(event(12))
        assert seen == list(range(4, 13)) and not world.errors
        assert [asked["since"] for asked in world.pages] == [wire(3), wire(6), wire(9)]

    with_live(test)


@pytest.mark.parametrize("rest", [page(6, 10), page(1, 0, offset=10)])
def test_it_is_told_by_an_error_that_the_history_does_not_reach_back_to_its_position(rest):
    async def test(world):
        seen = world.listen(since=at(4))
        await world.answer(rest)
        await world.tell(event(11))
        assert seen == [*(event["offset"] for event in rest["data"]["events"]), 11]
        assert [error.code for error in world.errors] == ["history_too_short"]

    with_live(test)


def test_it_gets_them_although_the_server_has_no_time_for_a_page_and_all_again_after_a_broken_connection():
    async def test(world):
        seen = world.listen(since=at(6))
        await world.answer(page(7, 8, more=True))
        await world.answer(failure("rate_limited"))
        await asyncio.sleep(1)
        assert len(world.pages) == 3
        await world.come_back(10)
        await world.answer(page(7, 10))
        await world.tell(event(11))
        assert seen == [7, 8, 9, 10, 11] and not world.errors

    with_live(test)


def test_it_gets_what_was_missed_by_the_subscribe_and_the_earlier_ones_by_history():
    async def test(world):
        seen = world.listen(last=2)
        await world.tell(event(11))
        await world.come_back(11)
        assert world.server.line.last("subscribe")["data"]["since"]["offset"] == 11
        await world.tell(event(12))
        await world.answer(page(11, 12))
        await world.tell(event(13))
        assert seen == [11, 12, 13] and world.before == [11, 12, 13]

    with_live(test)


def test_what_waits_does_not_count_once_events_are_missing():
    async def test(world):
        seen = world.listen(last=2)
        await world.tell(event(11))
        await world.come_back(20, recovered=False)
        await world.answer(page(19, 20))
        await world.tell(event(21))
        assert seen == [19, 20, 21]

    with_live(test)


def test_it_gets_the_live_ones_alone_where_the_server_does_not_give_a_page_at_all():
    async def test(world):
        seen = world.listen(last=2)
        for _ in range(5):
            await world.answer(failure("unavailable"))
            await asyncio.sleep(4)
        await world.tell(event(11))
        assert seen == [11] and len(world.pages) == 5 and [error.code for error in world.errors] == ["unavailable"]
        world.listen(last=2)
        await world.answer(failure("unavailable"))  # and no timer is left

    with_live(test)


def test_it_gets_the_live_ones_alone_where_it_may_not_read_the_history_and_is_told_why():
    async def test(world):
        seen = world.listen(last=2)
        await world.tell(event(11))
        await world.answer(failure("forbidden"))
        assert seen == [11] and [error.code for error in world.errors] == ["forbidden"]

    with_live(test)


def test_it_gets_those_of_the_history_that_began_anew_meanwhile():
    async def test(world):
        seen = world.listen(last=2)
        gap = {"type": "gap", "channel": "room", "data": {"reason": "epoch_changed", "epoch": "e2", "offset": 1}}
        await world.tell(event(11), gap)
        line = world.server.line
        await world.answer(page(9, 10))  # of before
        await world.answer(page(1, 1, epoch="e2"))
        await world.tell(event(2))
        assert line is world.server.line and seen == [1, 2]

    with_live(test)


def test_a_listener_that_goes_amid_them_is_told_no_more():
    async def test(world):
        seen = []

        def listener(event):
            seen.append(event.offset)
            if len(seen) == 2:
                off()

        off = world.room.on("*", listener, last=3)
        await world.answer(page(8, 10))
        await world.tell(event(11))
        assert seen == [8, 9]

    with_live(test)


def test_a_listener_that_another_one_removes_is_not_told_of_that_event():
    async def test(world):
        seen = []
        world.room.on("*", lambda event: off())
        off = world.room.on("*", lambda event: seen.append(event.offset))
        await world.tell(event(11))
        assert seen == []

    with_live(test)


@pytest.mark.parametrize("recovered", [True, False])
def test_the_first_listener_of_all_that_has_a_position_is_told_whether_all_after_it_comes(recovered):
    async def test():
        world = World()
        world.server.positions["room"] = {"epoch": "e1", "offset": 10, "recovered": recovered}
        room, told = world.client.channel("room"), []
        room.on_continuity(lambda continuity: told.append((continuity.recovered, continuity.reason)))
        room.on("*", lambda event: None, since=at(7))
        await world.client.connect()
        await settle()
        assert told == [(recovered, None if recovered else "not_recovered")]
        await world.client.close()

    play(test)


def test_closing_amid_the_pages_leaves_nothing_and_connecting_again_goes_on():
    async def test(world):
        seen = world.listen(since=at(5))
        await world.answer(page(6, 8, more=True))
        await world.client.close()
        await world.client.connect()
        await settle()
        await world.answer(page(6, 10))
        assert seen == [6, 7, 8, 9, 10] and not world.errors

    with_live(test)


def test_a_loop_gets_more_earlier_events_than_its_buffer_holds():
    async def test(world):
        seen = []

        async def read():
            async for event in world.room.events(since=at(1), buffer=3):
                seen.append(event.offset)

        reading = asyncio.create_task(read())
        await settle()
        await world.tell(event(11), event(12))
        await world.answer(page(2, 10))
        await world.tell(event(13))
        assert seen == list(range(2, 14))
        await world.client.close()
        await reading

    with_live(test)


def test_signing_out_amid_the_pages_ends_them():
    async def test(world):
        seen = world.listen(last=3)
        await world.client.sign_out()
        await settle()
        assert seen == [] and not world.errors

    with_live(test)
