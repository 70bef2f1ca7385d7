import type { Ending } from "./backoff.js";
import type { CarillonError } from "./errors.js";
import type { Change, ConnectionState, Why } from "./connection.js";

/** Upper bounds of the first delay and of all delays, in milliseconds. */
export type Delays = readonly [initialMs: number, maxMs: number];

/** What happens to a connection. */
export type MachineEvent =
  | { type: "connect" }
  | { type: "close"; ending: Ending }
  | { type: "credential"; credential: string }
  | { type: "no_credential"; error: CarillonError }
  /** `silenceMs`: the longest silence of a living connection; 0: silence means nothing. */
  | { type: "open"; silenceMs?: number; lifetimeMs?: number | null }
  | { type: "lost"; ending: Ending }
  /** The server wants this connection to move after that time. */
  | { type: "reconnect"; afterMs: number }
  /** The server says that the credential ends soon, or the time to refresh it has come. */
  | { type: "refresh" }
  | { type: "refreshed"; lifetimeMs?: number | null }
  | { type: "refused"; ending: Ending }
  /** The answer to a ping has come. */
  | { type: "pong" }
  | { type: "network"; online: boolean }
  /** The page is looked at again, or the machine may have slept. */
  | { type: "woken" }
  | { type: "timeout" };

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
  readonly problem: { error: CarillonError } | null;

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
