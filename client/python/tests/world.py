"""A client's surroundings for tests: an event loop whose clock jumps, and a server that a test plays."""

from __future__ import annotations

import asyncio
import json
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

from carillon_client import Carillon
from carillon_client.backoff import Ending
from carillon_client.websocket import Ended

SESSION = {
    "type": "session_init",
    "session_id": "s1",
    "timestamp": "2026-01-15T10:30:00.000Z",
    "data": {"user": "ann", "expires_at": None, "ping_interval_s": 25, "limits": {"message_bytes": 65536, "channels": 128}},
}


class JumpingSelector(selectors.DefaultSelector):
    """In place of waiting, the clock goes forward."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits, and no timer runs"
            self.now += max(0.0, timeout)
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def play(test: Callable[[], Coroutine[Any, Any, None]], seconds: float = 2e5) -> None:
    """Runs a test whose sleeps take no time. Nothing of the client may be left afterwards."""

    async def checked() -> None:
        async with asyncio.timeout(seconds):
            await test()
        await settle()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        assert not rest, f"tasks are left: {rest}"

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(checked())
        timers = [timer for timer in runner.get_loop()._scheduled if not timer.cancelled()]
        assert not timers, f"timers are left: {timers}"


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class FakeLine:
    """One connection, seen from the server."""

    def __init__(self, server: FakeServer, token: str) -> None:
        self.server = server
        self.token = token
        self.sent: list[dict[str, Any]] = []
        self.closed = False
        self._inbox: asyncio.Queue[str | Ending] = asyncio.Queue()
        self._ended: Ending | None = None

    async def send(self, text: str) -> None:
        if self._ended:
            raise Ended(self._ended)
        command = json.loads(text)
        self.sent.append(command)
        if self.server.answers:
            self.server.answer(self, command)

    async def receive(self) -> str:
        item = await self._inbox.get()
        if isinstance(item, Ending):
            raise Ended(item)
        return item

    async def close(self) -> None:
        self.closed = True
        self.server.open.discard(self)

    def tell(self, frame: dict[str, Any]) -> None:
        self._inbox.put_nowait(json.dumps(frame))

    def end(self, code: int, reason: str = "") -> None:
        self._ended = Ending(code, reason)
        self._inbox.put_nowait(self._ended)

    def types(self) -> list[str]:
        return [command["type"] for command in self.sent]

    def last(self, type: str) -> dict[str, Any]:
        return [command for command in self.sent if command["type"] == type][-1]


class FakeServer:
    def __init__(self) -> None:
        self.lines: list[FakeLine] = []
        self.open: set[FakeLine] = set()
        self.refuse: list[Ending] = []
        self.session: dict[str, Any] | None = SESSION
        self.positions: dict[str, dict[str, Any]] = {}
        self.answers = True

    async def dial(self, token: str) -> FakeLine:
        await asyncio.sleep(0.01)
        if self.refuse:
            raise Ended(self.refuse.pop(0))
        line = FakeLine(self, token)
        self.lines.append(line)
        self.open.add(line)
        assert len(self.open) == 1, "two sockets at once"
        if self.session:
            line.tell(self.session)
        return line

    @property
    def line(self) -> FakeLine:
        return self.lines[-1]

    def answer(self, line: FakeLine, command: dict[str, Any]) -> None:
        type, data = command["type"], command.get("data", {})
        told: dict[str, Any] = {"id": command["id"]}
        if type == "ping":
            told["type"] = "pong"
        elif type in ("subscribe", "unsubscribe"):
            told |= {"type": type + "d", "channel": data["channel"]}
            if type == "subscribe":
                told["data"] = {"recovered": "since" in data, **self.positions.get(data["channel"], {})}
        elif type == "publish":
            told |= {"type": "published", "data": {"id": "p1"}}
        elif type == "refresh":
            told |= {"type": "refreshed", "data": {"expires_at": "2026-01-15T12:30:00.000Z"}}
        elif type == "presence":
            members = [{"user": "ann"}] if "after" in data else [{"user": "zoe"}]
            told |= {"type": "presence", "channel": data["channel"], "data": {
                "members": members, "next": None if "after" in data else "zoe", "users": 2, "connections": 2}}
        else:
            return
        line.tell(told)


class World:
    """A server, a client of it, and what the client has told."""

    def __init__(self, **options):
        self.server = FakeServer()
        self.asked = []
        self.tokens = iter(f"t{n}" for n in range(1, 10_000))
        self.changes = []
        self.errors = []
        options.setdefault("get_token", self.token)
        self.client = Carillon("http://rt.example.com", dialler=self.server.dial, **options)
        self.client.on_state_change(self.changes.append)
        self.client.on_error(self.errors.append)

    def token(self, request):
        self.asked.append(request)
        return next(self.tokens)

    @property
    def states(self):
        return [change.state for change in self.changes]


def event(offset, channel="room", **more):
    return {"type": "x", "channel": channel, "id": f"i{offset}", "offset": offset, "data": offset, **more}
