"""The rules as data, which clients in all languages share: client/vectors."""

import json
from pathlib import Path

import pytest
from carillon_client import protocol
from carillon_client.backoff import Ending, backoff, judge
from carillon_client.machine import refresh_after
from carillon_client.protocol import Position
from world import World, event, play, settle

VECTORS = Path(__file__).resolve().parents[2] / "vectors"


def cases(name):
    return [pytest.param(case, id=case["name"]) for case in json.loads((VECTORS / name).read_text())["cases"]]


def position(value):
    return Position(**value) if value else None


@pytest.mark.parametrize("case", cases("verdict.json"))
def test_verdict(case):
    assert judge(Ending(case["code"], case["reason"], case.get("status", 0))) == case["verdict"]


@pytest.mark.parametrize("case", cases("backoff.json"))
def test_backoff(case):
    seconds = backoff(case["attempt"], case["initial_ms"] / 1000, case["max_ms"] / 1000, case["random"])
    assert seconds * 1000 == pytest.approx(case["delay_ms"], abs=1)


@pytest.mark.parametrize("case", cases("position.json"))
def test_position(case):
    before, frame = position(case["position"]), case["frame"]
    if frame["type"] in protocol.KNOWN:
        assert protocol.position_of(frame["data"]) == position(case["after"])
        return
    event = protocol.event_of(frame)
    assert protocol.is_repeated(before, event) == (not case["delivered"])
    after = protocol.position_after(before, event) if case["delivered"] else before
    assert after == position(case["after"])


@pytest.mark.parametrize("case", cases("refresh.json"))
def test_refresh(case):
    lifetime, expected = case["lifetime_ms"], case["refresh_ms"]
    refresh = refresh_after(None if lifetime is None else lifetime / 1000)
    if expected is None:
        assert refresh is None
    else:
        assert refresh.seconds * 1000 == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("case", cases("earlier.json"))
def test_earlier_events(case):
    async def test():
        world = World()
        world.server.positions["c"] = {"epoch": "e1", "offset": 10, "id": "i10"}
        room, seen, answered = world.client.channel("c"), [], set()
        room.on("*", lambda event: None)
        await world.client.connect()
        await settle()
        line = world.server.line
        asks = case["asks"]
        room.on("*", lambda event: seen.append(event.offset), last=asks.get("last"), since=position(asks.get("since")))
        await settle()
        for step in case["steps"]:
            if "event" in step:
                line.tell(event(step["event"], "c"))
            if "gap" in step:
                line.tell({"type": "gap", "channel": "c", "data": step["gap"]})
            if "asked" in step:
                sent = next(sent for sent in line.sent if sent["type"] == "history" and sent["id"] not in answered)
                answered.add(sent["id"])
                assert sent["data"] == {"channel": "c", **step["asked"]}
                told = {"type": "error", "error": {"code": step.get("error"), "message": "no"}}
                if "page" in step:
                    page = step["page"]
                    told = {"type": "history", "channel": "c", "data": {**page, "events": [event(n, "c") for n in page["events"]]}}
                line.tell({**told, "id": sent["id"]})
            await settle()
        assert seen == case["told"] and [error.code for error in world.errors] == ([case["error"]] if "error" in case else [])
        await world.client.close()

    play(test)
