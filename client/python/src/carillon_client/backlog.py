"""The earlier events of a listener that the `subscribe` of its channel does not bring."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from .backoff import backoff
from .emitter import call_safely
from .errors import CarillonError, is_down
from .protocol import Event, HistoryPage, Position

# Events that one page of the history may have at most.
PAGE_MAX = 1000
# A page that the server cannot give now is asked for so many times again.
RETRIES = 4


@dataclass(frozen=True)
class Earlier:
    """The earlier events that a listener asks for."""

    last: int | None = None
    since: Position | None = None

    def wire(self) -> dict[str, Any]:
        if self.since:
            return {"since": self.since.wire()}
        return {"last": self.last} if self.last else {}


NONE = Earlier()


class History(Protocol):
    def __call__(self, *, before: Position | None, since: Position | None, limit: int) -> Awaitable[HistoryPage]:
        ...


@dataclass(frozen=True)
class BacklogLink:
    """What a backlog needs of its channel."""

    history: History
    position: Callable[[], Position | None]
    """The last event that has come live."""
    start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    report: Callable[[BaseException], None]


class Backlog:
    """One listener, and the earlier events that come before its live ones."""

    def __init__(
        self,
        earlier: Earlier,
        link: BacklogLink,
        listener: Callable[[Event], object],
        tell_earlier: Callable[[Event], object],
    ) -> None:
        self._earlier = earlier
        self._link = link
        self._listener = listener
        self._tell_earlier = tell_earlier
        # Live events that wait. None: none has to any more.
        self._held: list[Event] | None = []
        self._reading: asyncio.Task[None] | None = None
        self._ended = False

    def receive(self, event: Event) -> None:
        """A live event. It waits until the earlier ones have come."""
        if self._held is None:
            self._listener(event)
        else:
            self._held.append(event)

    def read(self, anew: bool) -> None:
        """The channel is live: the earlier events are read, unless that is done.

        :param anew: events are missing before this moment, so those that wait do not count
        """
        if self._held is None or self._ended:
            return
        self.halt()
        if anew:
            self._held = []
        self._reading = self._link.start(self._read())

    def halt(self) -> None:
        """The connection is down: nothing is read until the next `read`."""
        if self._reading:
            self._reading.cancel()
        self._reading = None

    def end(self) -> None:
        """The listener has gone."""
        self._ended = True
        if self._held is not None:
            self.halt()

    async def _read(self) -> None:
        earlier: list[Event] = []
        failures = 0
        more = self._link.position() is not None
        while more:
            try:
                page = await self._next_page(earlier)
            except CarillonError as error:
                if is_down(error):
                    return
                failures += 1
                if not error.retryable or failures > RETRIES:
                    self._link.report(error)
                    break
                # No wait is short: the rate of messages must allow a page.
                await asyncio.sleep(backoff(failures, 1.0, 16.0, (1 + random.random()) / 2))
                continue
            failures = 0
            live = self._link.position()
            if live is None or page.epoch != live.epoch:
                break  # the gap that tells it is on its way
            self._look_for_hole(page, earlier)
            if self._earlier.since:
                earlier = earlier + page.events
                more = page.more and bool(page.events) and _offset(earlier[-1]) < live.offset
            else:
                earlier = page.events + earlier
                more = page.more and bool(page.events) and len(earlier) < (self._earlier.last or 0)
        self._tell(earlier)

    async def _next_page(self, earlier: list[Event]) -> HistoryPage:
        """Pages end early where their events are large, so `last` may need several too. It reads them backwards."""
        live = self._link.position()
        epoch = live.epoch if live else ""
        if self._earlier.since:
            since = Position(epoch, _offset(earlier[-1])) if earlier else self._earlier.since
            return await self._link.history(before=None, since=since, limit=PAGE_MAX)
        before = Position(epoch, _offset(earlier[0])) if earlier else None
        limit = min((self._earlier.last or 0) - len(earlier), PAGE_MAX)
        return await self._link.history(before=before, since=None, limit=limit)

    def _look_for_hole(self, page: HistoryPage, earlier: list[Event]) -> None:
        if self._earlier.since is None:
            return
        after = _offset(earlier[-1]) if earlier else self._earlier.since.offset
        first = _offset(page.events[0]) if page.events else (page.offset or 0) + 1
        if first > after + 1:
            self._link.report(CarillonError("history_too_short", "events are missing"))

    def _tell(self, earlier: list[Event]) -> None:
        """All that are there. Those after the live position come live."""
        waiting = [*((event, self._tell_earlier) for event in earlier), *((event, self._listener) for event in self._held or ())]
        self._held = self._reading = None
        told = 0
        for event, tell in waiting:
            if self._ended:
                return
            if event.offset is not None:
                live = self._link.position()
                if event.offset <= told or (live and event.offset > live.offset):
                    continue
                told = event.offset
            call_safely(tell, event)


def _offset(event: Event) -> int:
    """Events of the history have one."""
    assert event.offset is not None
    return event.offset
