"""Lines to a server by the package `websockets`: its present API (13 and later), and the one before (10 to 12)."""

from __future__ import annotations

import importlib
import json
import re
import ssl as tls
from typing import Any, Protocol

from websockets.exceptions import ConnectionClosed, InvalidHandshake, WebSocketException

from .backoff import Ending

CLOSE_TIMEOUT = 3.0
WORD = re.compile("[a-z][a-z_]*")
# What a JSON body of the server says at least, where the body itself cannot be read.
CODES = {400: "invalid_request", 403: "forbidden", 404: "not_found", 426: "invalid_request"}


class Line(Protocol):
    """An open WebSocket."""

    async def send(self, text: str) -> None:
        """Raises Ended."""

    async def receive(self) -> str | bytes:
        """Raises Ended."""
        ...

    async def close(self) -> None: ...


class Ended(Exception):
    """The line has ended, or could not be opened."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending)
        self.ending = ending


class WebSocketLine:
    def __init__(self, socket: Any) -> None:
        self._socket = socket

    async def send(self, text: str) -> None:
        try:
            await self._socket.send(text)
        except ConnectionClosed as closed:
            raise Ended(_ending_of(closed)) from closed

    async def receive(self) -> str | bytes:
        try:
            message: str | bytes = await self._socket.recv()
            return message
        except ConnectionClosed as closed:
            raise Ended(_ending_of(closed)) from closed

    async def close(self) -> None:
        await self._socket.close()


async def dial(url: str, token: str | None, ssl: tls.SSLContext | None = None) -> WebSocketLine:
    """Opens a line. Raises Ended."""
    connect, headers = _api()
    options: dict[str, Any] = {} if ssl is None else {"ssl": ssl}
    try:
        socket = await connect(
            url,
            **{headers: {} if token is None else {"Authorization": f"Bearer {token}"}},
            subprotocols=["carillon.v1"],
            open_timeout=None,  # the machine of the connection has one
            close_timeout=CLOSE_TIMEOUT,
            ping_interval=None,  # the client pings when nothing comes
            max_size=None,
            **options,
        )
    except InvalidHandshake as refused:
        raise Ended(_refusal_of(refused)) from refused
    except (OSError, EOFError, ConnectionClosed) as error:
        raise Ended(Ending(1006, str(error))) from error
    except WebSocketException as error:
        raise Ended(Ending(1002, str(error))) from error  # nothing can be dialled at such a URL
    return WebSocketLine(socket)


def _api() -> tuple[Any, str]:
    try:
        return importlib.import_module("websockets.asyncio.client").connect, "additional_headers"
    except ImportError:
        return importlib.import_module("websockets.client").connect, "extra_headers"


def _ending_of(closed: ConnectionClosed) -> Ending:
    return Ending(closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else Ending(1006)


def _refusal_of(refused: InvalidHandshake) -> Ending:
    """The HTTP answer in place of an upgrade. Versions before 13 do not give its body, which has the reason."""
    answer: Any = getattr(refused, "response", refused)
    status = getattr(answer, "status_code", 0)
    headers = getattr(answer, "headers", {})
    if hasattr(answer, "body"):
        reason = _reason_of(answer.body)
    else:
        reason = CODES.get(status, "") if headers.get("Content-Type") == "application/json" else ""
    after = headers.get("Retry-After", "")
    return Ending(1006, reason, status, float(after) or None if after.isdecimal() else None)


def _reason_of(body: bytes | None) -> str:
    """The word of Carillon's body: the reason, or else the error's code. Empty: the body is that of somebody else."""
    try:
        error = json.loads(body or b"")["error"]
        words = (error["code"], error.get("reason", error["code"]))
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
    return words[1] if all(isinstance(word, str) and WORD.fullmatch(word) for word in words) else ""
