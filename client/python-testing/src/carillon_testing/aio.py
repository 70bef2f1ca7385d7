"""The same words for asyncio. Each call runs in a thread of its own, so that the event loop goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import ParamSpec, TypeVar

from .faults import Rules, SessionTarget, Target
from .journal import Waits
from .server import Broker, CarillonServer, Clock
from .bodies import JournalKind, JournalLine

P = ParamSpec("P")
T = TypeVar("T")


def awaited(call: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(call, *args, **kwargs)

    return run


class AsyncWaits:
    def __init__(self, waits: Waits) -> None:
        self.for_ = awaited(waits.for_)
        self.connected = awaited(waits.connected)
        self.refused = awaited(waits.refused)
        self.subscribed = awaited(waits.subscribed)
        self.unsubscribed = awaited(waits.unsubscribed)
        self.closed = awaited(waits.closed)
        self.published = awaited(waits.published)
        self.delivered = awaited(waits.delivered)
        self.received = awaited(waits.received)
        self.answered = awaited(waits.answered)
        self.idle = awaited(waits.idle)


class AsyncRules:
    def __init__(self, rules: Rules) -> None:
        self.add = awaited(rules.add)
        self.list = awaited(rules.list)
        self.get = awaited(rules.get)
        self.remove = awaited(rules.remove)
        self.clear = awaited(rules.clear)


class AsyncTarget:
    def __init__(self, target: Target) -> None:
        self.do = awaited(target.do)
        self.close = awaited(target.close)
        self.reset = awaited(target.reset)
        self.half_close = awaited(target.half_close)
        self.freeze = awaited(target.freeze)
        self.thaw = awaited(target.thaw)
        self.throttle = awaited(target.throttle)
        self.delay = awaited(target.delay)
        self.drop = awaited(target.drop)
        self.duplicate = awaited(target.duplicate)
        self.reorder = awaited(target.reorder)
        self.corrupt = awaited(target.corrupt)
        self.truncate = awaited(target.truncate)
        self.fragment = awaited(target.fragment)
        self.replace = awaited(target.replace)
        self.inject = awaited(target.inject)
        self.gap = awaited(target.gap)
        self.lose_history = awaited(target.lose_history)
        self.expire = awaited(target.expire)
        self.reconnect = awaited(target.reconnect)
        self.lose_answer = awaited(target.lose_answer)
        self.error = awaited(target.error)


class AsyncSessionTarget(AsyncTarget):
    def __init__(self, target: SessionTarget) -> None:
        super().__init__(target)
        self.show = awaited(target.show)


class AsyncClock:
    def __init__(self, clock: Clock) -> None:
        self.now = awaited(clock.now)
        self.advance = awaited(clock.advance)
        self.set = awaited(clock.set)
        self.freeze = awaited(clock.freeze)
        self.run = awaited(clock.run)


class AsyncBroker:
    def __init__(self, broker: Broker) -> None:
        self.state = awaited(broker.state)
        self.down = awaited(broker.down)
        self.slow = awaited(broker.slow)
        self.lost = awaited(broker.lost)
        self.up = awaited(broker.up)


class AsyncCarillon:
    """A server for tests, whose calls are awaited. `server` is the same one without."""

    def __init__(self, server: CarillonServer) -> None:
        self.server = server
        self.facts = server.facts
        self.ws_url = server.ws_url
        self.origin = server.origin
        self.api_url = server.api_url
        self.api_key = server.api_key
        self.console_url = server.console_url
        self.wait = AsyncWaits(server.wait)
        self.rules = AsyncRules(server.rules)
        self.clock = AsyncClock(server.clock)
        self.broker = AsyncBroker(server.broker)
        self.journal = awaited(server.journal)
        self.clear_journal = awaited(server.clear_journal)
        self.token = awaited(server.token)
        self.url = awaited(server.url)
        self.ticket = awaited(server.ticket)
        self.publish = awaited(server.publish)
        self.api = awaited(server.api)
        self.sessions = awaited(server.sessions)
        self.verify = awaited(server.verify)
        self.channel_rules = awaited(server.channel_rules)
        self.snapshot = awaited(server.snapshot)
        self.restore = awaited(server.restore)
        self.reset = awaited(server.reset)
        self.log = server.log

    def user(self, user: str) -> AsyncTarget:
        return AsyncTarget(self.server.user(user))

    def session(self, session: str) -> AsyncSessionTarget:
        return AsyncSessionTarget(self.server.session(session))

    def channel(self, channel: str) -> AsyncTarget:
        return AsyncTarget(self.server.channel(channel))

    def all(self) -> AsyncTarget:
        return AsyncTarget(self.server.all())

    async def follow(
        self,
        *,
        kinds: Sequence[JournalKind] = (),
        session: str | None = None,
        user: str | None = None,
        channel: str | None = None,
        after: int = 0,
    ) -> AsyncIterator[JournalLine]:
        """Each line of the journal, also those that come later, and those after a reset. It does not end by itself."""
        lines = self.server.follow(kinds=kinds, session=session, user=user, channel=channel, after=after)
        while True:
            yield await asyncio.to_thread(next, lines)
