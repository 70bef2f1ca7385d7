/** How a connection ended, as far as the client can see. */
export interface Ending {
  /** Close code of RFC 6455. 1006: the line broke, or the connection never opened. */
  code: number;
  /** The server's word, such as `token_expired`. Empty if there is none. */
  reason: string;
  /** HTTP status of a refused upgrade. Only programs see it, browsers do not. */
  status?: number | undefined;
  /** The server's word for how long to wait (`Retry-After`). */
  retryAfterMs?: number | undefined;
}

/**
 * What an ending means for the next attempt.
 * - `final`: the same attempt would fail again, so there is none.
 * - `refused`: the credential is not good. Another one may be.
 * - `retry`: it may work later.
 */
export type Verdict = "final" | "refused" | "retry";

const FINAL_REASONS = /^(scope_missing|(origin|channel|backend)_denied|bad_messages)$/;
const FINAL_CODES = [1002, 1003, 1007, 1009];
/** Reasons that are no statement about the credential. */
const RETRIED_REASONS = /^(disconnected|ticket_held)$/;

export function judge({ code, reason, status = 0 }: Ending): Verdict {
  if (status === 401) return "refused";
  if (status >= 400 && status < 500 && ![408, 409, 429].includes(status)) return "final";
  if (FINAL_REASONS.test(reason) || FINAL_CODES.includes(code)) return "final";
  if (RETRIED_REASONS.test(reason)) return "retry";
  return code === 1008 || code === 4001 || /^(token|ticket)_/.test(reason) ? "refused" : "retry";
}

/**
 * How long to wait before the attempt of this number, in milliseconds: full jitter, so that the clients of a server
 * that has restarted do not come back at the same moment.
 * @param attempt - 1 for the first one after a connection was lost
 * @param random - from 0 to below 1
 */
export function backoff(attempt: number, initialMs: number, maxMs: number, random: number): number {
  return Math.round(random * Math.min(maxMs, initialMs * 1.5 ** Math.min(attempt - 1, 30)));
}
