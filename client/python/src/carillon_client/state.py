"""A connection as its machine sees it: all that must be there for it. Times are in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .backoff import Ending

ConnectionState = Literal["idle", "connecting", "open", "reconnecting", "closed"]
Why = Literal["connect", "refresh", "refused"]


@dataclass(frozen=True)
class Profile:
    """What users may set. Times are in seconds."""

    initial: float = 1.0
    """Upper bound of the first delay."""
    maximum: float = 20.0
    """Upper bound of all delays."""
    connect_timeout: float = 10.0
    """How long an attempt may take."""
    pong_timeout: float = 3.0
    """How long the answer to a ping may take."""


@dataclass(frozen=True, eq=False)
class Change:
    """What is told of a change."""

    state: ConnectionState
    previous: ConnectionState
    code: int | None = None
    reason: str | None = None
    attempt: int | None = None
    """Of `reconnecting`: the number of the attempt, from 1."""
    retry_in: float | None = None
    """Of `reconnecting`: how long it waits."""


@dataclass(frozen=True, eq=False)
class Socket:
    """A socket that is open or being opened."""

    credential: str


@dataclass(frozen=True, eq=False)
class Question:
    """A question for a credential."""

    why: Why
    refusal: Ending | None = None


@dataclass(frozen=True, eq=False)
class Wait:
    """A time that runs. `pong`: a ping is sent as it begins."""

    what: Literal["attempt", "retry", "ping", "pong"]
    seconds: float


@dataclass(frozen=True, eq=False)
class Refresh:
    """When the next credential is asked for."""

    seconds: float


@dataclass(frozen=True, eq=False)
class Renewal:
    """A credential that the open connection is being continued with. The server has not answered yet."""

    credential: str


@dataclass(frozen=True, eq=False)
class Problem:
    error: BaseException


@dataclass(frozen=True)
class Machine:
    """A connection, and all that must be there for it.

    Whoever runs the machine compares it with the one before. A member that is another object asks for something to be
    done, and None for its end.
    """

    state: ConnectionState = "idle"
    socket: Socket | None = None
    question: Question | None = None
    wait: Wait | None = None
    refresh: Refresh | None = None
    renewal: Renewal | None = None
    change: Change = Change("idle", "idle")
    problem: Problem | None = None

    attempt: int = 0
    """Attempts that have failed since the connection was open for a while."""
    credential: str | None = None
    """The credential of the socket, or of the next one. None: one must be asked for."""
    refused: tuple[str, ...] = ()
    """The last credentials that were refused. They are never sent again."""
    refusal: Ending | None = None
    """The refusal that the next credential is asked for with."""
    refusals: int = 0
    """How many refusals there were since the connection was open for a while."""
    failures: int = 0
    """Times in a row that the open connection could not be continued with another credential."""
    silence: float = 0.0
    """The longest silence of a living connection. 0: silence means nothing."""
    moving: bool = False
    """The server has asked to move, so the next attempt does not wait."""
