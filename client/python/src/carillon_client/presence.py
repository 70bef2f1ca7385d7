"""Who is subscribed to a channel."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from .emitter import Emitter
from .errors import CarillonError, is_down
from .protocol import Frame, Member, member_of

if TYPE_CHECKING:
    from .channel import Channel

# After a list that the server could not give: about so long until it is asked for again, in seconds.
RETRY = 2.0


async def read_members(page: Callable[[str | None], Awaitable[Frame]]) -> dict[str, Member]:
    """All pages of the list."""
    members: dict[str, Member] = {}
    after: str | None = None
    while True:
        data = (await page(after))["data"]
        for entry in data["members"]:
            members[entry["user"]] = member_of(entry)
        after = data.get("next")
        if after is None:
            return members


class Presence:
    """The users who are subscribed to a channel. The list is kept current while `on_change` has listeners."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._changes: Emitter[tuple[Member, ...]] = Emitter()
        self._by_user: dict[str, Member] = {}
        self._asking: asyncio.Task[None] | None = None
        self._retrying: asyncio.TimerHandle | None = None
        # Joins and leaves since the list was asked for. They count after its pages.
        self._since: list[tuple[str, Member]] = []
        self.members: tuple[Member, ...] = ()
        """In the order of their names."""
        self.ready = False
        """Whether `members` is complete."""

    def on_change(self, listener: Callable[[tuple[Member, ...]], object]) -> Callable[[], None]:
        """Returns a function that removes the listener."""
        release = self._channel._hold()
        off = self._changes.subscribe(listener)
        if self._channel.state == "live" and not self.ready and not self._asking:
            self._ask()

        def stop() -> None:
            off()
            release()

        return stop

    def _ask(self) -> None:
        """The channel is live, or events may have been lost: the list is read anew."""
        if len(self._changes) == 0:
            return
        self._forget()
        self._asking = self._channel._link.start(self._read())

    async def _read(self) -> None:
        try:
            members = await read_members(self._channel._presence_page)
        except CarillonError as error:
            if self._asking is asyncio.current_task():
                self._asking = None
                if is_down(error):
                    return
                if error.retryable:
                    delay = RETRY * (0.5 + random.random())
                    self._retrying = asyncio.get_running_loop().call_later(delay, self._ask)
                else:
                    self._channel._link.report(error)
            return
        if self._asking is not asyncio.current_task():
            return
        self._asking = None
        self._by_user = members
        for type, member in self._since:
            self._apply(type, member)
        self.ready = True
        self._tell()

    def _change(self, type: str, member: Member) -> None:
        if self._asking:
            self._since.append((type, member))
        elif self.ready:
            self._apply(type, member)
            self._tell()

    def _apply(self, type: str, member: Member) -> None:
        if type == "join":
            self._by_user[member.user] = member
        else:
            self._by_user.pop(member.user, None)

    def _tell(self) -> None:
        self.members = tuple(sorted(self._by_user.values(), key=lambda member: member.user))
        self._changes.emit(self.members)

    def _forget(self) -> None:
        """The list may be wrong from here on."""
        if self._asking:
            self._asking.cancel()
        if self._retrying:
            self._retrying.cancel()
        self._asking = None
        self._since = []
        self.ready = False
