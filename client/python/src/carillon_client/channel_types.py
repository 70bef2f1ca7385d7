"""What a channel tells, and what it needs of its client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from .commands import Commands
from .protocol import Frame, Position

ChannelState = Literal["idle", "subscribing", "live", "lost", "refused"]
"""State of a channel.

- `idle`: nobody listens.
- `subscribing`: the server has been asked, or will be once the connection is open.
- `live`: events come.
- `lost`: the connection is down. Events that are missed meanwhile follow.
- `refused`: the server does not let this user have the channel.
"""


@dataclass(frozen=True)
class Continuity:
    """What is known of the events between two moments. It comes with each `gap`, and with each `subscribed` of a channel
    that goes on: from where it was live, from a position that was kept, or from the `since` of its first listener."""

    recovered: bool
    """True: every event that was missed follows. False: events may be missing before the next one. Load the state anew."""
    position: Position | None
    """From which the channel goes on. None: the channel has no history."""
    reason: str | None = None
    """Why events may be missing: the reason of the `gap` frame, or `not_recovered`."""
    missed: int | None = None
    """How many events may be missing at most: 0 where all follow. None: nobody knows, as where the history has begun anew."""


class Request(Protocol):
    def __call__(self, type: str, data: dict[str, Any], answer: str, timeout: float, repeat: bool) -> Awaitable[Frame]:
        """Sends a command once there is a connection. `repeat`: again, if the connection breaks before the answer."""
        ...


@dataclass(frozen=True)
class Link:
    """What a channel needs of its client."""

    commands: Commands
    linger: float
    positions: MutableMapping[str, Position]
    is_open: Callable[[], bool]
    want: Callable[[], None]
    """There must be a connection. Raises `closed`."""
    start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    report: Callable[[BaseException], None]
    request: Request
