"""Events that wait for an `async for` loop over a channel."""

from __future__ import annotations

import asyncio
from collections import deque

from .errors import CarillonError
from .protocol import Event


class Loop:
    """The events of one loop."""

    def __init__(self, name: str, buffer: int) -> None:
        self._name = name
        self._buffer = buffer
        self._events: deque[Event] = deque()
        # Of those, how many are earlier ones. They come first.
        self._earlier = 0
        self._wake = asyncio.Event()
        self._ended = False
        self._error: CarillonError | None = None

    def put(self, event: Event) -> None:
        if self._ended:
            return
        if len(self._events) - self._earlier >= self._buffer:
            text = f"the loop over {self._name} is {self._buffer} events behind"
            return self.end(CarillonError("slow_reader", text, retryable=False))
        self._events.append(event)
        self._wake.set()

    def put_earlier(self, event: Event) -> None:
        """An event that the loop has asked for. It does not count as one that the loop is behind."""
        self._events.append(event)
        self._earlier += 1
        self._wake.set()

    def end(self, error: CarillonError | None) -> None:
        """Takes effect once the events that wait have been read."""
        self._ended = True
        self._error = error
        self._wake.set()

    async def next(self) -> Event | None:
        """None: there are no more."""
        while not self._events:
            if self._error:
                raise self._error
            if self._ended:
                return None
            self._wake.clear()
            await self._wake.wait()
        self._earlier = max(0, self._earlier - 1)
        return self._events.popleft()
