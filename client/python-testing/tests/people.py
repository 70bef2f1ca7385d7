"""Users of a server, each in a thread of its own, for tests without asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

from carillon_client import Carillon


PATIENCE_S = 120  # passes only when something is broken


@contextlib.contextmanager
def joined(server, user, channel, **wish):
    """A user who has the channel. Yields the data of the events that come."""
    events, ready, left = [], threading.Event(), threading.Event()

    async def live():
        async with Carillon(server.origin, lambda request: server.token(user, **wish)) as client:
            client.channel(channel).on("*", lambda event: events.append(event.data))
            while client.channel(channel).state != "live":
                await asyncio.sleep(0.005)
            ready.set()
            while not left.is_set():
                await asyncio.sleep(0.005)

    thread = threading.Thread(target=lambda: asyncio.run(live()), daemon=True)
    thread.start()
    assert ready.wait(PATIENCE_S), f"{user} has {channel}"
    try:
        yield events
    finally:
        left.set()
        thread.join(PATIENCE_S)


def until(found):
    end = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < end, "it has not come"
        time.sleep(0.005)
