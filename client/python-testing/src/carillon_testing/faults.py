"""Faults: at once, and by rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from .api import Api, given, segment
from .bodies import Action, Done, GapReason, NewRule, On, Rule, RuleMatch, SessionDetails


class Rules:
    """The rules, in order: the first one that matches acts."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def add(self, action: Action, match: RuleMatch | None = None, *, times: int | None = None, comment: str | None = None) -> Rule:
        """Adds a rule behind the others."""
        rule: NewRule | dict[str, object] = given(match=match, action=action, times=times, comment=comment)
        added: Rule = self._api.order("POST", "/dev/v1/rules", rule)
        return added

    def list(self) -> list[Rule]:
        """All rules, with their hits."""
        rules: list[Rule] = self._api.order("GET", "/dev/v1/rules")["rules"]
        return rules

    def get(self, id: str) -> Rule:
        """One rule, with its hits."""
        rule: Rule = self._api.order("GET", f"/dev/v1/rules/{segment(id)}")
        return rule

    def remove(self, rule: str | Rule) -> None:
        id = rule if isinstance(rule, str) else rule["id"]
        self._api.order("DELETE", f"/dev/v1/rules/{segment(id)}")

    def clear(self) -> None:
        """Removes all rules."""
        self._api.order("DELETE", "/dev/v1/rules")


class Target:
    """Faults at once, for the sessions of a user, of a channel, or all. docs/testing.md says what a client sees of each."""

    def __init__(self, api: Api, on: On) -> None:
        self._api = api
        self._on = on

    def do(self, action: Action) -> Done:
        """Any action, such as `{"do": "delay", "by": "200ms"}`."""
        done: Done = self._api.order("POST", "/dev/v1/do", {"on": self._on, "action": action})
        return done

    def _do(self, name: str, **members: object) -> Done:
        return self.do({"do": name, **given(**members)})

    def close(self, reason: str | None = None, code: int | None = None) -> Done:
        """A close frame. With a reason of docs/protocol.md and no code, the session ends as the server would end it."""
        return self._do("close", reason=reason, code=code)

    def reset(self) -> Done:
        """A TCP reset."""
        return self._do("reset")

    def half_close(self) -> Done:
        """The server ends its side, without a close frame."""
        return self._do("half_close")

    def freeze(self, for_: str | None = None, side: Literal["read", "write", "both"] | None = None) -> Done:
        """Nothing moves, and the socket stays: the sleeping phone."""
        return self._do("freeze", **{"for": for_}, side=side)

    def thaw(self) -> Done:
        """What is frozen moves again."""
        return self._do("freeze", **{"for": 0})

    def throttle(self, bytes_per_s: int) -> Done:
        """So many bytes a second, in both directions. 0: no limit."""
        return self._do("throttle", bytes_per_s=bytes_per_s)

    def delay(self, by: str, jitter: str | None = None) -> Done:
        """The next message is late, and what is behind it."""
        return self._do("delay", by=by, jitter=jitter)

    def drop(self) -> Done:
        """The next message never comes."""
        return self._do("drop")

    def duplicate(self, n: int | None = None) -> Done:
        """The next message comes again."""
        return self._do("duplicate", n=n)

    def reorder(self, window: int | None = None, for_: str | None = None) -> Done:
        """The next messages come in another order."""
        return self._do("reorder", window=window, **{"for": for_})

    def corrupt(self) -> Done:
        """The next message is not UTF-8."""
        return self._do("corrupt")

    def truncate(self, bytes: int) -> Done:
        """Only the first bytes of the next message come."""
        return self._do("truncate", bytes=bytes)

    def fragment(self, bytes: int) -> Done:
        """The next message comes in small WebSocket frames."""
        return self._do("fragment", bytes=bytes)

    def replace(self, frame: Mapping[str, Any] | str) -> Done:
        """In place of the next message another one comes."""
        return self._do("replace", frame=frame)

    def inject(self, frame: Mapping[str, Any] | str) -> Done:
        """One more message comes to the client."""
        return self._do("inject", frame=frame)

    def gap(self, reason: GapReason, channel: str | None = None) -> Done:
        """A `gap` frame: events may be missing."""
        return self._do("gap", reason=reason, channel=channel)

    def lose_history(self, channel: str | None = None) -> Done:
        """The history begins anew."""
        return self._do("lose_history", channel=channel)

    def expire(self, warn: bool | None = None) -> Done:
        """The token ends now. With `warn` the client is warned first."""
        return self._do("expire", warn=warn)

    def reconnect(self, after_ms: int | None = None) -> Done:
        """A `reconnect` frame, and 1001 after that time."""
        return self._do("reconnect", after_ms=after_ms)

    def lose_answer(self) -> Done:
        """The next command is carried out, and never answered."""
        return self._do("lose_answer")

    def error(self, code: str | None = None) -> Done:
        """The next command is not carried out: an error is the answer."""
        return self._do("error", code=code)


class SessionTarget(Target):
    """One session: faults, and how it is."""

    def __init__(self, api: Api, session: str) -> None:
        super().__init__(api, {"session": session})
        self._session = session

    def show(self) -> SessionDetails:
        """Its channels, and what it has sent and got last."""
        shown: SessionDetails = self._api.order("GET", f"/dev/v1/sessions/{segment(self._session)}")
        return shown
