"""A server for tests."""

from __future__ import annotations

import datetime
import urllib.parse
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from .api import Api, given
from .faults import Rules, SessionTarget, Target
from .journal import Journal, Waits
from .process import ServerProcess, StartOptions
from .bodies import (
    BrokerState,
    ClockAnswer,
    Facts,
    Keep,
    Known,
    Published,
    Session,
    Snapshot,
    TicketAnswer,
    TokenAnswer,
)

if TYPE_CHECKING:
    from .aio import AsyncCarillon


class Clock:
    """The server's clock. Durations are texts such as `31s`, `250ms` or `5m`."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def _order(self, **members: object) -> ClockAnswer:
        answer: ClockAnswer = self._api.order("POST", "/dev/v1/clock", given(**members))
        return answer

    def now(self) -> datetime.datetime:
        return datetime.datetime.fromisoformat(self._api.order("GET", "/dev/v1/clock")["now"])

    def advance(self, by: str) -> ClockAnswer:
        """Moves the clock on. Returns when all that is due on the way has happened."""
        return self._order(advance=by)

    def set(self, to: str | datetime.datetime) -> ClockAnswer:
        """Moves the clock to a time, such as `2026-01-01T00:00:00Z`."""
        if isinstance(to, datetime.datetime):
            to = to.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return self._order(set=to)

    def freeze(self) -> ClockAnswer:
        """The clock stands still."""
        return self._order(freeze=True)

    def run(self, rate: int | None = None) -> ClockAnswer:
        """The clock runs again, `rate` times as fast as the time."""
        return self._order(run=True, rate=rate)


class Broker:
    """The server's broker: the failures of a Redis, without one."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def _order(self, state: str, **members: object) -> BrokerState:
        answer: BrokerState = self._api.order("POST", "/dev/v1/broker", {"state": state, **given(**members)})["state"]
        return answer

    def state(self) -> BrokerState:
        """What it does now."""
        state: BrokerState = self._api.order("GET", "/dev/v1/broker")["state"]
        return state

    def down(self, for_: str | None = None) -> BrokerState:
        """It does not answer, until `up`, or for that time."""
        return self._order("down", **{"for": for_})

    def slow(self, by: str | None = None, for_: str | None = None) -> BrokerState:
        """It answers late: by 500 ms, when `by` is not given."""
        return self._order("slow", by=by, **{"for": for_})

    def lost(self, for_: str | None = None) -> BrokerState:
        """It comes back empty, at once or after that time."""
        return self._order("lost", **{"for": for_})

    def up(self) -> BrokerState:
        """It works again."""
        return self._order("up")


class CarillonServer:
    """`start_carillon` starts one, `attach_carillon` takes one that runs already."""

    def __init__(self, facts: Facts, process: ServerProcess | None = None) -> None:
        self._process = process
        self._api = Api(facts["api_url"], facts["api_key"], process.why_ended if process else lambda: None)
        self.facts = facts
        """What the server has said of itself: all URLs, keys and secrets."""
        self.ws_url = facts["ws_url"]
        """URL of the first endpoint, without a token."""
        url = urllib.parse.urlsplit(facts["ws_url"])
        self.origin = f"{url.scheme.replace('ws', 'http')}://{url.netloc}"
        """The same server by HTTP: what `carillon_client.Carillon` takes as its `url`."""
        self.api_url = facts["api_url"]
        """The internal listener: `POST <api_url>/api/v1/publish`."""
        self.api_key = facts["api_key"]
        """Opens the HTTP API, as `X-API-Key`."""
        self.console_url = facts.get("console_url", f"{facts['api_url']}/")
        self.wait = Waits(self._api)
        self.rules = Rules(self._api)
        self.clock = Clock(self._api)
        self.broker = Broker(self._api)
        journal = Journal(self._api)
        self.journal = journal.lines
        self.follow = journal.follow
        self.clear_journal = journal.clear
        self.verify = journal.verify

    @cached_property
    def aio(self) -> AsyncCarillon:
        """The same server, with the same words, for asyncio: each call is awaited."""
        from .aio import AsyncCarillon

        return AsyncCarillon(self)

    def _token(self, sub: str, wish: Mapping[str, object]) -> TokenAnswer:
        answer: TokenAnswer = self._api.order("POST", "/dev/v1/tokens", {"sub": sub, **given(**wish)})
        return answer

    def token(
        self, sub: str, *, channels: Sequence[object] | None = None, expires: str | None = None, claims: Mapping[str, object] | None = None
    ) -> str:
        """A token for a user: for all channels and 30 days, when nothing else is given."""
        return self._token(sub, {"channels": channels, "expires": expires, "claims": claims})["token"]

    def url(
        self, sub: str, *, channels: Sequence[object] | None = None, expires: str | None = None, claims: Mapping[str, object] | None = None
    ) -> str:
        """The URL of the first endpoint that connects as a user, with a token in it."""
        answer = self._token(sub, {"channels": channels, "expires": expires, "claims": claims})
        if answer["token"] not in answer["ws_url"]:
            raise ValueError(f"the endpoint {self.ws_url} takes no token in its query: use token(), and send it as the endpoint wants it")
        return answer["ws_url"]

    def ticket(
        self,
        sub: str,
        *,
        purpose: str | None = None,
        resource: str | None = None,
        channels: Sequence[object] | None = None,
        expires: str | None = None,
        claims: Mapping[str, object] | None = None,
    ) -> TicketAnswer:
        """A ticket for a user, with the URL that it opens. `expires`: how long it can wait for its use."""
        wish = given(purpose=purpose, resource=resource, channels=channels, expires=expires, claims=claims)
        answer: TicketAnswer = self._api.order("POST", "/dev/v1/tickets", {"sub": sub, **wish})
        return answer

    def publish(
        self, channel: str, type: str, data: object, *, event_id: str | None = None, exclude_session: str | None = None
    ) -> Published:
        """Publishes an event, as a backend does."""
        event = {"channel": channel, "type": type, "data": data, **given(event_id=event_id, exclude_session=exclude_session)}
        published: Published = self.api("publish", event)
        return published

    def api(self, route: str, body: Mapping[str, object]) -> Any:
        """Any other call of the HTTP API (docs/openapi.yaml), such as `api("revoke", {"user": "ada"})`."""
        return self._api.order("POST", f"/api/v1/{route}", body)

    def user(self, user: str) -> Target:
        """Faults for the sessions of a user."""
        return Target(self._api, {"user": user})

    def session(self, session: str) -> SessionTarget:
        """Faults for one session, and how it is."""
        return SessionTarget(self._api, session)

    def channel(self, channel: str) -> Target:
        """Faults for the sessions that have a channel. `*` stands for any run of characters."""
        return Target(self._api, {"channel": channel})

    def all(self) -> Target:
        """Faults for all sessions."""
        return Target(self._api, {"all": True})

    def sessions(self) -> list[Session]:
        """The open sessions."""
        sessions: list[Session] = self._api.order("GET", "/dev/v1/sessions")["sessions"]
        return sessions

    def channel_rules(self, rules: Sequence[Mapping[str, object]] | None = None) -> None:
        """Other rules of channels, as a reload brings them. Without any: those of the start."""
        self._api.order("PUT", "/dev/v1/channels-rules", rules)

    def snapshot(self) -> Snapshot:
        """What the server remembers."""
        saved: Snapshot = self._api.order("GET", "/dev/v1/snapshot")
        return saved

    def restore(self, snapshot: Snapshot) -> None:
        """Puts back what was saved."""
        self._api.order("PUT", "/dev/v1/snapshot", snapshot)

    def reset(self, keep: Sequence[Keep] = ()) -> int:
        """Everything is as at the start: for between two tests. Returns the number of sessions that it has closed."""
        closed: int = self._api.order("POST", "/dev/v1/reset", {"keep": list(keep)})["closed"]
        return closed

    def log(self) -> str:
        """The end of what the server has logged. Empty for a server that was attached to."""
        return self._process.log() if self._process else ""

    def stop(self) -> None:
        """Ends the server. One that was attached to goes on."""
        self._api.close()
        if self._process:
            self._process.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def start_carillon(**options: Unpack[StartOptions]) -> CarillonServer:
    """Starts a server on free ports. It ends by `stop`, or with this process, however that ends."""
    process = ServerProcess(options)
    return CarillonServer(process.facts, process)


def attach_carillon(facts: Known) -> CarillonServer:
    """A server that runs already, in a container for example. `facts` then has no more than what is given here."""
    return CarillonServer(cast(Facts, facts))
