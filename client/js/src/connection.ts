import type { Ending } from "./backoff.js";
import type { SocketLike } from "./env.js";

/** What a user of a connection sees of it. */
export type ConnectionState = "idle" | "connecting" | "open" | "closing" | "closed" | "reconnecting";

/** What is told of a change. */
export interface Change {
  /** The present state. */
  state: ConnectionState;
  /** The one before. */
  previous: ConnectionState;
  /**
   * Close code of RFC 6455, where a connection or an attempt has ended. 1000: this side has closed it. 1006: the line broke,
   * or there was none. Where the user is signed out or the URL is none, a client tells 1000 and a managed socket 1006, as
   * it had no line: go by the `reason`.
   */
  code?: number;
  /** Why, in a word: the server's, or one of `offline`, `silent`, `timeout`, `moving`, `no_credential`, `invalid_target`, `closed`, `signed_out`. */
  reason?: string;
  /** HTTP status of a refused upgrade. `nodeWebSocket` of `@carillon/client/node` tells it, and the package `ws`. Browsers do not. */
  status?: number | undefined;
  /** The server's word for how long to wait (`Retry-After`). Of a refused upgrade `nodeWebSocket` tells it. */
  retryAfterMs?: number | undefined;
  /** Of `reconnecting`: the number of the attempt, from 1, and how long it waits. */
  attempt?: number;
  /** Of `reconnecting`: how long until that attempt. */
  retryInMs?: number;
}

/** Why a credential is asked for. */
export type Why = "connect" | "refresh" | "refused";

/** What `getToken` and `getTicket` are called with. */
export interface CredentialRequest {
  /** `connect`: for a new connection. `refresh`: the present one ends soon. `refused`: the server did not take the last one. */
  why: Why;
  /** Of `refused`: what the server said. */
  refusal?: Ending | undefined;
  /** Aborted when the answer is not needed any more. */
  signal: AbortSignal;
}

/** What can be sent over a WebSocket. */
export type SocketData = Parameters<SocketLike["send"]>[0];

/** A connection that has been open for so long was no failed attempt. */
export const SETTLED_MS = 5000;
/** How long `getToken` or `getTicket` may take while there is no connection. A user may have to log in. */
export const ASK_TIMEOUT_MS = 60_000;
/** How long a socket may take to open. */
export const CONNECT_TIMEOUT_MS = 10_000;
/** How many refused credentials are remembered. */
export const REFUSED_MAX = 20;
