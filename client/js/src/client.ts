import type { Channel, PositionStore } from "./channel-api.js";
import type { ChannelLink, ChannelSource } from "./channel-link.js";
import { createChannel } from "./channel.js";
import { createCommands, type OutboxMode } from "./commands.js";
import type { Change, ConnectionState } from "./connection.js";
import { createEmitter, type Emitter } from "./emitter.js";
import { createEnv } from "./env.js";
import type { CarillonError } from "./errors.js";
import { createSockets, type ManagedSockets, type SocketsOptions } from "./managed.js";
import { PONG_TIMEOUT_MS } from "./machine.js";
import type { BuiltInEvents, SessionInfo } from "./protocol.js";
import { createSession } from "./session.js";
import { createConnection } from "./socket.js";
import { noToken } from "./tickets.js";

/** What a client is made of. */
export interface CarillonOptions extends SocketsOptions {
  /** Where channels connect. Default `/ws`. */
  path?: string;
  /** Upper bound of the first delay before a further attempt, in milliseconds. It grows by half with each failure. Default 1000. */
  reconnectDelay?: number;
  /** Upper bound of all delays. Default 20 000. */
  maxReconnectDelay?: number;
  /** How long a channel is kept after its last listener, in milliseconds. Default 2000. */
  lingerMs?: number;
  /** What becomes of a publish while the connection is down. Default `reject`. */
  outbox?: OutboxMode;
  /** How many events the outbox keeps. Default 100. */
  outboxMax?: number;
  /** Keeps positions beyond the life of the page, such as `storageStore(sessionStorage)`. */
  store?: PositionStore;
}

/** A client of a Carillon server. One connection carries all of its channels. */
export class Carillon<Events = BuiltInEvents> {
  readonly #channels = new Map<string, ChannelSource>();
  readonly #connection;
  readonly #session;
  readonly #link: ChannelLink;
  /** The user has signed out. */
  #over = false;

  /** Managed sockets with tickets, for APIs that are not channels. */
  readonly websocket: ManagedSockets;

  /** Each change of `state`, with its code, its reason and the next attempt. */
  readonly onStateChange: Emitter<[state: ConnectionState, change: Change]>;
  /** Errors that no call is there for: of `getToken`, of the server, of a refused channel. */
  readonly onError: Emitter<[error: CarillonError]>;

  constructor(options: CarillonOptions) {
    const states = (this.onStateChange = createEmitter<[ConnectionState, Change]>());
    const errors = (this.onError = createEmitter<[CarillonError]>());
    const env = createEnv({
      now: Date.now,
      setTimeout: (run, ms) => setTimeout(run, ms),
      clearTimeout: (timer) => clearTimeout(timer as number),
      ...options.env,
    });
    const isOpen = () => this.state === "open";
    const report = (error: CarillonError) => {
      if (errors.entries.size) errors.emit(error);
      else console.warn("carillon:", error);
    };
    const link: ChannelLink = (this.#link = {
      env,
      commands: createCommands(env, options.outbox ?? "reject", options.outboxMax ?? 100, isOpen, (text) => connection.send(text), () => this.session!.limits.message_bytes),
      lingerMs: options.lingerMs ?? 2000,
      store: options.store,
      isUp: isOpen,
      isClosed: () => this.state === "closed",
      want: () => this.state === "idle" && this.connect(),
      report,
    });
    const { commands } = link;
    const session = createSession(link, this.#channels, (event) => connection.dispatch(event));
    const url = options.url.replace(/^http/, "ws").replace(/\/+$/, "") + (options.path ?? "/ws");
    const connection = createConnection(link, {
      delays: [options.reconnectDelay ?? 1000, options.maxReconnectDelay ?? 20_000],
      ask: async (request) => (options.getToken ?? noToken)(request),
      // The subprotocol keeps the token out of the logs of proxies.
      target: (token) => [url, ["carillon.v1", token]],
      onChange: (change) => {
        this.#channels.forEach((channel) => channel.follow(change));
        commands.follow(change); // what waits goes out after the subscriptions
        if (change.state !== change.previous || change.attempt) states.emit(change.state, change);
      },
      onMessage: session.receive,
      ping: () => void commands.send("ping", {}, { timeoutMs: PONG_TIMEOUT_MS }).catch(() => {}),
      refresh: session.refresh,
    });
    this.websocket = createSockets(options);
    this.#connection = connection;
    this.#session = session;
  }

  /** What has become of the connection. */
  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** Who the server says that the user is. `null` while the connection is not open. */
  get session(): SessionInfo | null {
    return this.state === "open" ? this.#session.info : null;
  }

  /** The channel of that name: the same object for the same name, always. */
  channel(name: string): Channel<Events> {
    let channel = this.#channels.get(name);
    if (!channel) this.#channels.set(name, (channel = createChannel(name, this.#link)));
    return channel as unknown as Channel<Events>;
  }

  /**
   * Connects now. Channels connect by themselves when they are listened to, but not after `close`. After `signOut` nothing
   * connects any more: make another client when somebody signs in.
   */
  connect(): void {
    if (!this.#over) this.#connection.connect();
  }

  /** Closes everything. Listeners stay, and `connect` brings the channels back with what they missed. */
  close(): void {
    this.#end("closed");
  }

  /** Closes everything, and forgets all that belongs to the user: listeners, positions, events that wait. */
  signOut(): void {
    this.#over = true;
    this.#end("signed_out");
    this.#channels.forEach((channel) => channel.dispose());
  }

  #end(reason: "closed" | "signed_out"): void {
    this.#connection.close(reason);
    this.websocket.closeAll();
  }
}
