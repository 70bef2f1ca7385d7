"""Every error of this package is a CarillonError."""

from __future__ import annotations

# Explains each code and reason: a page of this package, and of the repository of Carillon.
PAGE = "docs/client-errors.md"
RETRYABLE = frozenset({"rate_limited", "internal_error", "unavailable", "offline", "timeout"})


class CarillonError(Exception):
    """What went wrong, for people and for programs."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        reason: str | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        """A code of the server, such as `forbidden`, or one of this package, such as `offline`."""
        self.reason = reason
        """More exactly, where there is more to say, such as `token_expired`."""
        self.retryable = code in RETRYABLE if retryable is None else retryable
        """Whether the same call may succeed later."""
        self.retry_after = retry_after
        """How long the server wants to be left alone, in seconds."""

    @property
    def link(self) -> str:
        """The section about this code: a file of the package, and of the repository of Carillon."""
        return f"{PAGE}#{self.reason or self.code}"


class Unauthorized(CarillonError):
    """Raise this in `get_token` when the user is signed out. The client closes, and does not try again."""

    def __init__(self, message: str = "the user is signed out") -> None:
        super().__init__("unauthorized", message, reason="signed_out", retryable=False)


def offline() -> CarillonError:
    return CarillonError("offline", "the connection is down")


def is_down(error: CarillonError) -> bool:
    """Whether a call has failed because the connection has ended. The server has said nothing."""
    return error.code in ("offline", "closed")
