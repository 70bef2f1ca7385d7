import type { Channel, PositionStore } from "./channel-api.js";
import type { ChannelLink, ChannelSource } from "./channel-link.js";
import { createChannel } from "./channel.js";
import { createCommands } from "./commands.js";
import type { Change, ConnectionState } from "./connection.js";
import { createEmitter, type Emitter } from "./emitter.js";
import { createEnv } from "./env.js";
import { createSockets, type ManagedSockets, type SocketsOptions } from "./managed.js";
import { PONG_TIMEOUT_MS } from "./machine.js";
import { createOutbox, type OutboxMode } from "./outbox.js";
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
  readonly #options: CarillonOptions;
  readonly #channels = new Map<string, ChannelSource>();
  readonly #states = createEmitter<[ConnectionState, Change]>();
  readonly #errors = createEmitter<[unknown]>();
  readonly #connection;
  readonly #session;
  readonly #outbox;
  readonly #link: ChannelLink;
  #sockets: ManagedSockets | undefined;

  /** Each change of `state`, with its code, its reason and the next attempt. */
  readonly onStateChange: Emitter<[state: ConnectionState, change: Change]> = this.#states;
  /** Errors that no call is there for: of `getToken`, of the server, of a refused channel. */
  readonly onError: Emitter<[error: unknown]> = this.#errors;

  constructor(options: CarillonOptions) {
    const env = createEnv({
      now: Date.now,
      setTimeout: (run, ms) => setTimeout(run, ms),
      clearTimeout: (timer) => clearTimeout(timer as number),
      ...options.env,
    });
    const isOpen = () => this.state === "open";
    const report = (error: unknown) => {
      if (this.#errors.entries.size) this.#errors.emit(error);
      else console.warn("carillon:", error);
    };
    const commands = createCommands(env, (text) => isOpen() && connection.send(text));
    const outbox = createOutbox(options.outbox ?? "reject", options.outboxMax ?? 100, commands, isOpen);
    const session = createSession({ env, commands, channels: this.#channels, dispatch: (event) => connection.dispatch(event), report });
    const url = options.url.replace(/^http/, "ws").replace(/\/+$/, "") + (options.path ?? "/ws");
    const connection = createConnection({
      env,
      delays: [options.reconnectDelay ?? 1000, options.maxReconnectDelay ?? 20_000],
      ask: async (request) => (options.getToken ?? noToken)(request),
      // The subprotocol keeps the token out of the logs of proxies.
      target: (token) => [url, ["carillon.v1", token]],
      onChange: (change) => {
        if (change.previous === "open") {
          session.end();
          commands.failAll();
        }
        this.#channels.forEach((channel) => channel.follow(change));
        if (change.state === "open") void outbox.flush();
        if (change.state !== change.previous || change.attempt) this.#states.emit(change.state, change);
      },
      onMessage: session.receive,
      onError: report,
      ping: () => void commands.send("ping", {}, { timeoutMs: PONG_TIMEOUT_MS }).catch(() => {}),
      refresh: session.refresh,
    });
    this.#options = options;
    this.#connection = connection;
    this.#session = session;
    this.#outbox = outbox;
    this.#link = {
      env,
      commands,
      lingerMs: options.lingerMs ?? 2000,
      store: options.store,
      isUp: isOpen,
      isClosed: () => this.state === "closed",
      want: connection.connect,
      publish(command, publishOptions) {
        connection.connect();
        return outbox.publish(command, publishOptions);
      },
      report,
    };
  }

  /** What has become of the connection. */
  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** Who the server says that the user is. `null` while the connection is not open. */
  get session(): SessionInfo | null {
    return this.#session.info;
  }

  /** Managed sockets with tickets, for APIs that are not channels. */
  get websocket(): ManagedSockets {
    return (this.#sockets ??= createSockets(this.#options));
  }

  /** The channel of that name: the same object for the same name, always. */
  channel(name: string): Channel<Events> {
    let channel = this.#channels.get(name);
    if (!channel) this.#channels.set(name, (channel = createChannel(name, this.#link)));
    return channel as unknown as Channel<Events>;
  }

  /** Connects now. Channels connect by themselves when they are listened to. */
  connect(): void {
    this.#connection.connect();
  }

  /** Closes everything. Listeners stay, and `connect` brings the channels back with what they missed. */
  close(): void {
    this.#end("closed");
  }

  /** Closes everything, and forgets all that belongs to the user: listeners, positions, events that wait. */
  signOut(): void {
    this.#end("signed_out");
    this.#outbox.clear();
    this.#channels.forEach((channel) => channel.dispose());
  }

  #end(reason: "closed" | "signed_out"): void {
    this.#connection.close(reason);
    this.#sockets?.closeAll();
  }
}
