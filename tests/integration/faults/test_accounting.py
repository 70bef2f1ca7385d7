"""The books that the tests of faults are checked with: do they see what they are there to see?"""
import re

import pytest
from support.accounting import Ledger

LOG, PLAIN = "log:x", "plain"


class Story:
    """A publisher and a subscriber, told by hand."""

    def __init__(self):
        self.ledger = Ledger()
        self.seat = self.ledger.seat("seat")

    def publish(self, key, offset=None, channel=LOG, epoch="e"):
        publication = self.ledger.sending(channel, key)
        self.ledger.acknowledged(publication, {"id": f"id-{key}", **({"epoch": epoch, "offset": offset} if offset else {})})

    def subscribed(self, offset=None, recovered=False, channel=LOG, epoch="e"):
        self.seat.since(channel)
        self.seat.took({"type": "subscribed", "channel": channel,
                        "data": {"recovered": recovered, **({"epoch": epoch, "offset": offset} if offset is not None else {})}})

    def event(self, key, offset=None, channel=LOG):
        self.seat.took({"type": "test", "channel": channel, "id": f"id-{key}", "data": {"key": key},
                        **({"offset": offset} if offset else {})})

    def gap(self, offset=None, channel=LOG, epoch="e"):
        self.seat.took({"type": "gap", "channel": channel,
                        "data": {"reason": "history_too_short", **({"epoch": epoch, "offset": offset} if offset else {})}})

    def problems(self):
        self.ledger.check()
        return " ".join(self.ledger.problems)


@pytest.fixture
def story():
    return Story()


def test_all_is_well(story):
    story.subscribed(0)
    for n in (1, 2, 3):
        story.publish(f"k{n}", n)
        story.event(f"k{n}", n)
    story.seat.disconnected()
    story.publish("k4", 4)
    story.subscribed(3, recovered=True)
    assert "k4" in story.ledger.missing()
    story.event("k4", 4)
    assert story.ledger.missing() == "" and story.problems() == ""


def test_again_without_history(story):
    """On another connection it may come again. On the same one it may not, also with a gap in between."""
    story.publish("k1", channel=PLAIN)
    for _ in range(2):
        story.seat.disconnected()
        story.subscribed(channel=PLAIN)
        story.event("k1", channel=PLAIN)
    assert story.problems() == ""
    story.gap(channel=PLAIN)
    story.event("k1", channel=PLAIN)
    assert "k1 (id-k1) came again" in story.problems()


def test_acknowledged_without_a_position(story):
    story.subscribed(0)
    story.publish("k1", 1)
    story.event("k1", 1)
    story.publish("k2")
    assert "without a position: ['k2']" in story.problems()


def test_a_hole(story):
    story.subscribed(0)
    for n in (1, 2, 3):
        story.publish(f"k{n}", n)
    story.event("k1", 1)
    story.event("k3", 3)
    assert "offset 3 after 1" in story.problems() and "k2 at 2 of e is missing" in story.problems()


def test_a_hole_that_is_told(story):
    story.subscribed(0)
    for n in (1, 2, 3):
        story.publish(f"k{n}", n)
    story.event("k1", 1)
    story.gap(2)
    story.event("k3", 3)
    assert story.problems() == ""


def test_twice(story):
    story.subscribed(0)
    story.publish("k1", 1)
    story.event("k1", 1)
    story.event("k1", 1)
    assert "came again" in story.problems()


def test_twice_over_a_reconnect(story):
    story.subscribed(0)
    story.publish("k1", 1)
    story.event("k1", 1)
    story.seat.disconnected()
    story.subscribed(0, recovered=True)
    story.event("k1", 1)
    assert "recovered from" in story.problems() and "came again" in story.problems()


def test_skipped_over_a_reconnect(story):
    story.subscribed(0)
    story.publish("k1", 1)
    story.event("k1", 1)
    story.publish("k2", 2)
    story.seat.disconnected()
    story.subscribed(1, recovered=True)
    story.publish("k3", 3)
    story.event("k3", 3)
    assert "k2 at 2 of e is missing" in story.problems()


def test_one_key_acknowledged_as_two_events(story):
    story.subscribed(0)
    story.publish("k1", 1)
    story.seat.took({"type": "test", "channel": LOG, "id": "another", "offset": 1, "data": {"key": "k1"}})
    assert "acknowledged as id-k1" in story.problems()


def test_refused_and_delivered(story):
    story.subscribed(0)
    story.ledger.refused(story.ledger.sending(LOG, "k1"))
    story.event("k1", 1)
    assert "refused, and delivered" in story.problems()


def test_plain_missing(story):
    story.subscribed(channel=PLAIN)
    story.publish("k1", channel=PLAIN)
    story.publish("k2", channel=PLAIN)
    story.event("k2", channel=PLAIN)
    assert re.search(r"k1 is missing, without a gap; sent [\d:.]{12}, acknowledged [\d:.]{12}, attempts 1, .*id-k1.* from [\d:.]{12} to now: "
                     r"1 events, \['k2 sent [\d:.]{12} acknowledged [\d:.]{12} came [\d:.]{12}'\]", story.problems())


@pytest.mark.parametrize("gap_first", [True, False])
def test_plain_missing_and_told(story, gap_first):
    story.subscribed(channel=PLAIN)
    story.publish("k1", channel=PLAIN)
    story.publish("k2", channel=PLAIN)
    if gap_first:
        story.gap(channel=PLAIN)
    story.event("k2", channel=PLAIN)
    if not gap_first:
        story.gap(channel=PLAIN)
    assert ("k1 is missing" in story.problems()) is not gap_first


def test_plain_missing_at_the_end_of_a_connection(story):
    story.subscribed(channel=PLAIN)
    story.publish("k1", channel=PLAIN)
    story.seat.disconnected()
    story.publish("k2", channel=PLAIN)
    story.subscribed(channel=PLAIN)
    story.publish("k3", channel=PLAIN)
    assert "k3" in story.ledger.missing()
    story.event("k3", channel=PLAIN)
    assert story.problems() == ""


def test_a_turned_page(story):
    story.subscribed(0)
    story.publish("k1", 1)
    story.event("k1", 1)
    assert story.problems() == ""
    story.ledger.turn_page()
    story.publish("k2", 2)
    assert "k2" in story.ledger.missing()
    story.event("k3", 3)
    assert "offset 3 after 1" in story.problems()


def test_promised(story):
    story.subscribed(channel=PLAIN)
    story.ledger.promised(story.ledger.sending(PLAIN, "k1"))
    assert "k1" in story.ledger.missing()
    story.event("k1", channel=PLAIN)
    assert story.ledger.missing() == ""
    story.seat.took({"type": "test", "channel": PLAIN, "id": "another", "data": {"key": "k1"}})
    assert "delivered as two events" in story.problems()


def test_promised_before_a_gap(story):
    """It may be before the position of the gap, and then nobody gets it."""
    story.subscribed(0)
    story.ledger.promised(story.ledger.sending(LOG, "k1"))
    story.gap(1, epoch="f")
    assert story.ledger.missing() == ""
    story.ledger.promised(story.ledger.sending(LOG, "k2"))
    assert "k2" in story.ledger.missing()


@pytest.mark.parametrize("offsets, problem", [([1, 2, 3], ""), ([2, 3], ""), ([1, 3], "holes"), ([1, 2], "k3 at 3 is not in")])
def test_history(story, offsets, problem):
    for n in (1, 2, 3):
        story.publish(f"k{n}", n)
    story.ledger.check_history(LOG, "e", [{"offset": n, "id": f"id-k{n}"} for n in offsets])
    assert problem in story.problems() and bool(problem) == bool(story.problems())


def lose(story, key="k2"):
    """k1 is with the heir of the primary, and k2, which everybody got, is not."""
    story.subscribed(0)
    story.publish("k1", 1)
    story.event("k1", 1)
    with story.ledger.writes_may_be_lost():
        story.publish(key, 2)


def test_what_redis_may_have_lost(story):
    lose(story)
    assert story.ledger.missing() == ""
    story.gap(1, epoch="f")
    story.publish("k3", 2, epoch="f")
    assert "k3" in story.ledger.missing()
    story.event("k3", 2)
    assert story.problems() == ""


@pytest.mark.parametrize("late", [False, True])
def test_a_lost_event_in_the_place_of_another(story, late):
    """Only a primary that stood still and was replaced may do that, and a hole is a hole even then."""
    story.subscribed(0)
    story.ledger.late_events = late
    with story.ledger.writes_may_be_lost():
        story.ledger.unknown(story.ledger.sending(LOG, "lost"), "timeout")
    story.publish("k1", 1)
    story.event("lost", 1)
    assert ("k1 at 1 of e is missing" in story.problems()) is not late
    story.publish("k2", 2)
    story.publish("k3", 3)
    story.event("k3", 3)
    assert "k2 at 2 of e is missing" in story.problems() or "offset 3 after 1" in story.problems()


def test_what_was_published_over_it(story):
    """By a node that had not seen it. This node had, and tells."""
    lose(story)
    story.event("k2", 2)
    story.publish("k3", 2)
    story.gap(2, epoch="f")
    assert story.ledger.missing() == "" and story.problems() == ""


def test_what_was_published_over_it_and_not_told(story):
    lose(story)
    story.event("k2", 2)
    story.publish("k3", 2)
    assert "k3 at 2 of e is missing" in story.problems()


def test_what_redis_had_not_lost(story):
    lose(story)
    story.publish("k3", 3)
    story.ledger.check_history(LOG, "e", [{"offset": n, "id": f"id-k{n}"} for n in (1, 2, 3)])
    assert "k2" in story.ledger.missing()


@pytest.mark.parametrize("before", [True, False])
def test_an_entry_of_the_ingest_stream_that_redis_may_have_lost(story, before):
    """One that was delivered before has been replicated."""
    story.subscribed(channel=PLAIN)
    publication = story.ledger.sending(PLAIN, "k1")
    if before:
        story.ledger.promised(publication)
        story.event("k1", channel=PLAIN)
    with story.ledger.writes_may_be_lost():
        if not before:
            story.ledger.promised(publication)
            story.event("k1", channel=PLAIN)
    story.seat.took({"type": "test", "channel": PLAIN, "id": "another", "data": {"key": "k1"}})
    assert ("delivered as two events" in story.problems()) is before


def test_what_was_settled_before_is_not_lost(story):
    story.subscribed(0)
    story.publish("k1", 1)
    with story.ledger.writes_may_be_lost():
        pass
    assert "k1" in story.ledger.missing()
