"""Bodies and answers of the control API. docs/openapi-dev.yaml describes each, by the same name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

JournalKind = Literal[
    "connected", "refused", "subscribed", "unsubscribed", "closed", "published", "received", "delivered", "answered",
    "sent", "closing", "rule", "clock", "broker", "reset",
]  # fmt: skip
GapReason = Literal[
    "epoch_changed", "offset_regressed", "history_too_short", "history_unavailable", "history_changed", "connection_lost"
]
BrokerState = Literal["up", "down", "slow"]
Keep = Literal["sessions", "histories", "rules", "journal", "clock"]
Action = Mapping[str, Any]
"""What is done, such as `{"do": "delay", "by": "200ms"}`. docs/testing.md has all actions."""


class User(TypedDict):
    sub: str
    token: str
    url: str | None


class _Endpoint(TypedDict):
    path: str
    preset: str
    ws_url: str
    """The names of the path are filled in."""


class Endpoint(_Endpoint, total=False):
    """How an endpoint takes a token or a ticket. A member is there only where it does."""

    query: str
    """The query parameter for the token."""
    subprotocol: str
    """The subprotocol beside which the token may come."""
    ticket_query: str
    """The query parameter for a ticket, and what the ticket must be for."""
    purpose: str
    resource: str


class Known(TypedDict):
    """What must be known of a server that runs already."""

    ws_url: str
    api_url: str
    api_key: str


class Facts(Known):
    """The line that `carillon dev --json` prints."""

    pid: int
    version: str
    console_url: str
    token: str
    token_secret: str
    users: list[User]
    endpoints: list[Endpoint]
    tickets_url: NotRequired[str]


class TokenWish(TypedDict, total=False):
    sub: str
    channels: Sequence[object]
    expires: str
    claims: Mapping[str, object]


class TokenAnswer(TypedDict):
    token: str
    ws_url: str


class TicketWish(TypedDict, total=False):
    sub: str
    channels: Sequence[object]
    expires: str
    claims: Mapping[str, object]
    purpose: str
    resource: str


class TicketAnswer(TypedDict):
    ticket: str
    ws_url: str
    expires_in: int


class JournalLine(TypedDict):
    """One thing that has happened."""

    n: int
    at: str
    dir: Literal["in", "out", "sys"]
    kind: JournalKind
    session: NotRequired[str]
    user: NotRequired[str]
    channel: NotRequired[str]
    code: NotRequired[int]
    text: NotRequired[str]
    rule: NotRequired[str]
    frame: NotRequired[Any]
    bytes: NotRequired[int]


class LineMatch(TypedDict, total=False):
    """What a line must have. A member that is not given asks for nothing."""

    kind: JournalKind | Sequence[JournalKind]
    session: str
    user: str
    channel: str
    rule: str
    text: str
    code: int
    frame: object


class SessionChannel(TypedDict):
    channel: str
    subscribed: bool
    recovering: bool
    epoch: NotRequired[str]
    offset: NotRequired[int]


class Session(TypedDict):
    session_id: str
    user: str
    address: str
    endpoint: str
    connected_at: str | None
    expires_at: str | None
    outbox_messages: int
    outbox_bytes: int
    channels: list[SessionChannel]


class SessionDetails(Session):
    last_in: JournalLine | None
    last_out: JournalLine | None


class On(TypedDict, total=False):
    """Whom an order is about: one of the members."""

    session: str
    user: str
    channel: str
    all: Literal[True]


class Done(TypedDict):
    count: int
    rules: NotRequired[list[str]]


class RuleMatch(TypedDict, total=False):
    at: Literal["out", "in", "connect"]
    type: str
    channel: str
    user: str
    session: str
    data: object
    nth: int


class NewRule(TypedDict):
    match: NotRequired[RuleMatch]
    action: Action
    times: NotRequired[int]
    comment: NotRequired[str]


class Rule(TypedDict):
    id: str
    match: NotRequired[RuleMatch]
    action: dict[str, Any]
    times: NotRequired[int]
    comment: NotRequired[str]
    hits: int


class ClockAnswer(TypedDict):
    now: str
    frozen: bool
    rate: int
    fired: list[JournalLine]


class SavedClock(TypedDict):
    now: str
    rate: int


class SavedChannel(TypedDict):
    channel: str
    epoch: str
    offset: int
    id: str
    events: list[dict[str, Any]]


class SavedRevocation(TypedDict):
    jti: NotRequired[str]
    user: NotRequired[str]
    issued_before_ms: int
    until_ms: int


class SavedRule(Rule):
    seen: int


class Snapshot(TypedDict):
    """What the server remembers."""

    version: int
    clock: NotRequired[SavedClock]
    channels: NotRequired[list[SavedChannel]]
    revocations: NotRequired[list[SavedRevocation]]
    rules: NotRequired[list[SavedRule]]


class Published(TypedDict):
    """Where an event is."""

    id: str
    epoch: NotRequired[str]
    offset: NotRequired[int]
    duplicate: NotRequired[bool]
