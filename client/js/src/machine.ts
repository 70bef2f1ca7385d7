import { backoff, judge, type Ending } from "./backoff.js";
import { CarillonError, REFUSED_AGAIN } from "./errors.js";

/** Set by the build. The entry point of managed sockets leaves the code of channels out: pings, refreshes, moves. */
declare const WITH_CHANNELS: boolean;

/** What a user of a connection sees of it. */
export type ConnectionState = "idle" | "connecting" | "open" | "closing" | "closed" | "reconnecting";

/** Why a credential is asked for. */
export type Why = "connect" | "refresh" | "refused";

/** What differs between kinds of connections. Times are in milliseconds. */
export interface Profile {
  /** Upper bound of the first delay, and of all delays. */
  initialMs: number;
  maxMs: number;
  /** Failed attempts in a row before the connection gives up. 0: never. */
  maxAttempts: number;
  /** How long an attempt may take. */
  connectTimeoutMs: number;
  /** How long the answer to a ping may take. */
  pongTimeoutMs: number;
  /** Whether one credential may open several connections: a token may, a ticket may not. */
  reusable: boolean;
}

/** What is told of a change. */
export interface Change {
  /** The present state. */
  state: ConnectionState;
  /** The one before. */
  previous: ConnectionState;
  /** Close code of RFC 6455, where a connection has ended. */
  code?: number;
  /** Why, in a word: the server's, or one of `offline`, `silent`, `timeout`, `moving`, `no_credential`, `closed`, `signed_out`. */
  reason?: string;
  /** Of `reconnecting`: the number of the attempt, from 1, and how long it waits. */
  attempt?: number;
  /** Of `reconnecting`: how long until that attempt. */
  retryInMs?: number;
}

/** What happens to a connection. */
export type MachineEvent =
  | { type: "connect" }
  | { type: "close"; reason: string }
  | { type: "credential"; credential: string }
  /** `end`: the reason with which it ends the connection, if it does. */
  | { type: "credential_failed"; error: unknown; end: string | undefined; retryAfterMs?: number | undefined }
  /** `silenceMs`: the longest silence of a living connection; 0: silence means nothing. */
  | { type: "opened"; silenceMs?: number; lifetimeMs?: number | undefined }
  | { type: "lost"; ending: Ending }
  /** The server wants this connection to move after that time. */
  | { type: "move"; afterMs: number }
  | { type: "expiring" }
  | { type: "refreshed"; lifetimeMs?: number | undefined }
  | { type: "refresh_refused"; ending: Ending }
  /** The answer to a ping has come. */
  | { type: "pong" }
  | { type: "network"; online: boolean }
  /** The page is looked at again, or the machine may have slept. */
  | { type: "woken" }
  | { type: "time_over" }
  | { type: "refresh_due" };

/** The moment of an event. Times are in milliseconds. */
export interface Moment {
  /** From 0 to below 1. */
  random: number;
  /** How long nothing has come. */
  quietMs: number;
  /** How long the connection has been open. 0: it is not. */
  openMs: number;
}

/**
 * A connection, and all that must be there for it. Whoever runs the machine compares it with the one before: a member
 * that is another object asks for something to be done, `null` for its end.
 */
export interface Machine {
  readonly state: ConnectionState;
  /** A socket that is open or being opened, with this credential. */
  readonly socket: { credential: string } | null;
  /** A question for a credential that has no answer yet. */
  readonly question: { why: Why; refusal?: Ending } | null;
  /** The time that runs. `pong`: a ping is sent as it begins. */
  readonly wait: { for: "attempt" | "retry" | "ping" | "pong"; ms: number } | null;
  /** When the next credential is asked for. It runs also while the connection is down. */
  readonly refresh: { ms: number } | null;
  /** A credential that the open connection is being continued with. The server has not answered yet. */
  readonly renewal: { credential: string } | null;
  readonly change: Change;
  readonly problem: { error: unknown } | null;

  /** Attempts that have failed since the connection was open for a while (`SETTLED_MS`). */
  readonly attempt: number;
  /** The credential of the socket, or of the next one. `null`: one must be asked for. */
  readonly credential: string | null;
  /** The last ones that were refused. They are never sent again. */
  readonly refused: readonly string[];
  /** The refusal that the next credential is asked for with, and how many there were since the connection was open for a while. */
  readonly refusal: Ending | null;
  readonly refusals: number;
  /** Times in a row that the open connection could not be continued with another credential. */
  readonly failures: number;
  readonly online: boolean;
  readonly silenceMs: number;
  /** The server has asked to move, so the next attempt does not wait. */
  readonly moving: boolean;
}

/** Of a credential's lifetime, after which the next one is asked for. */
const REFRESH_AT = 0.8;
/** Attempts that fail without a word, until another credential is tried: browsers hide refusals by HTTP status. */
const SILENT_FAILURES = 3;
/** A connection that has been open for so long was no failed attempt. */
const SETTLED_MS = 5000;
/** How long `getToken` may take while there is no connection. A user may have to log in. */
const ASK_TIMEOUT_MS = 60_000;
/** How many refused credentials are remembered. */
const REFUSED_MAX = 20;
const REFRESH_AT_LEAST_MS = 1000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const down = { socket: null, question: null, wait: null, renewal: null } as const;

const renewed = { renewal: null, refusal: null, failures: 0 } as const;

export const idle: Machine = {
  ...down,
  state: "idle",
  refresh: null,
  change: { state: "idle", previous: "idle" },
  problem: null,
  attempt: 0,
  credential: null,
  refused: [],
  refusal: null,
  refusals: 0,
  failures: 0,
  online: true,
  silenceMs: 0,
  moving: false,
};

/** One step. Pure: clock, sockets and chance are the caller's. */
export function step(m: Machine, event: MachineEvent, profile: Profile, { random, quietMs, openMs }: Moment): Machine {
  const { state } = m;
  const delay = (attempt: number) => backoff(attempt, profile.initialMs, profile.maxMs, random);

  if (event.type === "network") m = { ...m, online: event.online };
  if (state === "idle" || state === "closed")
    return event.type === "connect" ? begin(m) : event.type === "close" && state === "idle" ? end(1000, event.reason) : m;
  if (openMs >= SETTLED_MS) m = { ...m, attempt: 0, refusals: 0 };

  if (WITH_CHANNELS)
    switch (event.type) {
      case "move":
        return state === "open" ? { ...m, moving: true, wait: { for: "retry", ms: event.afterMs } } : m;
      case "expiring":
      case "refresh_due":
        if (state !== "open") return { ...m, credential: null };
        return m.renewal ? m : { ...ask("refresh"), refresh: null };
      case "refreshed":
        return m.renewal ? { ...m, ...renewed, ...m.renewal, refresh: refreshAfter(event.lifetimeMs) } : m;
      case "refresh_refused":
        if (!m.renewal) return m;
        if (judge(event.ending) === "refused") {
          m = refuse(m.renewal.credential, event.ending);
          if (m.failures === 0) return { ...ask("refused"), renewal: null, failures: 1 };
        }
        return refreshLater();
      case "pong":
        return m.wait?.for === "pong" ? { ...m, wait: { for: "ping", ms: m.silenceMs - quietMs } } : m;
    }

  switch (event.type) {
    case "close":
      return end(1000, event.reason);
    case "credential":
      if (m.refused.includes(event.credential)) return noCredential(new CarillonError("unauthorized", REFUSED_AGAIN, { retryable: true }));
      m = { ...m, question: null };
      return state === "open" ? { ...m, renewal: event } : begin({ ...m, credential: event.credential });
    case "credential_failed":
      return event.end ? { ...end(1000, event.end), problem: event } : noCredential(event.error, event.retryAfterMs);
    case "opened":
      return state === "open" ? m : opened(event.silenceMs ?? 0, event.lifetimeMs);
    case "lost":
      return lost(event.ending);
    case "network":
      return event.online ? look() : goDown({ code: 1006, reason: "offline" }, null);
    case "woken":
      return look();
    case "time_over":
      return timeOver();
  }
  return m;

  /** An attempt begins, with the credential at hand or as soon as there is one. */
  function begin(from: Machine): Machine {
    m = from;
    if (m.state !== "reconnecting" && m.state !== "connecting") m = become("connecting");
    if (!m.online || m.socket || m.question) return { ...m, wait: m.socket ? m.wait : null };
    if (m.credential === null) return ask(m.refusal ? "refused" : "connect");
    return { ...m, socket: { credential: m.credential }, wait: { for: "attempt", ms: profile.connectTimeoutMs } };
  }

  /** One question at a time. */
  function ask(why: Why): Machine {
    const wait = m.state === "open" ? m.wait : ({ for: "attempt", ms: ASK_TIMEOUT_MS } as const);
    return m.question ? m : { ...m, wait, question: m.refusal ? { why: "refused", refusal: m.refusal } : { why } };
  }

  function noCredential(error: unknown, retryAfterMs?: number): Machine {
    m = { ...m, question: null, problem: { error } };
    return state === "open" ? refreshLater() : retryLater({ code: 1006, reason: "no_credential", retryAfterMs });
  }

  function refreshLater(): Machine {
    const failures = m.failures + 1;
    return { ...m, renewal: null, failures, refresh: { ms: REFRESH_AT_LEAST_MS + delay(failures) } };
  }

  function opened(silenceMs: number, lifetimeMs: number | undefined): Machine {
    m = { ...become("open"), ...renewed, wait: null };
    if (!WITH_CHANNELS || !profile.reusable) return { ...m, credential: null };
    return { ...m, moving: false, silenceMs, wait: silenceMs ? { for: "ping", ms: silenceMs } : null, refresh: refreshAfter(lifetimeMs) };
  }

  function lost(ending: Ending): Machine {
    const verdict = judge(ending);
    if (verdict === "final") return end(ending.code, ending.reason);
    if (verdict === "refused") {
      m = refuse(m.credential ?? m.socket?.credential, ending); // a refreshed connection has another one than its socket began with
      // The first refusal may be of a token that has just ended: another one is tried at once.
      return m.refusals === 1 ? goDown(ending, 0) : retryLater(ending);
    }
    // The server gives each client its time to move. A line that breaks before it breaks for all of them.
    if (!WITH_CHANNELS || !m.moving || ending.code === 1006) return retryLater(ending);
    return goDown(ending, 0);
  }

  /** A renewal that the server has not judged stays good. */
  function refuse(credential: string | undefined, refusal: Ending): Machine {
    const refused = credential === undefined ? m.refused : [...m.refused, credential].slice(-REFUSED_MAX);
    const next = m.renewal && m.renewal.credential !== credential ? m.renewal.credential : null;
    return { ...m, credential: next, refused, refusal, refusals: m.refusals + 1 };
  }

  function retryLater(ending: Ending): Machine {
    const attempt = m.attempt + 1;
    const silent = ending.code === 1006 && attempt % SILENT_FAILURES === 0;
    if (silent || !profile.reusable) m = { ...m, credential: null };
    return goDown(ending, ending.retryAfterMs ?? delay(attempt));
  }

  /** The next attempt follows after that time, unless there have been enough; null: it waits for the network. */
  function goDown({ code, reason }: Ending, ms: number | null): Machine {
    m = { ...m, moving: false };
    if (WITH_CHANNELS && m.renewal && !m.refused.includes(m.renewal.credential)) m = { ...m, ...m.renewal };
    if (ms === null) return { ...become("reconnecting", { code, reason }), ...down };
    const attempt = m.attempt + 1;
    if (profile.maxAttempts && attempt > profile.maxAttempts) return end(code, reason);
    return { ...become("reconnecting", { code, reason, attempt, retryInMs: ms }), ...down, attempt, wait: { for: "retry", ms } };
  }

  function end(code: number, reason: string): Machine {
    return { ...idle, refused: m.refused, state: "closed", change: become("closed", { code, reason }).change };
  }

  function timeOver(): Machine {
    const running = m.wait?.for;
    if (running === "retry") return WITH_CHANNELS && state === "open" ? lost({ code: 1001, reason: "moving" }) : begin(m);
    if (WITH_CHANNELS) {
      if (running === "ping" && quietMs >= m.silenceMs) return { ...m, wait: pong() };
      if (running === "ping" || (running === "pong" && quietMs < profile.pongTimeoutMs))
        return { ...m, wait: { for: "ping", ms: m.silenceMs - quietMs } };
    }
    return retryLater({ code: 1006, reason: running === "pong" ? "silent" : "timeout" });
  }

  /** Is the line still there, after a time in which nobody watched it? An attempt that waits begins now. */
  function look(): Machine {
    if (state === "open") return WITH_CHANNELS && m.silenceMs && !m.moving ? { ...m, wait: pong() } : m;
    return m.socket || m.question ? m : { ...m, wait: { for: "retry", ms: 0 } };
  }

  function pong(): { for: "pong"; ms: number } {
    return { for: "pong", ms: profile.pongTimeoutMs };
  }

  function become(next: ConnectionState, more: Partial<Change> = {}): Machine {
    return { ...m, state: next, change: { ...more, state: next, previous: state } };
  }
}

/** Not at once: a token that has nearly ended would be refreshed without end. */
function refreshAfter(lifetimeMs: number | undefined): { ms: number } | null {
  if (lifetimeMs === undefined) return null;
  return { ms: Math.min(LONGEST_TIMER_MS, Math.max(REFRESH_AT_LEAST_MS, lifetimeMs * REFRESH_AT)) };
}
