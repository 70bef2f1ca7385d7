"""Pure rules: what the end of a connection means, and how long to wait before the next attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["final", "refused", "retry"]
"""What an ending means for the next attempt.

- `final`: the same attempt would fail again, so there is none.
- `refused`: the credential is not good. Another one may be.
- `retry`: it may work later.
"""

FINAL_REASONS = frozenset({"scope_missing", "origin_denied", "channel_denied", "backend_denied", "bad_messages"})
FINAL_CODES = frozenset({1002, 1003, 1007, 1009})
# Reasons that are no statement about the credential.
RETRIED_REASONS = frozenset({"disconnected", "ticket_held"})
RETRIED_STATUSES = frozenset({408, 409, 429})


@dataclass(frozen=True)
class Ending:
    """How a connection ended, as far as the client can see."""

    code: int
    """Close code of RFC 6455. 1006: the line broke, or the connection never opened."""
    reason: str = ""
    """The server's word, such as `token_expired`. Empty if there is none, as in the answer of a proxy."""
    status: int = 0
    """HTTP status of a refused upgrade. 0 if there is none."""
    retry_after: float | None = None
    """The server's word for how long to wait (`Retry-After`), in seconds."""


def judge(ending: Ending) -> Verdict:
    code, reason, status = ending.code, ending.reason, ending.status
    if status == 401:
        return "refused"
    # Without a reason it is the answer of a proxy, which may know better after its deploy.
    if 400 <= status < 500 and status not in RETRIED_STATUSES and reason:
        return "final"
    if reason in FINAL_REASONS or code in FINAL_CODES:
        return "final"
    if reason in RETRIED_REASONS:
        return "retry"
    return "refused" if code in (1008, 4001) or reason.startswith(("token_", "ticket_")) else "retry"


def backoff(attempt: int, initial: float, maximum: float, random: float) -> float:
    """How long to wait before the attempt of this number, in seconds.

    The jitter is full, so that the clients of a server that has restarted do not come back at the same moment.

    :param attempt: 1 for the first one after a connection was lost
    :param random: from 0 to below 1
    """
    return random * min(maximum, initial * 1.5 ** min(attempt - 1, 30))
