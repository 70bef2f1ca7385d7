import type { Change, ConnectionState, SocketData } from "./connection.js";
import type { Emitter } from "./emitter.js";

/** Options of one socket. */
export interface SocketOptions {
  /** Upper bound of the first delay before a further attempt, in milliseconds. It grows by half with each failure. Default 1000. */
  reconnectDelay?: number;
  /** Upper bound of all delays. Default 20 000. */
  maxReconnectDelay?: number;
  /** Attempts in a row before the socket is closed for good. 0: it never is. Default 10. */
  maxReconnectAttempts?: number;
  /** Logs each change of the state to the console. */
  debug?: boolean;
}

/**
 * A WebSocket that comes back by itself, with a fresh ticket for each attempt. It sends nothing of its own, so it does not ping: a
 * line that dies in silence stays `open` until the network or the server ends it. Where that matters, send a message that your API
 * answers; if nothing comes, close the socket and connect another one.
 */
export interface ManagedSocket {
  /** The frames as the server wrote them. Binary ones are `ArrayBuffer`s. */
  readonly onMessage: Emitter<[event: MessageEvent]>;
  /** Each change of `state`, with its code, its reason and the next attempt. */
  readonly onStateChange: Emitter<[state: ConnectionState, change: Change]>;
  /** Before each further attempt. The first one after a loss is 1. */
  readonly onReconnecting: Emitter<[attempt: number]>;
  /** Errors of `getToken`, `getTicket` and the ticket route. */
  readonly onError: Emitter<[error: unknown]>;
  /** What has become of the socket. */
  readonly state: ConnectionState;
  /** Whether `send` would send. */
  readonly isOpen: boolean;
  /** Bytes that have been sent and that the network has not taken yet. */
  readonly bufferedAmount: number;
  /** `false`: the socket is not open, and nothing was sent. */
  send(data: SocketData): boolean;
  /** Sends a value as JSON text. */
  sendJson(value: unknown): boolean;
  /** Closes the socket for good. */
  close(): void;
  /** Closes it, and removes all listeners. */
  destroy(): void;
}
