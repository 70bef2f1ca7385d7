import { createChannel, type Channel, type ChannelSource, type PositionStore } from "./channel.js";
import { createCommands, errorOf } from "./commands.js";
import { createEmitter, type Emitter } from "./emitter.js";
import { createEnv } from "./env.js";
import { CarillonError } from "./errors.js";
import { createSockets, type ManagedSockets, type SocketsOptions } from "./managed.js";
import type { Change, ConnectionState } from "./machine.js";
import { createOutbox, type OutboxMode } from "./outbox.js";
import { parseFrame, type BuiltInEvents, type ChannelEvent, type ServerFrame, type SessionInfo } from "./protocol.js";
import { createConnection } from "./socket.js";

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

/** Silence that is longer than the server's ping interval by this means that the line may be dead. */
const SILENCE_MARGIN_MS = 10_000;
const PONG_TIMEOUT_MS = 3000;

/** A client of a Carillon server. One connection carries all of its channels. */
export class Carillon<Events = BuiltInEvents> {
  readonly #options: CarillonOptions;
  readonly #env;
  readonly #commands;
  readonly #outbox;
  readonly #connection;
  readonly #channels = new Map<string, ChannelSource>();
  readonly #onStateChange = createEmitter<[ConnectionState, Change]>();
  readonly #onError = createEmitter<[unknown]>();
  #session: SessionInfo | null = null;
  /** The server's clock less this one. */
  #ahead = 0;
  #sockets: ManagedSockets | undefined;

  constructor(options: CarillonOptions) {
    this.#options = options;
    this.#env = createEnv(options.env);
    this.#commands = createCommands(this.#env, (text) => this.state === "open" && this.#connection.send(text));
    this.#outbox = createOutbox(options.outbox ?? "reject", options.outboxMax ?? 100, this.#commands, () => this.state === "open");
    const url = `${options.url.replace(/^http/, "ws").replace(/\/+$/, "")}${options.path ?? "/ws"}`;
    this.#connection = createConnection({
      env: this.#env,
      profile: {
        initialMs: options.reconnectDelay ?? 1000,
        maxMs: options.maxReconnectDelay ?? 20_000,
        maxAttempts: 0,
        connectTimeoutMs: 10_000,
        pongTimeoutMs: PONG_TIMEOUT_MS,
        reusable: true,
      },
      readyOnOpen: false,
      async ask(request) {
        if (!options.getToken) throw new CarillonError("invalid_options", "channels need getToken", { retryable: false });
        return options.getToken(request);
      },
      // The subprotocol keeps the token out of the logs of proxies.
      target: (token) => ({ url, protocols: ["carillon.v1", token] }),
      onChange: (change) => this.#follow(change),
      onMessage: (event) => this.#receive(event.data),
      onError: (error) => this.#report(error),
      ping: () => void this.#commands.send({ type: "ping", data: {} }, "pong", { timeoutMs: PONG_TIMEOUT_MS }).catch(() => {}),
      refresh: (token) => void this.#refresh(token),
    });
  }

  /** What has become of the connection. */
  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** Each change of `state`, with its code, its reason and the next attempt. */
  get onStateChange(): Emitter<[state: ConnectionState, change: Change]> {
    return this.#onStateChange;
  }

  /** Errors that no call is there for: of `getToken`, of the server, of a refused channel. */
  get onError(): Emitter<[error: unknown]> {
    return this.#onError;
  }

  /** Who the server says that the user is. `null` while the connection is not open. */
  get session(): SessionInfo | null {
    return this.#session;
  }

  /** Managed sockets with tickets, for APIs that are not channels. */
  get websocket(): ManagedSockets {
    return (this.#sockets ??= createSockets(this.#options));
  }

  /** The channel of that name: the same object for the same name, always. */
  channel(name: string): Channel<Events> {
    let channel = this.#channels.get(name);
    if (!channel) {
      channel = createChannel(name, {
        env: this.#env,
        commands: this.#commands,
        lingerMs: this.#options.lingerMs ?? 2000,
        store: this.#options.store,
        isOpen: () => this.state === "open",
        isClosed: () => this.state === "closed",
        want: () => this.connect(),
        publish: (command, options) => {
          this.connect();
          return this.#outbox.publish(command, options);
        },
        report: (error) => this.#report(error),
      });
      this.#channels.set(name, channel);
    }
    return channel as unknown as Channel<Events>;
  }

  /** Connects now. Channels connect by themselves when they are listened to. */
  connect(): void {
    this.#connection.connect();
  }

  /** Closes everything. Listeners stay, and `connect` brings the channels back with what they missed. */
  close(): void {
    this.#connection.close();
    this.#sockets?.closeAll();
  }

  /** Closes everything, and forgets all that belongs to the user: listeners, positions, events that wait. */
  signOut(): void {
    this.#connection.close("signed_out");
    this.#sockets?.closeAll();
    this.#outbox.clear();
    this.#channels.forEach((channel) => channel.dispose());
  }

  #follow(change: Change): void {
    if (change.state === "open") {
      this.#channels.forEach((channel) => channel.opened());
      void this.#outbox.flush();
    } else if (change.previous === "open") {
      this.#session = null;
      this.#commands.failAll();
      this.#channels.forEach((channel) => channel.lost());
    }
    if (change.state === "closed") this.#channels.forEach((channel) => channel.closed());
    if (change.state !== change.previous || change.attempt) this.#onStateChange.emit(change.state, change);
  }

  #receive(data: unknown): void {
    let parsed;
    try {
      parsed = parseFrame(data);
    } catch (error) {
      return this.#report(error);
    }
    if (parsed) this.#receiveFrame(parsed);
  }

  #receiveFrame(frame: ServerFrame): void {
    switch (frame.type) {
      case "session_init":
        return this.#begin(frame);
      case "subscribed":
      case "unsubscribed":
      case "gap":
      case "join":
      case "leave":
        if ("id" in frame && this.#commands.settle(frame)) return;
        return this.#channels.get(frame.channel)?.receiveFrame(frame);
      case "warning":
        if (frame.data.code === "token_expiring") this.#connection.dispatch({ type: "expiring" });
        return;
      case "reconnect":
        return this.#connection.dispatch({ type: "move", afterMs: frame.data.after_ms });
      case "error":
        if (!this.#commands.settle(frame)) this.#report(errorOf(frame));
        return;
      case "pong":
        this.#connection.dispatch(frame);
      // falls through: the answer belongs to a command too
      default:
        // Commands have numbers, events have not.
        if (typeof frame.id === "number") this.#commands.settle(frame);
        else if ("channel" in frame) this.#channels.get(frame.channel)?.receive(frame as unknown as ChannelEvent);
    }
  }

  #begin({ session_id, timestamp, data }: Extract<ServerFrame, { type: "session_init" }>): void {
    this.#ahead = Date.parse(timestamp) - this.#env.now();
    const expiresAt = parseTime(data.expires_at);
    this.#session = { id: session_id, user: data.user, expiresAt, limits: data.limits };
    this.#connection.dispatch({
      type: "opened",
      silenceMs: data.ping_interval_s > 0 ? data.ping_interval_s * 1000 + SILENCE_MARGIN_MS : 0,
      lifetimeMs: this.#lifetime(expiresAt),
    });
  }

  async #refresh(token: string): Promise<void> {
    try {
      const { data } = await this.#commands.send({ type: "refresh", data: { token } }, "refreshed");
      const expiresAt = parseTime(data.expires_at);
      if (this.#session) this.#session = { ...this.#session, expiresAt };
      this.#connection.dispatch({ type: "refreshed", lifetimeMs: this.#lifetime(expiresAt) });
    } catch (thrown) {
      const error = thrown as CarillonError;
      if (error.code === "offline") return; // the next connection begins with the new token
      this.#report(error);
      const ending = { code: error.retryable ? 1013 : 1008, reason: error.reason ?? error.code };
      this.#connection.dispatch({ type: "refresh_refused", ending });
    }
  }

  #lifetime(expiresAt: number | null): number | undefined {
    return expiresAt === null ? undefined : expiresAt - this.#env.now() - this.#ahead;
  }

  #report(error: unknown): void {
    if (this.#onError.size > 0) this.#onError.emit(error);
    else console.warn("carillon:", error);
  }
}

function parseTime(text: string | null): number | null {
  return text === null ? null : Date.parse(text);
}
