"""A connection that comes back by itself: the machine, with a real line, clock and chance."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from .backoff import Ending
from .errors import CarillonError, offline
from .events import Close, Credential, CredentialFailed, Event, Expiring, Lost, Moment, TimeOver
from .machine import step
from .state import Change, ConnectionState, Machine, Profile, Question, Why
from .websocket import Ended, Line


@dataclass(frozen=True)
class TokenRequest:
    """What `get_token` is called with."""

    why: Why
    """`connect`: for a new connection. `refresh`: the present token ends soon. `refused`: the last token was not taken."""
    refusal: Ending | None = None
    """Of `refused`: what the server said."""


GetToken = Callable[[TokenRequest], Awaitable[str] | str]
Dial = Callable[[str], Awaitable[Line]]


@dataclass(frozen=True)
class Owner:
    """What a connection needs of its client."""

    changed: Callable[[Change], None]
    received: Callable[[str | bytes], None]
    report: Callable[[BaseException], None]
    ping: Callable[[], Coroutine[Any, Any, None]]
    refresh: Callable[[str], Coroutine[Any, Any, None]]


class Connection:
    def __init__(self, owner: Owner, get_token: GetToken, dial: Dial, profile: Profile) -> None:
        self._owner = owner
        self._get_token = get_token
        self._dial = dial
        self._profile = profile
        self._machine = Machine()
        self._queue: list[Event] = []
        self._busy = False
        self._line: Line | None = None
        self._heard_at = 0.0
        self._opened_at = 0.0
        self._waiting: asyncio.TimerHandle | None = None
        self._refreshing: asyncio.TimerHandle | None = None
        self._reader: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def state(self) -> ConnectionState:
        return self._machine.state

    async def send(self, text: str) -> None:
        """Raises `offline`: there is no open line."""
        if self._line is None:
            raise offline()
        try:
            await self._line.send(text)
        except Ended:
            raise offline() from None  # the reader sees the same, and tells the machine

    async def close(self, reason: str) -> None:
        """Returns when nothing is left of the connection."""
        self.dispatch(Close(reason))
        rest = self._tasks - {asyncio.current_task()}
        if rest:
            await asyncio.wait(rest)

    def dispatch(self, event: Event) -> None:
        # A listener may close the connection while it is told of a change, so events wait for their turn.
        self._queue.append(event)
        if self._busy:
            return
        self._busy = True
        try:
            while self._queue:
                before, now = self._machine, self._now()
                opened = now - self._opened_at if before.state == "open" else 0.0
                moment = Moment(random.random(), now - self._heard_at, opened)
                self._machine = step(before, self._queue.pop(0), self._profile, moment)
                self._follow(self._machine, before)
        finally:
            self._busy = False

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs something that `close` waits for."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _follow(self, m: Machine, before: Machine) -> None:
        """Does what the machine asks for."""
        if m.problem and m.problem is not before.problem:
            self._owner.report(m.problem.error)
        if m.socket is not before.socket:
            self._hang_up()
            if m.socket:
                self._reader = self.start(self._read(m.socket.credential))
        if m.question is not before.question:
            _stop(self._asking)
            self._asking = self.start(self._ask(m.question)) if m.question else None
        if m.wait is not before.wait:
            self._waiting = self._timer(self._waiting, m.wait.seconds if m.wait else None, TimeOver())
            if m.wait and m.wait.what == "pong":
                self.start(self._owner.ping())
        if m.refresh is not before.refresh:
            self._refreshing = self._timer(self._refreshing, m.refresh.seconds if m.refresh else None, Expiring())
        if m.renewal and m.renewal is not before.renewal:
            self.start(self._owner.refresh(m.renewal.credential))
        if m.state == "open" and before.state != "open":
            self._opened_at = self._now()
        if m.change is not before.change:
            self._owner.changed(m.change)

    def _timer(self, old: asyncio.TimerHandle | None, seconds: float | None, event: Event) -> asyncio.TimerHandle | None:
        if old:
            old.cancel()
        if seconds is None:
            return None
        return asyncio.get_running_loop().call_later(seconds, self.dispatch, event)

    async def _ask(self, question: Question) -> None:
        event: Event
        try:
            answer = self._get_token(TokenRequest(question.why, question.refusal))
            event = Credential(await answer if inspect.isawaitable(answer) else answer)
        except CarillonError as error:
            end = None if error.retryable else error.reason or error.code
            event = CredentialFailed(error, end, error.retry_after)
        except Exception as error:
            event = CredentialFailed(error)
        if self._asking is asyncio.current_task():
            self._asking = None
            self.dispatch(event)

    async def _read(self, token: str) -> None:
        me = asyncio.current_task()
        line: Line | None = None
        try:
            line = await self._dial(token)
            self._line = line
            self._heard_at = self._now()
            while self._reader is me:
                message = await line.receive()
                self._heard_at = self._now()
                self._owner.received(message)
        except Exception as error:
            if not isinstance(error, Ended):
                self._owner.report(error)
            if self._reader is me:
                self._reader = self._line = None
                self.dispatch(Lost(error.ending if isinstance(error, Ended) else Ending(1006, str(error))))
        finally:
            if line:
                await line.close()

    def _hang_up(self) -> None:
        reader, self._reader, self._line = self._reader, None, None
        _stop(reader)


def _stop(task: asyncio.Task[None] | None) -> None:
    """A task that is running just now ends by itself."""
    if task and task is not asyncio.current_task():
        task.cancel()
