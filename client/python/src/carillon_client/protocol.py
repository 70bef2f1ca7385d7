"""The frames of Carillon's own protocol as values. docs/protocol.md of the server explains them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

Frame = dict[str, Any]

# The frames of the server that have a meaning of their own. All others are events.
KNOWN = frozenset(
    "session_init subscribed unsubscribed pong published refreshed history presence join leave gap warning reconnect error".split()
)


@dataclass(frozen=True)
class Position:
    """A place in a channel's history. `offset` grows by one with each event of an epoch."""

    epoch: str
    offset: int
    id: str | None = None
    """Id of the event there, where the server has told it."""

    def wire(self) -> dict[str, Any]:
        told: dict[str, Any] = {"epoch": self.epoch, "offset": self.offset}
        return told if self.id is None else {**told, "id": self.id}


@dataclass(frozen=True)
class Event:
    """One event of a channel."""

    type: str
    channel: str
    data: Any
    id: str | None = None
    offset: int | None = None
    """Of channels with history."""
    timestamp: str | None = None
    user: str | None = None
    """The verified user who published it. None: a backend did, or the channel does not name publishers."""
    session: str | None = None
    """The session that published it, on channels that name sessions in place of users."""
    frame: Frame = field(default_factory=dict, repr=False, compare=False)
    """All that the server sent, with members that later versions may add."""


@dataclass(frozen=True)
class Member:
    """A user who is subscribed to a channel. `info` is the claim of that name."""

    user: str
    info: Any = None


@dataclass(frozen=True)
class Session:
    """What the server said of the present connection."""

    id: str
    user: str
    expires_at: datetime | None
    limits: Mapping[str, int]


@dataclass(frozen=True)
class HistoryPage:
    """Past events, oldest first. `more`: there are further events in the direction that was asked for."""

    events: list[Event]
    more: bool
    epoch: str | None = None
    offset: int | None = None


@dataclass(frozen=True)
class Published:
    """`duplicate`: an event with this `event_id` had been published before."""

    id: str
    duplicate: bool = False
    epoch: str | None = None
    offset: int | None = None


def parse_frame(text: str | bytes) -> Frame | None:
    """None: not a frame of this protocol, and nothing to do."""
    if not isinstance(text, str):
        return None
    frame = json.loads(text)
    return frame if isinstance(frame, dict) and isinstance(frame.get("type"), str) else None


def event_of(frame: Frame) -> Event:
    return Event(
        type=frame["type"],
        channel=frame.get("channel", ""),
        data=frame.get("data"),
        id=frame.get("id"),
        offset=frame.get("offset"),
        timestamp=frame.get("timestamp"),
        user=frame.get("user"),
        session=frame.get("session"),
        frame=frame,
    )


def page_of(data: Mapping[str, Any]) -> HistoryPage:
    events = [event_of(frame) for frame in data["events"]]
    return HistoryPage(events, data["more"], data.get("epoch"), data.get("offset"))


def member_of(data: Mapping[str, Any]) -> Member:
    return Member(data["user"], data.get("info"))


def position_of(data: Mapping[str, Any]) -> Position | None:
    """The position in `subscribed` and `gap`. It replaces the one before. None: the channel has no history."""
    epoch, offset = data.get("epoch"), data.get("offset")
    return None if epoch is None or offset is None else Position(epoch, offset, data.get("id"))


def is_repeated(position: Position | None, event: Event) -> bool:
    """Whether an event has come before. Such an event is dropped."""
    return position is not None and event.offset is not None and event.offset <= position.offset


def position_after(position: Position | None, event: Event) -> Position | None:
    """The position once that event has come."""
    if position is None or event.offset is None:
        return position
    return replace(position, offset=event.offset, id=event.id)


def time_of(text: str | None) -> datetime | None:
    """A time of RFC 3339."""
    return None if text is None else datetime.fromisoformat(text)


def lifetime(expires_at: str | None, now: datetime) -> float | None:
    """How long a token is good, in seconds. `now` is by the server's clock."""
    expires = time_of(expires_at)
    return None if expires is None else (expires - now).total_seconds()
