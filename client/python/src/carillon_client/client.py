"""A client of a Carillon server. One connection carries all of its channels."""

from __future__ import annotations

import asyncio
import ssl as tls
from collections.abc import Callable, MutableMapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from .backoff import Ending
from .channel import Channel
from .channel_types import Link
from .commands import Commands, error_of
from .emitter import Emitter, log
from .errors import CarillonError, is_down, offline
from .events import Answered, Connect, Expiring, Move, Opened, Refreshed, RefreshRefused
from .protocol import KNOWN, Frame, Position, Session, event_of, lifetime, parse_frame, time_of
from .socket import Connection, Dial, GetToken, Owner
from .state import Change, ConnectionState, Profile
from .websocket import dial

# Silence that is longer than the server's ping interval by this means that the line may be dead.
SILENCE_MARGIN = 10.0


class Carillon:
    """Use it in one event loop, as `async with Carillon(url, get_token) as client:`.

    :param url: of the server, such as `https://rt.example.com`
    :param get_token: gives a token for each TokenRequest. It may be a coroutine function. Raise Unauthorized to end the
        client. After any other error the client tries again later.
    :param path: of the server's endpoint
    :param reconnect_delay: upper bound of the first delay before a further attempt, in seconds
    :param max_reconnect_delay: upper bound of all delays, in seconds
    :param linger: how long a channel is kept after its last listener, in seconds
    :param positions: keeps the positions of the channels. With a mapping that outlives the client, the next client
        recovers what was missed.
    :param ssl: for `https` and `wss`, in place of the default context
    :param dialler: opens a line with a token, in place of a WebSocket to `url`
    """

    def __init__(
        self,
        url: str,
        get_token: GetToken,
        *,
        path: str = "/ws",
        reconnect_delay: float = 1.0,
        max_reconnect_delay: float = 20.0,
        linger: float = 2.0,
        positions: MutableMapping[str, Position] | None = None,
        ssl: tls.SSLContext | None = None,
        dialler: Dial | None = None,
    ) -> None:
        target = target_of(url, path)
        self._connection = Connection(
            Owner(self._changed, self._received, self._report, self._ping, self._refresh),
            get_token,
            dialler or (lambda token: dial(target, token, ssl)),
            Profile(initial=reconnect_delay, maximum=max_reconnect_delay),
        )
        self._commands = Commands(self._connection.send, self._largest)
        self._link = Link(
            commands=self._commands,
            linger=linger,
            positions={} if positions is None else positions,
            is_open=lambda: self.state == "open",
            want=self._want,
            start=self._connection.start,
            report=self._report,
            request=self._request,
        )
        self._channels: dict[str, Channel] = {}
        self._changes: Emitter[Change] = Emitter()
        self._errors: Emitter[BaseException] = Emitter()
        self._session: Session | None = None
        self._server_time = datetime.now(timezone.utc)
        self._server_time_at = 0.0
        self._last = Change("idle", "idle")
        self._waiting: set[asyncio.Future[None]] = set()

    async def __aenter__(self) -> Carillon:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def state(self) -> ConnectionState:
        return self._connection.state

    @property
    def session(self) -> Session | None:
        """Who the server says that the user is. None while the connection is not open."""
        return self._session

    def on_state_change(self, listener: Callable[[Change], object]) -> Callable[[], None]:
        """Returns a function that removes the listener."""
        return self._changes.subscribe(listener)

    def on_error(self, listener: Callable[[BaseException], object]) -> Callable[[], None]:
        """Errors that no call is there for: of `get_token`, of the server, of a refused channel. Without a listener they
        are logged. Returns a function that removes the listener."""
        return self._errors.subscribe(listener)

    def channel(self, name: str) -> Channel:
        """The channel of that name: the same object for the same name, always."""
        if name not in self._channels:
            self._channels[name] = Channel(name, self._link)
        return self._channels[name]

    async def connect(self) -> None:
        """Returns when the connection is open, however long it takes. Raises CarillonError when it ends for good."""
        self._connection.dispatch(Connect())
        await self._ready()

    async def close(self) -> None:
        """Closes the connection. Listeners stay, and `connect` brings the channels back with what they missed."""
        await self._connection.close("closed")

    async def sign_out(self) -> None:
        """Closes the connection for good, and forgets all that belongs to the user: listeners and positions."""
        try:
            await self._connection.close("signed_out")
        finally:
            for channel in self._channels.values():
                channel._dispose()

    def _want(self) -> None:
        if self.state == "closed":
            raise self._closed()
        self._connection.dispatch(Connect())

    def _largest(self) -> int | None:
        return self._session.limits.get("message_bytes") if self._session else None

    def _closed(self) -> CarillonError:
        reason = self._last.reason or f"code {self._last.code}"
        return CarillonError("closed", f"the client is closed: {reason}", reason=reason, retryable=False)

    async def _ready(self) -> None:
        """Returns when the connection is open."""
        while self.state != "open":
            self._want()
            future = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
            try:
                await future
            finally:
                self._waiting.discard(future)

    async def _request(self, type: str, data: dict[str, Any], answer: str, timeout: float, repeat: bool) -> Frame:
        try:
            async with asyncio.timeout(timeout):
                while True:
                    await self._ready()
                    try:
                        return await self._commands.send(type, data, answer, timeout=None)
                    except CarillonError as error:
                        if error.code != "offline" or not repeat:
                            raise
                        await asyncio.sleep(0)  # the reader has not seen the end of the line yet
        except TimeoutError:
            if self.state != "open":
                raise offline() from None
            raise CarillonError("timeout", f"no answer to {type} came in {timeout} s") from None

    def _changed(self, change: Change) -> None:
        self._last = change
        if change.state == "open":
            for channel in list(self._channels.values()):
                channel._opened()
        elif change.previous == "open":
            self._session = None
            self._commands.fail_all(self._closed if change.state == "closed" else offline)
            for channel in list(self._channels.values()):
                channel._lost()
        if change.state == "closed":
            error = None if change.reason in ("closed", "signed_out") else self._closed()
            for channel in list(self._channels.values()):
                channel._ended(error)
        if change.state in ("open", "closed"):
            for future in self._waiting:
                if not future.done():
                    future.set_result(None)
        self._changes.emit(change)

    def _received(self, message: str | bytes) -> None:
        try:
            frame = parse_frame(message)
            if frame is None:
                return
            if frame["type"] in KNOWN:
                self._receive_frame(frame)
            elif frame.get("channel") in self._channels:
                self._channels[frame["channel"]]._receive(event_of(frame))
        except (ValueError, LookupError, TypeError) as error:
            self._report(error)

    def _receive_frame(self, frame: Frame) -> None:
        match frame["type"]:
            case "session_init":
                self._begin(frame)
            case "subscribed" | "unsubscribed" | "gap" | "join" | "leave":
                self._commands.settle(frame)
                if frame["channel"] in self._channels:
                    self._channels[frame["channel"]]._receive_frame(frame)
            case "warning":
                if frame["data"].get("code") == "token_expiring":
                    self._connection.dispatch(Expiring())
            case "reconnect":
                self._connection.dispatch(Move(frame["data"]["after_ms"] / 1000))
            case "error":
                if not self._commands.settle(frame):
                    self._report(error_of(frame))
            case _:
                self._commands.settle(frame)

    def _begin(self, frame: Frame) -> None:
        data = frame["data"]
        self._session = Session(frame["session_id"], data["user"], time_of(data["expires_at"]), data["limits"])
        interval = data["ping_interval_s"]
        silence = interval + SILENCE_MARGIN if interval > 0 else 0.0
        self._server_time = datetime.fromisoformat(frame["timestamp"])
        self._server_time_at = asyncio.get_running_loop().time()
        self._connection.dispatch(Opened(silence, lifetime(data["expires_at"], self._server_time)))

    async def _ping(self) -> None:
        try:
            await self._commands.send("ping", {}, "pong")
        except CarillonError:
            return  # the machine sees that nothing has come
        self._connection.dispatch(Answered())

    async def _refresh(self, token: str) -> None:
        try:
            frame = await self._commands.send("refresh", {"token": token}, "refreshed")
        except CarillonError as error:
            if is_down(error):
                return  # the next connection begins with the new token
            self._report(error)
            ending = Ending(1013 if error.retryable else 1008, error.reason or error.code)
            self._connection.dispatch(RefreshRefused(ending))
            return
        expires_at = frame["data"]["expires_at"]
        if self._session:
            self._session = replace(self._session, expires_at=time_of(expires_at))
        # The clock of this machine may be wrong, so the server's goes on from its last word.
        passed = asyncio.get_running_loop().time() - self._server_time_at
        self._connection.dispatch(Refreshed(lifetime(expires_at, self._server_time + timedelta(seconds=passed))))

    def _report(self, error: BaseException) -> None:
        if len(self._errors):
            self._errors.emit(error)
        else:
            log.warning("%s", error)


def target_of(url: str, path: str) -> str:
    """The WebSocket URL of an endpoint."""
    parts = urlsplit(url)
    schemes = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
    if parts.scheme not in schemes or not parts.netloc:
        raise ValueError(f"url: {url!r} is not a URL of a server, such as https://rt.example.com")
    return f"{schemes[parts.scheme]}://{parts.netloc}{parts.path.rstrip('/')}{path}"
