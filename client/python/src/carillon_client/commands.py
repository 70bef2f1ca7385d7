"""Commands that wait for their answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from .errors import CarillonError
from .protocol import Frame

Take = Callable[[Frame], None]
# How long an answer may take, in seconds.
COMMAND_TIMEOUT = 15.0


class Commands:
    def __init__(self, write: Callable[[str], Awaitable[None]], largest: Callable[[], int | None]) -> None:
        self._write = write
        # The most bytes that the server takes in one message. None: it has not said so.
        self._largest = largest
        self._waiting: dict[int, tuple[asyncio.Future[Frame], Take | None]] = {}
        self._last_id = 0

    async def send(
        self,
        type: str,
        data: dict[str, Any],
        answer: str,
        take: Take | None = None,
        timeout: float | None = COMMAND_TIMEOUT,
    ) -> Frame:
        """Sends a command and returns its answer. Raises what the server answered, `timeout`, `too_large`, or why the
        connection has ended.

        :param take: called with the answer at once, before further frames are read
        :param timeout: in seconds; None: the caller has one
        """
        self._last_id += 1
        id = self._last_id
        text = json.dumps({"type": type, "id": id, "data": data}, ensure_ascii=False)
        self._check_size(type, text)
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting[id] = (future, take)
        try:
            async with asyncio.timeout(timeout):
                await self._write(text)
                frame = await future
        except TimeoutError:
            raise CarillonError("timeout", f"no answer to {type} came in {timeout} s") from None
        finally:
            del self._waiting[id]
        if frame["type"] == "error":
            raise error_of(frame)
        if frame["type"] != answer:
            raise CarillonError("invalid_answer", f"the answer to {type} was {frame['type']}")
        return frame

    def settle(self, frame: Frame) -> bool:
        """Gives an answer to its command. False: no command waits for it."""
        future, take = self._waiting.get(frame.get("id", 0), (None, None))
        if future is None:
            return False
        if not future.done():
            future.set_result(frame)
            if take and frame["type"] != "error":
                take(frame)
        return True

    def fail_all(self, error: Callable[[], CarillonError]) -> None:
        """The connection is down: nothing is answered any more."""
        for future, _ in self._waiting.values():
            if not future.done():
                future.set_exception(error())

    def _check_size(self, type: str, text: str) -> None:
        """The server closes a connection for good that sends too much, so it is not sent."""
        largest = self._largest()
        if largest is not None and len(text) * 4 > largest and (size := len(text.encode())) > largest:
            raise CarillonError("too_large", f"{type} has {size} bytes, and the server takes {largest} at most")


def error_of(frame: Frame) -> CarillonError:
    error = frame["error"]
    return CarillonError(error["code"], error["message"], reason=error.get("reason"))
