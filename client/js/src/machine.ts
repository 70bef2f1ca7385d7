import { backoff, judge, type Ending } from "./backoff.js";
import { ASK_TIMEOUT_MS, CONNECT_TIMEOUT_MS, REFUSED_MAX, SETTLED_MS, type Change, type ConnectionState } from "./connection.js";
import { finalReason, refusedAgain, type CarillonError } from "./errors.js";
import type { Delays, Machine, MachineEvent } from "./machine-state.js";

/** How long the answer to a ping may take. */
export const PONG_TIMEOUT_MS = 3000;
/** Of a credential's lifetime, after which the next one is asked for. */
const REFRESH_AT = 0.8;
/** Attempts that fail without a word, until another credential is tried: browsers hide refusals by HTTP status. */
const SILENT_FAILURES = 3;
const REFRESH_AT_LEAST_MS = 1000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const down = { socket: null, question: null, wait: null, renewal: null } as const;

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

/**
 * One step. Pure: clock, sockets and chance are the caller's.
 * @param random - from 0 to below 1
 * @param quietMs - how long nothing has come
 * @param openMs - how long the connection has been open; 0: it is not
 */
export function step(m: Machine, event: MachineEvent, delays: Delays, random: number, quietMs = 0, openMs = 0): Machine {
  const { state } = m;
  const delay = (attempt: number) => backoff(attempt, ...delays, random);

  if (event.type === "network") m = { ...m, online: event.online };
  if (state === "idle" || state === "closed")
    return event.type === "connect" ? begin(m) : event.type === "close" && state === "idle" ? end(event.ending) : m;
  if (openMs >= SETTLED_MS) m = { ...m, attempt: 0, refusals: 0 };

  switch (event.type) {
    case "close":
      return end(event.ending);
    case "credential":
      if (m.refused.includes(event.credential)) return noCredential(refusedAgain());
      m = { ...m, question: null };
      return state === "open" ? { ...m, renewal: event } : begin({ ...m, credential: event.credential });
    case "no_credential": {
      const final = finalReason(event.error);
      return final ? { ...end({ code: 1000, reason: final }), problem: event } : noCredential(event.error);
    }
    case "open":
      return state === "open" ? m : opened(event.silenceMs ?? 0, event.lifetimeMs);
    case "lost":
      return lost(event.ending);
    case "network":
      return event.online ? look() : goDown({ code: 1006, reason: "offline" }, null);
    case "woken":
      return look();
    case "timeout":
      return timeOver();
    case "reconnect":
      return state === "open" ? { ...m, moving: true, wait: { for: "retry", ms: event.afterMs } } : m;
    case "refresh":
      if (state !== "open") return { ...m, credential: null };
      return m.renewal ? m : { ...ask(), refresh: null };
    case "refreshed":
      return m.renewal ? { ...m, renewal: null, refusal: null, failures: 0, ...m.renewal, refresh: refreshAfter(event.lifetimeMs) } : m;
    case "refused":
      if (!m.renewal) return m;
      if (judge(event.ending) === "refused") {
        m = refuse(m.renewal.credential, event.ending);
        if (m.failures === 0) return { ...ask(), renewal: null, failures: 1 };
      }
      return refreshLater();
    case "pong":
      return m.wait?.for === "pong" ? { ...m, wait: { for: "ping", ms: m.silenceMs - quietMs } } : m;
  }
  return m;

  /** An attempt begins, with the credential at hand or as soon as there is one. */
  function begin(from: Machine): Machine {
    m = from;
    if (m.state !== "reconnecting" && m.state !== "connecting") m = become("connecting");
    if (!m.online) return { ...m, wait: null };
    if (m.credential === null) return ask();
    return { ...m, socket: { credential: m.credential }, wait: { for: "attempt", ms: CONNECT_TIMEOUT_MS } };
  }

  /** One question at a time. */
  function ask(): Machine {
    if (m.question) return m;
    const question = m.refusal ? ({ why: "refused", refusal: m.refusal } as const) : ({ why: state === "open" ? "refresh" : "connect" } as const);
    return state === "open" ? { ...m, question } : { ...m, question, wait: { for: "attempt", ms: ASK_TIMEOUT_MS } };
  }

  function noCredential(error: CarillonError): Machine {
    m = { ...m, question: null, problem: { error } };
    return state === "open" ? refreshLater() : retryLater({ code: 1006, reason: "no_credential", retryAfterMs: error.retryAfterMs });
  }

  function refreshLater(): Machine {
    const failures = m.failures + 1;
    return { ...m, renewal: null, failures, refresh: { ms: REFRESH_AT_LEAST_MS + delay(failures) } };
  }

  function opened(silenceMs: number, lifetimeMs: number | null | undefined): Machine {
    m = { ...become("open"), renewal: null, refusal: null, failures: 0, wait: null };
    return { ...m, moving: false, silenceMs, wait: silenceMs ? { for: "ping", ms: silenceMs } : null, refresh: refreshAfter(lifetimeMs) };
  }

  function lost(ending: Ending): Machine {
    const verdict = judge(ending);
    if (verdict === "final") return end(ending);
    if (verdict === "refused") {
      m = refuse(m.credential ?? m.socket!.credential, ending); // a refreshed connection has another one than its socket began with
      // The first refusal may be of a token that has just ended: another one is tried at once.
      return m.refusals === 1 ? goDown(ending, 0) : retryLater(ending);
    }
    // The server gives each client its time to move. A line that breaks before it breaks for all of them.
    if (!m.moving || ending.code === 1006) return retryLater(ending);
    return goDown(ending, 0);
  }

  /** A renewal that the server has not judged stays good. */
  function refuse(credential: string, refusal: Ending): Machine {
    const next = m.renewal && m.renewal.credential !== credential ? m.renewal.credential : null;
    return { ...m, credential: next, refused: [...m.refused, credential].slice(-REFUSED_MAX), refusal, refusals: m.refusals + 1 };
  }

  function retryLater(ending: Ending): Machine {
    const attempt = m.attempt + 1;
    if (ending.code === 1006 && attempt % SILENT_FAILURES === 0) m = { ...m, credential: null };
    return goDown(ending, ending.retryAfterMs ?? delay(attempt));
  }

  /** The next attempt follows after that time, unless there have been enough; null: it waits for the network. */
  function goDown(ending: Ending, ms: number | null): Machine {
    m = { ...m, moving: false };
    if (m.renewal && !m.refused.includes(m.renewal.credential)) m = { ...m, ...m.renewal };
    if (ms === null) return { ...become("reconnecting", ending), ...down };
    const attempt = m.attempt + 1;
    return { ...become("reconnecting", { ...ending, attempt, retryInMs: ms }), ...down, attempt, wait: { for: "retry", ms } };
  }

  function end(ending: Ending): Machine {
    return { ...idle, refused: m.refused, state: "closed", change: become("closed", ending).change };
  }

  function timeOver(): Machine {
    const running = m.wait?.for;
    if (running === "retry") return state === "open" ? lost({ code: 1001, reason: "moving" }) : begin(m);
    if (running === "ping" && quietMs >= m.silenceMs) return { ...m, wait: { for: "pong", ms: PONG_TIMEOUT_MS } };
    if (running === "ping" || (running === "pong" && quietMs < PONG_TIMEOUT_MS))
      return { ...m, wait: { for: "ping", ms: m.silenceMs - quietMs } };
    return retryLater({ code: 1006, reason: running === "pong" ? "silent" : "timeout" });
  }

  /** Is the line still there, after a time in which nobody watched it? An attempt that waits begins now. */
  function look(): Machine {
    if (state === "open") return m.silenceMs && !m.moving ? { ...m, wait: { for: "pong", ms: PONG_TIMEOUT_MS } } : m;
    return m.socket || m.question ? m : { ...m, wait: { for: "retry", ms: 0 } };
  }

  function become(next: ConnectionState, more: Partial<Change> = {}): Machine {
    return { ...m, state: next, change: { ...more, state: next, previous: state } };
  }
}

/** Not at once: a token that has nearly ended would be refreshed without end. */
function refreshAfter(lifetimeMs: number | null | undefined): { ms: number } | null {
  if (lifetimeMs == null) return null;
  return { ms: Math.min(LONGEST_TIMER_MS, Math.max(REFRESH_AT_LEAST_MS, lifetimeMs * REFRESH_AT)) };
}
