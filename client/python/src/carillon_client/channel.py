"""A channel: its listeners, its place in the history, and what is known of missed events."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

from .backlog import NONE, Backlog, BacklogLink, Earlier
from .channel_types import ChannelState, Continuity, Link
from .emitter import Emitter
from .errors import CarillonError, is_down
from .loop import Loop
from .presence import Presence, read_members
from .protocol import (
    Event,
    Frame,
    HistoryPage,
    Member,
    Position,
    Published,
    is_repeated,
    member_of,
    page_of,
    position_after,
    position_of,
)


class Channel:
    """The same object for the same name, always: `client.channel(name)`."""

    def __init__(self, name: str, link: Link) -> None:
        self.name = name
        self._link = link
        self._state: ChannelState = "idle"
        self._error: CarillonError | None = None
        self._listeners: Emitter[Event] = Emitter()
        self._loops: set[Loop] = set()
        self._states: Emitter[ChannelState] = Emitter()
        self._continuity: Emitter[Continuity] = Emitter()
        # The earlier events that `subscribe` brings: those that the first listener asks for.
        self._begin = NONE
        # `subscribe` has been sent. Who comes from now on gets earlier events by a backlog.
        self._asked = False
        self._backlogs: dict[Backlog, None] = {}
        self._was_live = False
        self._holders: set[object] = set()
        self._lingering: asyncio.TimerHandle | None = None
        self._retrying: asyncio.TimerHandle | None = None
        self._attempt = 0
        # Of `subscribe`. An answer to an earlier one says nothing.
        self._round = 0
        self._client_closed = False
        self._presence: Presence | None = None
        self._backlog_link = BacklogLink(self._page, lambda: self.position, link.start, link.report)

    @property
    def state(self) -> ChannelState:
        return self._state

    @property
    def error(self) -> CarillonError | None:
        """Why the channel is `refused`."""
        return self._error

    @property
    def position(self) -> Position | None:
        """The last event seen. None: none, or the channel has no history."""
        return self._link.positions.get(self.name)

    def on(
        self,
        type: str,
        listener: Callable[[Event], object],
        *,
        last: int | None = None,
        since: Position | None = None,
    ) -> Callable[[], None]:
        """Calls `listener` with each event of a type, or with all for `*`. The client connects and subscribes by itself.

        :param last: so many of the newest events come first, in their order, and the live ones after them. The first
            listener gets them by the subscription, as do those that are added with it and ask for the same or for none.
            Each other one reads them by `history`, which needs the right of that name: without it `on_error` is told, and
            only live events come. A channel whose position was kept goes on from there.
        :param since: all events after this position come first. It counts as `last` does. Where they cannot be had, the
            first listener's channel tells it by `on_continuity`. For another one, `on_error` is told `history_too_short`
            and those come that are there, or `conflict` where the position is of another epoch.
        :return: a function that removes the listener. The channel is left a while after its last listener.
        """
        return self._listen(type, listener, listener, Earlier(None if since else last or None, since))

    def _listen(
        self,
        type: str,
        listener: Callable[[Event], object],
        tell_earlier: Callable[[Event], object],
        earlier: Earlier,
    ) -> Callable[[], None]:
        def of_type(run: Callable[[Event], object]) -> Callable[[Event], object]:
            return lambda event: run(event) if type in ("*", event.type) else None

        receive = of_type(listener)
        backlog = None if self._brings(earlier) else Backlog(earlier, self._backlog_link, receive, of_type(tell_earlier))
        release = self._hold()
        off = self._listeners.subscribe(backlog.receive if backlog else receive)
        if backlog:
            self._backlogs[backlog] = None
            if self._state == "live":
                backlog.read(False)

        def stop() -> None:
            off()
            if backlog:
                backlog.end()
                self._backlogs.pop(backlog, None)
            release()

        return stop

    def __aiter__(self) -> AsyncIterator[Event]:
        return self.events()

    def events(
        self, *, last: int | None = None, since: Position | None = None, buffer: int = 1000
    ) -> AsyncIterator[Event]:
        """All events of the channel, for `async for`.

        It ends when the client is closed. It raises CarillonError when the channel is refused, when the client ends for
        a reason of the server, and (`slow_reader`) when the loop is more than `buffer` events behind.
        """
        return self._events(last, since, buffer)

    async def _events(self, last: int | None, since: Position | None, buffer: int) -> AsyncIterator[Event]:
        loop = Loop(self.name, buffer)
        off = self._listen("*", loop.put, loop.put_earlier, Earlier(None if since else last or None, since))
        self._loops.add(loop)
        try:
            if self._state == "refused":
                loop.end(self._error)
            while (event := await loop.next()) is not None:
                yield event
        finally:
            self._loops.discard(loop)
            off()

    def on_state_change(self, listener: Callable[[ChannelState], object]) -> Callable[[], None]:
        """Returns a function that removes the listener."""
        return self._states.subscribe(listener)

    def on_continuity(self, listener: Callable[[Continuity], object]) -> Callable[[], None]:
        """Returns a function that removes the listener."""
        return self._continuity.subscribe(listener)

    async def publish(
        self, type: str, data: Any, *, event_id: str | None = None, echo: bool = True, timeout: float = 15.0
    ) -> Published:
        """Publishes an event. It waits for the connection, within `timeout`.

        If the connection breaks before the answer, nobody knows whether the event was published. With `event_id` the
        event is then sent again, and is never a second one. Without it, `offline` is raised.
        """
        command: dict[str, Any] = {"channel": self.name, "type": type, "data": data}
        if event_id is not None:
            command["event_id"] = event_id
        if not echo:
            command["echo"] = False
        frame = await self._link.request("publish", command, "published", timeout, event_id is not None)
        answer = frame["data"]
        return Published(answer["id"], answer.get("duplicate", False), answer.get("epoch"), answer.get("offset"))

    async def history(
        self,
        *,
        before: Position | None = None,
        since: Position | None = None,
        limit: int | None = None,
        timeout: float = 15.0,
    ) -> HistoryPage:
        """A page of past events, oldest first: the newest ones, or those before or after a position."""
        return await self._page(before=before, since=since, limit=limit, timeout=timeout, repeat=True)

    async def _page(
        self,
        *,
        before: Position | None,
        since: Position | None,
        limit: int | None,
        timeout: float = 15.0,
        repeat: bool = False,
    ) -> HistoryPage:
        command: dict[str, Any] = {"channel": self.name}
        if before:
            command["before"] = before.wire()
        if since:
            command["since"] = since.wire()
        if limit:
            command["limit"] = limit
        return page_of((await self._link.request("history", command, "history", timeout, repeat))["data"])

    async def members(self) -> list[Member]:
        """The users who are subscribed now, in the order of their names."""
        return sorted((await read_members(self._presence_page)).values(), key=lambda member: member.user)

    def presence(self) -> Presence:
        """Who is here, kept current while the result has listeners."""
        if self._presence is None:
            self._presence = Presence(self)
        return self._presence

    async def _presence_page(self, after: str | None) -> Frame:
        command: dict[str, Any] = {"channel": self.name, "limit": 1000}
        if after is not None:
            command["after"] = after
        return await self._link.request("presence", command, "presence", 15.0, False)

    def _become(self, state: ChannelState) -> None:
        if state != self._state:
            self._state = state
            self._states.emit(state)

    def _move_to(self, position: Position | None) -> None:
        if position:
            self._link.positions[self.name] = position
        else:
            self._link.positions.pop(self.name, None)

    def _hold(self) -> Callable[[], None]:
        """Somebody needs the channel, until the function that this returns is called."""
        self._link.want()
        _cancel(self._lingering)
        holder = object()
        self._holders.add(holder)
        if self._state == "idle":
            self._become("subscribing")
            if self._link.is_open():
                self._link.start(self._subscribe())

        def release() -> None:
            if holder not in self._holders:
                return
            self._holders.remove(holder)
            if not self._holders and self._state != "idle" and not self._client_closed:
                self._lingering = asyncio.get_running_loop().call_later(self._link.linger, self._leave)

        return release

    def _leave(self) -> None:
        _cancel(self._retrying)
        self._round += 1
        told = self._state in ("live", "subscribing")
        self._become("idle")
        self._was_live = False
        self._begin = NONE
        self._asked = False
        self._move_to(None)
        if self._presence:
            self._presence._forget()
        if told and self._link.is_open():
            self._link.start(self._unsubscribe())

    async def _unsubscribe(self) -> None:
        try:
            await self._link.commands.send("unsubscribe", {"channel": self.name}, "unsubscribed")
        except CarillonError:
            pass  # the connection is down, and its subscriptions with it

    def _brings(self, earlier: Earlier) -> bool:
        """Whether `subscribe` brings a new listener all earlier events that it asks for."""
        if not self._asked and not len(self._listeners):
            self._begin = earlier
        if earlier == NONE:
            return True
        # A position that is there before is a kept one: the channel goes on from it.
        return not self._asked and (self.position is not None or earlier == self._begin)

    async def _subscribe(self) -> None:
        earlier = Earlier(since=self.position) if self.position else self._begin
        command = {"channel": self.name, **earlier.wire()}
        self._asked = True
        self._round += 1
        mine = self._round

        def take(frame: Frame) -> None:
            if mine == self._round:
                self._subscribed(frame["data"])

        try:
            await self._link.commands.send("subscribe", command, "subscribed", take)
        except CarillonError as error:
            if mine != self._round or is_down(error):
                return
            # After a timeout events may come and be left out, which the next answer has to tell.
            self._was_live = self._was_live or error.code == "timeout"
            if not error.retryable:
                return self._refuse(error)
            delay = random.random() * 2.0 ** min(self._attempt, 4)
            self._attempt += 1
            self._retrying = asyncio.get_running_loop().call_later(delay, self._opened)

    def _refuse(self, error: CarillonError) -> None:
        self._error = error
        self._become("refused")
        if not self._loops and len(self._states) == 0:
            self._link.report(error)
        for loop in self._loops:
            loop.end(error)

    def _opened(self) -> None:
        """The connection is open."""
        self._client_closed = False
        if self._state == "idle" or not self._link.is_open():
            return
        if not self._holders:
            _cancel(self._lingering)
            self._state = "lost"  # the server knows of no subscription yet
            return self._leave()
        self._become("subscribing")
        self._link.start(self._subscribe())

    def _lost(self) -> None:
        """The connection is down."""
        _cancel(self._retrying)
        for backlog in self._backlogs:
            backlog.halt()
        if self._presence:
            self._presence._forget()
        if self._state in ("live", "subscribing"):
            self._become("lost")

    def _ended(self, error: CarillonError | None) -> None:
        """The client is closed."""
        self._client_closed = True
        _cancel(self._lingering)
        for loop in self._loops:
            loop.end(error)

    def _receive(self, event: Event) -> None:
        if self._state != "live" or is_repeated(self.position, event):
            return  # the answer to `subscribe` will say from where the channel goes on
        self._move_to(position_after(self.position, event))
        self._listeners.emit(event)

    def _receive_frame(self, frame: Frame) -> None:
        type = frame["type"]
        if type == "subscribed":
            # A subscription that a backend made. It matters where there is no answer to come.
            if "id" not in frame and self._state in ("refused", "live"):
                self._subscribed(frame["data"])
        elif type == "unsubscribed":
            if "id" not in frame and self._state != "idle":
                self._refuse(CarillonError("unsubscribed", f"the server ended the subscription to {self.name}"))
        elif type == "gap":
            before = self.position
            self._move_to(position_of(frame["data"]))
            self._tell(before, False, frame["data"].get("reason"))
        elif self._presence:
            self._presence._change(type, member_of(frame["data"]))

    def _subscribed(self, data: dict[str, Any]) -> None:
        before = self.position or self._begin.since
        self._attempt = 0
        self._error = None
        self._move_to(position_of(data))
        self._become("live")
        self._tell(before, data["recovered"], None if data["recovered"] else "not_recovered")

    def _tell(self, before: Position | None, recovered: bool, reason: str | None) -> None:
        """`before`: from which the channel was to go on."""
        if before or self._was_live:
            position = self.position
            missed = position.offset - before.offset if position and before and position.epoch == before.epoch else None
            self._continuity.emit(Continuity(recovered, position, reason, missed))
        self._was_live = True
        if self._presence:
            self._presence._ask()
        for backlog in list(self._backlogs):
            backlog.read(not recovered)

    def _dispose(self) -> None:
        """Forgets listeners, position and presence."""
        _cancel(self._lingering)
        _cancel(self._retrying)
        self._round += 1
        self._listeners.clear()
        for backlog in self._backlogs:
            backlog.end()
        self._backlogs.clear()
        self._holders.clear()
        self._was_live = False
        self._begin = NONE
        self._asked = False
        self._become("idle")
        self._move_to(None)
        if self._presence:
            self._presence._forget()
            self._presence._changes.clear()
            self._presence = None
        self._states.clear()
        self._continuity.clear()


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer:
        timer.cancel()
