"""The journal: what has happened, and waiting for what will."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TypedDict, Unpack

from .api import Api, given, query, refusal
from .bodies import JournalKind, JournalLine, LineMatch

FOLLOW_S = 5


class WaitTimeout(Exception):
    """What has not come in time. The text shows what came near to it."""

    def __init__(self, message: str, lines: list[JournalLine], nearest: list[JournalLine]) -> None:
        super().__init__(message)
        self.lines = lines
        """Those that have come."""
        self.nearest = nearest
        """Those that would have matched with one condition less."""


def told(line: JournalLine) -> str:
    """A line, short enough to be read."""
    words = [f"{line['n']:>5} {line['at'][11:23]} {line['kind']:<12}"]
    words += [str(line[name]) for name in ("user", "channel", "code", "text", "rule") if name in line]
    if "frame" in line:
        frame = json.dumps(line["frame"], ensure_ascii=False)
        words.append(frame if len(frame) <= 300 else f"{frame[:300]}…")
    return " ".join(words)


class _About(TypedDict, total=False):
    """What a line must have, and how long and for how many is waited."""

    session: str
    user: str
    rule: str
    text: str
    code: int
    frame: object
    count: int
    timeout: str
    after: int


class _OfKind(_About, total=False):
    channel: str


class _Any(_OfKind, total=False):
    kind: JournalKind | Sequence[JournalKind]


class Waits:
    """Each returns the lines of the journal that it has waited for. What has happened already counts, too."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def for_(self, **match: Unpack[_Any]) -> list[JournalLine]:
        """Any line, such as `for_(kind="closed", user="ada", count=2, timeout="5s")`."""
        return self._wait(match)

    def _wait(self, match: Mapping[str, object]) -> list[JournalLine]:
        members = dict(match)
        options = given(**{name: members.pop(name, None) for name in ("count", "timeout", "after")})
        status, text = self._api.ask("POST", "/dev/v1/wait", {"for": members, **options})
        if status == 408:
            answer = json.loads(text)
            raise WaitTimeout(_too_late(members, answer), answer["lines"], answer["nearest"])
        if status != 200:
            raise refusal("POST", "/dev/v1/wait", status, text)
        lines: list[JournalLine] = json.loads(text)["lines"]
        return lines

    def connected(self, **match: Unpack[_OfKind]) -> list[JournalLine]:
        """A session has begun."""
        return self._wait({**match, "kind": "connected"})

    def refused(self, **match: Unpack[_OfKind]) -> list[JournalLine]:
        """A connection has been refused."""
        return self._wait({**match, "kind": "refused"})

    def subscribed(self, channel: str, **match: Unpack[_About]) -> list[JournalLine]:
        """A session has a channel."""
        return self._wait({**match, "kind": "subscribed", "channel": channel})

    def unsubscribed(self, channel: str, **match: Unpack[_About]) -> list[JournalLine]:
        """A session has left a channel."""
        return self._wait({**match, "kind": "unsubscribed", "channel": channel})

    def closed(self, **match: Unpack[_OfKind]) -> list[JournalLine]:
        """A connection has ended."""
        return self._wait({**match, "kind": "closed"})

    def published(self, channel: str, **match: Unpack[_About]) -> list[JournalLine]:
        """The broker has taken an event."""
        return self._wait({**match, "kind": "published", "channel": channel})

    def delivered(self, channel: str, **match: Unpack[_About]) -> list[JournalLine]:
        """An event has gone to a client."""
        return self._wait({**match, "kind": "delivered", "channel": channel})

    def received(self, **match: Unpack[_OfKind]) -> list[JournalLine]:
        """A message of a client has come."""
        return self._wait({**match, "kind": "received"})

    def answered(self, **match: Unpack[_OfKind]) -> list[JournalLine]:
        """A command has been answered."""
        return self._wait({**match, "kind": "answered"})

    def idle(self, timeout: str | None = None) -> None:
        """Nothing has happened for 50 ms."""
        self._wait({"kind": "idle", "timeout": timeout})


def _too_late(match: dict[str, object], answer: dict[str, object]) -> str:
    """The server's sentence, what has come, and what came near."""
    out = [f"waited for {json.dumps(match)}: {answer['error']['message']}"]  # type: ignore[index]
    for title, name in (("these have come:", "lines"), ("near to it:", "nearest")):
        lines: list[JournalLine] = answer[name]  # type: ignore[assignment]
        if lines:
            out += [title, *map(told, lines)]
    return "\n".join(out)


def _read(text: str) -> list[JournalLine]:
    """Lines end with a line feed: texts in them may have other characters that Python takes for the end of a line."""
    return [json.loads(line) for line in text.split("\n") if line]


class Journal:
    """All that has happened, in one order."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def lines(
        self,
        *,
        kinds: Sequence[JournalKind] = (),
        session: str | None = None,
        user: str | None = None,
        channel: str | None = None,
        after: int | None = None,
        wait: str | None = None,
    ) -> list[JournalLine]:
        """The lines that are there. `wait`: when there is none yet, wait for the first, at most so long."""
        wanted = given(kinds=",".join(kinds) or None, session=session, user=user, channel=channel, after=after, wait=wait)
        status, text = self._api.ask("GET", f"/dev/v1/journal?{query(wanted)}")
        if status != 200:
            raise refusal("GET", "/dev/v1/journal", status, text)
        return _read(text)

    def follow(
        self,
        *,
        kinds: Sequence[JournalKind] = (),
        session: str | None = None,
        user: str | None = None,
        channel: str | None = None,
        after: int = 0,
    ) -> Iterator[JournalLine]:
        """Each line, also those that come later, and those after a reset. It does not end by itself."""
        wanted = given(kinds=",".join(kinds) or None, session=session, user=user, channel=channel, wait=f"{FOLLOW_S}s")
        era: str | None = None
        while True:
            path = f"/dev/v1/journal?{query({**wanted, **given(after=after, era=era)})}"
            status, text, headers = self._api.ask_all("GET", path)
            if status != 200:
                raise refusal("GET", "/dev/v1/journal", status, text)
            if era not in (None, headers["Journal-Era"]):
                after = 0  # lines count anew after a reset
            era = headers["Journal-Era"]
            for line in _read(text):
                after = line["n"]
                yield line

    def clear(self) -> None:
        """Empties it."""
        self._api.order("DELETE", "/dev/v1/journal")

    def verify(
        self,
        expect: Sequence[LineMatch],
        *,
        in_order: bool | None = None,
        nothing_else: Sequence[JournalKind] | None = None,
        after: int | None = None,
    ) -> None:
        """Raises an AssertionError with the difference when the journal has not what is expected."""
        body = {"expect": expect, **given(in_order=in_order, nothing_else=nothing_else, after=after)}
        status, text = self._api.ask("POST", "/dev/v1/verify", body)
        if status == 422:
            raise AssertionError(json.loads(text)["error"]["message"])
        if status != 200:
            raise refusal("POST", "/dev/v1/verify", status, text)
