"""What may happen to a connection. Times are in seconds."""

from __future__ import annotations

from dataclasses import dataclass

from .backoff import Ending


@dataclass(frozen=True)
class Connect:
    pass


@dataclass(frozen=True)
class Close:
    reason: str


@dataclass(frozen=True)
class Credential:
    credential: str


@dataclass(frozen=True)
class CredentialFailed:
    """`end`: the reason with which the error ends the connection, if it does."""

    error: BaseException
    end: str | None = None
    retry_after: float | None = None


@dataclass(frozen=True)
class Opened:
    silence: float = 0.0
    lifetime: float | None = None
    """How long the credential is good from now on. None: without end."""


@dataclass(frozen=True)
class Lost:
    ending: Ending


@dataclass(frozen=True)
class Move:
    """The server wants this connection to move after that time."""

    after: float


@dataclass(frozen=True)
class Expiring:
    """The server says that the credential ends soon, or the time to refresh it has come."""


@dataclass(frozen=True)
class Refreshed:
    lifetime: float | None = None


@dataclass(frozen=True)
class RefreshRefused:
    ending: Ending


@dataclass(frozen=True)
class Answered:
    """The answer to a ping has come."""


@dataclass(frozen=True)
class TimeOver:
    pass


Event = (
    Connect
    | Close
    | Credential
    | CredentialFailed
    | Opened
    | Lost
    | Move
    | Expiring
    | Refreshed
    | RefreshRefused
    | Answered
    | TimeOver
)


@dataclass(frozen=True)
class Moment:
    """The moment of an event."""

    random: float = 0.5
    """From 0 to below 1."""
    quiet: float = 0.0
    """How long nothing has come."""
    open: float = 0.0
    """How long the connection has been open. 0: it is not."""
