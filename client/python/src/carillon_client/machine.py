"""The rules of a connection, without clock, socket or chance: `step` takes a machine and what has happened, and gives
the next machine. Times are in seconds."""

from __future__ import annotations

from dataclasses import replace

from .backoff import Ending, backoff, judge
from .events import (
    Answered,
    Close,
    Connect,
    Credential,
    CredentialFailed,
    Event,
    Expiring,
    Lost,
    Moment,
    Move,
    Opened,
    Refreshed,
    RefreshRefused,
    TimeOver,
)
from .state import Change, ConnectionState, Machine, Problem, Profile, Question, Refresh, Renewal, Socket, Wait, Why

# Part of a credential's lifetime after which the next one is asked for.
REFRESH_AT = 0.8
# A token that has nearly ended would be refreshed without end.
REFRESH_AT_LEAST = 1.0
# A connection that has been open for so long was no failed attempt.
SETTLED = 5.0
# How long `get_token` may take while there is no connection.
ASK_TIMEOUT = 60.0
# Timers may run that much too early.
TIMER_ERROR = 0.01
# The reason that is the end: nothing connects any more.
SIGNED_OUT = "signed_out"
# How many refused credentials are remembered.
REFUSED_MAX = 20


def step(m: Machine, event: Event, profile: Profile, moment: Moment) -> Machine:
    """One step."""
    return _Step(m, profile, moment).take(event)


def refresh_after(lifetime: float | None) -> Refresh | None:
    return None if lifetime is None else Refresh(max(REFRESH_AT_LEAST, lifetime * REFRESH_AT))


class _Step:
    """What the rows of the machine share: the machine before, the profile and the moment."""

    def __init__(self, m: Machine, profile: Profile, moment: Moment) -> None:
        settled = moment.open >= SETTLED
        self.m = replace(m, attempt=0, refusals=0) if settled else m
        self.open = m.state == "open"
        self.profile = profile
        self.moment = moment

    def take(self, event: Event) -> Machine:
        m = self.m
        if m.state in ("idle", "closed"):
            return self.at_rest(event)
        match event:
            case Connect():
                return m
            case Close(reason):
                return self.end(1000, reason)
            case Credential(credential):
                return self.credential(credential)
            case CredentialFailed(error, end, retry_after):
                if end:
                    return replace(self.end(1000, end), problem=Problem(error))
                return self.no_credential(error, retry_after)
            case Opened(silence, lifetime):
                return m if self.open else self.opened(silence, lifetime)
            case Lost(ending):
                return self.lost(ending)
            case Move(after):
                return replace(m, moving=True, wait=Wait("retry", after)) if self.open else m
            case Expiring():
                if not self.open:
                    return replace(m, credential=None)
                return m if m.renewal else replace(self.ask("refresh"), refresh=None)
            case Refreshed(lifetime):
                if not m.renewal:
                    return m
                credential = m.renewal.credential
                refresh = refresh_after(lifetime)
                return replace(m, credential=credential, renewal=None, refusal=None, failures=0, refresh=refresh)
            case RefreshRefused(ending):
                return self.refresh_refused(ending)
            case Answered():
                return replace(m, wait=Wait("ping", m.silence)) if m.wait and m.wait.what == "pong" else m
            case TimeOver():
                return self.time_over()

    def at_rest(self, event: Event) -> Machine:
        """There is no connection, and nothing wants one. After `signed_out` nothing brings it back."""
        m = self.m
        signed_out = m.change.reason == SIGNED_OUT
        match event:
            case Connect() if not signed_out:
                return self.begin(m)
            case Close(reason) if m.state == "idle" or (reason == SIGNED_OUT and not signed_out):
                return self.end(1000, reason)
        return m

    def begin(self, m: Machine) -> Machine:
        """An attempt begins, with the credential at hand or as soon as there is one."""
        self.m = m
        if m.state not in ("reconnecting", "connecting"):
            self.m = self.become("connecting")
        if self.m.credential is None:
            return self.ask("refused" if self.m.refusal else "connect")
        return replace(self.m, socket=Socket(self.m.credential), wait=Wait("attempt", self.profile.connect_timeout))

    def ask(self, why: Why) -> Machine:
        """One question at a time."""
        m = self.m
        if m.question:
            return m
        question = Question("refused", m.refusal) if m.refusal else Question(why)
        return replace(m, question=question, wait=m.wait if self.open else Wait("attempt", ASK_TIMEOUT))

    def credential(self, credential: str) -> Machine:
        if credential in self.m.refused:
            return self.no_credential(ValueError("get_token gave a token that the server has refused"), None)
        m = replace(self.m, question=None)
        if self.open:
            return replace(m, renewal=Renewal(credential))
        return self.begin(replace(m, credential=credential))

    def no_credential(self, error: BaseException, retry_after: float | None) -> Machine:
        self.m = replace(self.m, question=None, problem=Problem(error))
        if self.open:
            return self.refresh_later()
        return self.retry_later(Ending(1006, "no_credential", retry_after=retry_after))

    def opened(self, silence: float, lifetime: float | None) -> Machine:
        return replace(
            self.become("open"),
            renewal=None,
            refusal=None,
            failures=0,
            moving=False,
            silence=silence,
            wait=Wait("ping", silence) if silence else None,
            refresh=refresh_after(lifetime),
        )

    def lost(self, ending: Ending) -> Machine:
        verdict = judge(ending)
        if verdict == "final":
            return self.end(ending.code, ending.reason)
        if verdict == "refused":
            # A refreshed connection has another credential than its socket began with.
            self.m = self.refuse(self.m.credential or (self.m.socket.credential if self.m.socket else None), ending)
            # The first refusal may be of a token that has just ended: another one is tried at once.
            return self.go_down(ending, 0) if self.m.refusals == 1 else self.retry_later(ending)
        # The server gives each client its time to move. A line that breaks before it breaks for all of them.
        if self.m.moving and ending.code != 1006:
            return self.go_down(ending, 0)
        return self.retry_later(ending)

    def refresh_refused(self, ending: Ending) -> Machine:
        if not self.m.renewal:
            return self.m
        if judge(ending) == "refused":
            self.m = self.refuse(self.m.renewal.credential, ending)
            if self.m.failures == 0:
                return replace(self.ask("refused"), renewal=None, failures=1)
        return self.refresh_later()

    def refresh_later(self) -> Machine:
        failures = self.m.failures + 1
        refresh = Refresh(REFRESH_AT_LEAST + self.delay(failures))
        return replace(self.m, renewal=None, failures=failures, refresh=refresh)

    def refuse(self, credential: str | None, refusal: Ending) -> Machine:
        """A renewal that the server has not judged stays good."""
        m = self.m
        refused = m.refused if credential is None else (*m.refused, credential)[-REFUSED_MAX:]
        renewed = m.renewal.credential if m.renewal and m.renewal.credential != credential else None
        return replace(m, credential=renewed, refused=refused, refusal=refusal, refusals=m.refusals + 1)

    def retry_later(self, ending: Ending) -> Machine:
        delay = self.delay(self.m.attempt + 1)
        return self.go_down(ending, delay if ending.retry_after is None else ending.retry_after)

    def go_down(self, ending: Ending, seconds: float) -> Machine:
        """The next attempt follows after that time."""
        m = self.m
        if m.renewal and m.renewal.credential not in m.refused:
            m = replace(m, credential=m.renewal.credential)
        self.m = replace(m, socket=None, question=None, renewal=None, moving=False, attempt=m.attempt + 1)
        change = self.become(
            "reconnecting", code=ending.code, reason=ending.reason, attempt=self.m.attempt, retry_in=seconds
        )
        return replace(change, wait=Wait("retry", seconds))

    def end(self, code: int, reason: str) -> Machine:
        change = self.become("closed", code=code, reason=reason).change
        return Machine(state="closed", change=change, refused=self.m.refused)

    def time_over(self) -> Machine:
        m, quiet = self.m, self.moment.quiet
        running = m.wait.what if m.wait else None
        if running == "retry":
            return self.lost(Ending(1001, "moving")) if self.open else self.begin(m)
        if running == "ping":
            silent = m.silence - quiet < TIMER_ERROR
            wait = Wait("pong", self.profile.pong_timeout) if silent else Wait("ping", m.silence - quiet)
            return replace(m, wait=wait)
        if running == "pong" and quiet < self.profile.pong_timeout:
            return replace(m, wait=Wait("ping", max(0.0, m.silence - quiet)))
        return self.retry_later(Ending(1006, "silent" if running == "pong" else "timeout"))

    def delay(self, attempt: int) -> float:
        return backoff(attempt, self.profile.initial, self.profile.maximum, self.moment.random)

    def become(
        self,
        state: ConnectionState,
        code: int | None = None,
        reason: str | None = None,
        attempt: int | None = None,
        retry_in: float | None = None,
    ) -> Machine:
        change = Change(state, self.m.state, code, reason, attempt, retry_in)
        return replace(self.m, state=state, change=change)
