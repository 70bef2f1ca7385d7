import { createEmitter, onAbort, type Emitter } from "./emitter.js";
import { createEnv, type Env, type SocketLike } from "./env.js";
import { CarillonError } from "./errors.js";
import type { Change, ConnectionState, Profile } from "./machine.js";
import { createConnection, type CredentialRequest } from "./socket.js";
import { ticketsFrom, type GetTicket, type GetToken, type TicketPurpose } from "./tickets.js";

export { CarillonError, Unauthorized } from "./errors.js";
export type { Emitter } from "./emitter.js";
export type { Env, NetworkSource, SocketConstructor, SocketLike } from "./env.js";
export type { Ending } from "./backoff.js";
export type { Change, ConnectionState, Why } from "./machine.js";
export type { CredentialRequest } from "./socket.js";
export type { GetTicket, GetToken, TicketPurpose } from "./tickets.js";

/** What can be sent over a WebSocket. */
export type SocketData = Parameters<SocketLike["send"]>[0];

/** Where the server is, and who the user is. */
export interface SocketsOptions {
  /** The server, such as `https://rt.example.com`. A path is put before all paths. */
  url: string;
  /** The user's token, with which tickets are asked for. */
  getToken?: GetToken;
  /** Tickets from elsewhere, in place of `getToken` and `ticketPath`. */
  getTicket?: GetTicket;
  /** Default `/websocket/ticket`. */
  ticketPath?: string;
  /** Default `/ai-chat/{id}/transcript`. */
  chatPath?: string;
  /** Default `/white-label/{workspace}/transcript/{id}`. */
  transcriptPath?: string;
  /** What the package takes from its surroundings, where the global one is not the right one. */
  env?: Partial<Env>;
}

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
  /** Destroys the socket when it is aborted. */
  signal?: AbortSignal;
}

/** A WebSocket that comes back by itself, with a fresh ticket for each attempt. */
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

/** Sockets that come back by themselves. */
export interface ManagedSockets {
  /** Connects to `chatPath`, with a ticket for `chat` and that thread. */
  connectToChat(threadId: string, options?: SocketOptions): Promise<ManagedSocket>;
  /** Connects to `transcriptPath`, with a ticket for `transcript` and that transcript. */
  connectToTranscript(workspaceId: string, transcriptId: string, options?: SocketOptions): Promise<ManagedSocket>;
  /**
   * Connects to any path. Resolves once the first ticket is there and the socket is being opened.
   * @param params - further query parameters
   * @param purpose - of the ticket; a `TicketPurpose` where it is for one resource
   * @throws the error of `getToken`, `getTicket` or the ticket route if there is no ticket to be had
   */
  connect(
    path: string,
    params?: Record<string, string | number | boolean>,
    purpose?: string | TicketPurpose,
    options?: SocketOptions,
  ): Promise<ManagedSocket>;
  /** A ticket, for a connection of your own. */
  getTicket(purpose: TicketPurpose & { signal?: AbortSignal }): Promise<string>;
  /** Closes all sockets for good. */
  closeAll(): void;
  /** Sockets that are not closed. */
  readonly connectionCount: number;
}

/** Managed sockets alone, without channels: for any API that takes tickets. */
export function createSockets(options: SocketsOptions): ManagedSockets {
  const env = createEnv(options.env);
  const { getToken } = options;
  const sockets = new Set<ManagedSocket>();
  const getTicket = options.getTicket ?? (getToken && ticketsFrom(env, at(options.url, options.ticketPath ?? "/websocket/ticket"), getToken));

  async function ticket(request: CredentialRequest & TicketPurpose): Promise<string> {
    if (getTicket) return getTicket(request);
    throw new CarillonError("invalid_options", "tickets need getToken or getTicket", { retryable: false });
  }

  function connect(
    path: string,
    params: Record<string, string | number | boolean> = {},
    purpose: string | TicketPurpose = "notifications",
    socketOptions: SocketOptions = {},
  ): Promise<ManagedSocket> {
    const of = typeof purpose === "string" ? { purpose } : purpose;
    const url = at(options.url, path).replace(/^http/, "ws");
    const target = (value: string) => {
      const query = new URLSearchParams({ ...params, ticket: value } as Record<string, string>);
      return { url: `${url}?${query}` };
    };
    return openSocket(env, sockets, target, (request) => ticket({ ...request, ...of }), socketOptions);
  }

  const resource = (path: string, purpose: string, workspace: string, id: string, socketOptions?: SocketOptions) =>
    connect(
      path.replace("{workspace}", encodeURIComponent(workspace)).replace("{id}", encodeURIComponent(id)),
      {},
      { purpose, resourceId: id },
      socketOptions,
    );

  return {
    connectToChat: (id, socketOptions) => resource(options.chatPath ?? "/ai-chat/{id}/transcript", "chat", "", id, socketOptions),
    connectToTranscript: (workspace, id, socketOptions) =>
      resource(options.transcriptPath ?? "/white-label/{workspace}/transcript/{id}", "transcript", workspace, id, socketOptions),
    connect,
    getTicket: async ({ signal, ...of }) => ticket({ ...of, why: "connect", signal: signal ?? new AbortController().signal }),
    closeAll: () => [...sockets].forEach((socket) => socket.close()),
    get connectionCount() {
      return sockets.size;
    },
  };
}

function openSocket(
  env: Env,
  sockets: Set<ManagedSocket>,
  target: (ticket: string) => { url: string },
  ask: (request: CredentialRequest) => Promise<string>,
  options: SocketOptions,
): Promise<ManagedSocket> {
  const profile: Profile = {
    initialMs: options.reconnectDelay ?? 1000,
    maxMs: options.maxReconnectDelay ?? 20_000,
    maxAttempts: options.maxReconnectAttempts ?? 10,
    connectTimeoutMs: 10_000,
    pongTimeoutMs: 0,
    reusable: false,
  };
  const onMessage = createEmitter<[MessageEvent]>();
  const onStateChange = createEmitter<[ConnectionState, Change]>();
  const onReconnecting = createEmitter<[number]>();
  const onError = createEmitter<[unknown]>();

  return new Promise((resolve, reject) => {
    let failure: unknown;
    const connection = createConnection({
      env,
      profile,
      ask,
      readyOnOpen: true,
      target(ticket) {
        resolve(socket);
        return target(ticket);
      },
      onMessage: onMessage.emit,
      onError(error) {
        failure = error;
        onError.emit(error);
      },
      onChange(change) {
        if (options.debug) console.debug("carillon socket", change);
        if (change.state === "closed") {
          sockets.delete(socket);
          forget();
          reject(failure ?? new CarillonError("closed", "the socket was closed before it had a ticket", { reason: change.reason }));
        }
        if (change.state !== change.previous) onStateChange.emit(change.state, change);
        if (change.state === "reconnecting" && change.attempt) onReconnecting.emit(change.attempt);
      },
    });
    const destroy = () => {
      connection.close();
      for (const emitter of [onMessage, onStateChange, onReconnecting, onError]) emitter.clear();
    };
    const socket: ManagedSocket = {
      onMessage,
      onStateChange,
      onReconnecting,
      onError,
      get state() {
        return connection.state;
      },
      get isOpen() {
        return connection.state === "open";
      },
      get bufferedAmount() {
        return connection.bufferedAmount;
      },
      send: connection.send,
      sendJson: (value) => connection.send(JSON.stringify(value)),
      close: () => connection.close(),
      destroy,
    };
    sockets.add(socket);
    const forget = onAbort(options.signal, destroy);
    if (options.signal?.aborted) destroy();
    else connection.connect();
  });
}

/** A path of the server. */
function at(base: string, path: string): string {
  return base.replace(/\/+$/, "") + path;
}
