import type { CredentialRequest } from "./connection.js";
import { createEnv, type Env } from "./env.js";
import type { ManagedSocket, SocketOptions } from "./managed-api.js";
import { connectSocket } from "./managed-socket.js";
import { noToken, ticketsFrom, type GetTicket, type GetToken, type TicketPurpose } from "./tickets.js";

export { CarillonError, Unauthorized, type ErrorDetails } from "./errors.js";
export type { Emitter } from "./emitter.js";
export type { Env, NetworkSource, SocketConstructor, SocketLike } from "./env.js";
export type { Ending } from "./backoff.js";
export type { Change, ConnectionState, CredentialRequest, SocketData, Why } from "./connection.js";
export type { ManagedSocket, SocketOptions } from "./managed-api.js";
export type { GetTicket, GetToken, TicketPurpose } from "./tickets.js";

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
  getTicket(purpose?: TicketPurpose & { signal?: AbortSignal }): Promise<string>;
  /** Closes all sockets for good. */
  closeAll(): void;
  /** Sockets that are not closed. */
  readonly connectionCount: number;
}

/** Managed sockets alone, without channels: for any API that takes tickets. */
export function createSockets(options: SocketsOptions): ManagedSockets {
  const env = createEnv(options.env);
  const base = options.url.replace(/\/+$/, "");
  const ticketFor = options.getTicket ?? ticketsFrom(env, base + (options.ticketPath ?? "/websocket/ticket"), options.getToken ?? noToken);
  const sockets = new Set<ManagedSocket>();

  function connect(
    path: string,
    params?: Record<string, string | number | boolean>,
    purpose: string | TicketPurpose = "notifications",
    options: SocketOptions = {},
  ): Promise<ManagedSocket> {
    const address = async (request: CredentialRequest) =>
      base.replace(/^http/, "ws") + path + "?" + new URLSearchParams({
        ...params,
        ticket: await ticketFor({ ...request, purpose: purpose as string, ...((purpose as TicketPurpose).purpose && (purpose as TicketPurpose)) }),
      } as Record<string, string>);
    return connectSocket(env, sockets, address, options);
  }

  function connectTo(purpose: string, path: string, workspace: string, resourceId: string, options?: SocketOptions): Promise<ManagedSocket> {
    return connect(path.replace("{workspace}", encodeURIComponent(workspace)).replace("{id}", encodeURIComponent(resourceId)), {}, { purpose, resourceId }, options);
  }

  return {
    connectToChat: (id, of) => connectTo("chat", options.chatPath ?? "/ai-chat/{id}/transcript", "", id, of),
    connectToTranscript: (workspace, id, of) => connectTo("transcript", options.transcriptPath ?? "/white-label/{workspace}/transcript/{id}", workspace, id, of),
    connect,
    getTicket: async (of) => ticketFor({ why: "connect", purpose: "notifications", signal: new AbortController().signal, ...of }),
    closeAll() {
      for (const socket of sockets) socket.close();
    },
    get connectionCount() {
      return sockets.size;
    },
  };
}
