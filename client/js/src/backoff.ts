/** How a connection ended, as far as the client can see. */
export interface Ending {
  /** Close code of RFC 6455. 1006: the line broke, or the connection never opened. */
  code: number;
  /** The server's word, such as `token_expired`. Empty if there is none. */
  reason: string;
  /** HTTP status of a refused upgrade. `nodeWebSocket` of `@carillon/client/node` tells it, and the package `ws`. Browsers do not. */
  status?: number | undefined;
  /** The server's word for how long to wait (`Retry-After`). Of a refused upgrade `nodeWebSocket` tells it. */
  retryAfterMs?: number | undefined;
}

/**
 * What an ending means for the next attempt.
 * - `final`: the same attempt would fail again, so there is none.
 * - `refused`: the credential is not good. Another one may be.
 * - `retry`: it may work later.
 */
export type Verdict = "final" | "refused" | "retry";

export function judge(ending: Ending): Verdict {
  // An HTTP status without a word is a proxy's, which may know better after its deploy.
  const words = `${ending.code}:${ending.status}:${ending.reason}`;
  if (/^100[2379]|:4(?!01|08|09|29)..:.|:(scope_missing|bad_messages|(origin|channel|backend)_denied)$/.test(words)) return "final";
  // A backend's `disconnected` and a ticket in use say nothing about the credential.
  return /^(1008|4001):\w*:(?!disconnected$)|:401:|:(token|ticket)_(?!held$)/.test(words) ? "refused" : "retry";
}

/**
 * How long to wait before the attempt of this number, in milliseconds: full jitter, so that the clients of a server
 * that has restarted do not come back at the same moment.
 * @param attempt - 1 for the first one after a connection was lost
 * @param random - from 0 to below 1
 */
export const backoff = (attempt: number, initialMs: number, maxMs: number, random: number): number =>
  Math.round(random * Math.min(maxMs, initialMs * 1.5 ** (attempt - 1)));
