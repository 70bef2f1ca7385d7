import { Api } from "./api.js";
import { rules, target, type On, type Rules, type Target } from "./faults.js";
import { journal, verify, waits, type Journal, type Waits } from "./journal.js";
import { ServerProcess, type Running, type StartOptions } from "./process.js";
import type { BrokerState, ClockAnswer, Duration, Facts, JournalFilter, Keep, LineMatch, Published, Session, SessionDetails, Snapshot, TicketAnswer, TicketWish, TokenAnswer, TokenWish, VerifyOptions } from "./types.js";

/** The server's clock. */
export interface Clock {
  /** What time it is. */
  now(): Promise<Date>;
  /** Moves the clock on. Resolves when all that is due on the way has happened. */
  advance(by: Duration): Promise<ClockAnswer>;
  /** Moves the clock to a time, such as `"2026-01-01T00:00:00Z"`. */
  set(to: string | Date): Promise<ClockAnswer>;
  /** The clock stands still. */
  freeze(): Promise<ClockAnswer>;
  /** The clock runs again, `rate` times as fast as the time. */
  run(how?: { rate?: number }): Promise<ClockAnswer>;
}

/** The server's broker: the failures of a Redis, without one. */
export interface Broker {
  /** What it does now. */
  state(): Promise<BrokerState>;
  /** It does not answer, until `up`, or for that time. */
  down(how?: { for?: Duration }): Promise<BrokerState>;
  /** It answers late: by 500 ms, when `by` is not given. */
  slow(how?: { by?: Duration; for?: Duration }): Promise<BrokerState>;
  /** It comes back empty, at once or after that time. */
  lost(how?: { for?: Duration }): Promise<BrokerState>;
  /** It works again. */
  up(): Promise<BrokerState>;
}

/** One session: faults, and how it is. */
export interface SessionTarget extends Target {
  /** Its channels, and what it has sent and got last. */
  show(): Promise<SessionDetails>;
}

/** What must be known of a server. */
export type Known = Pick<Facts, "ws_url" | "api_url" | "api_key"> & Partial<Facts>;

/** Members of an event beside its channel, type and data. */
export interface PublishOptions {
  /** Idempotency key: a second event with it is not published. */
  event_id?: string;
  /** The id of a session that does not get the event. */
  exclude_session?: string;
}

function clock(api: Api): Clock {
  const order = (body: object) => api.order<ClockAnswer>("POST", "/dev/v1/clock", body);
  return {
    now: async () => new Date((await api.order<ClockAnswer>("GET", "/dev/v1/clock")).now),
    advance: (by) => order({ advance: by }),
    set: (to) => order({ set: typeof to === "string" ? to : to.toISOString() }),
    freeze: () => order({ freeze: true }),
    run: (how = {}) => order({ run: true, ...how }),
  };
}

function broker(api: Api): Broker {
  const path = "/dev/v1/broker";
  const order = async (state: string, how: object = {}) => (await api.order<{ state: BrokerState }>("POST", path, { state, ...how })).state;
  return {
    state: async () => (await api.order<{ state: BrokerState }>("GET", path)).state,
    down: (how) => order("down", how),
    slow: (how) => order("slow", how),
    lost: (how) => order("lost", how),
    up: () => order("up"),
  };
}

/** A server for tests. `startCarillon` starts one. */
export class CarillonServer {
  /** What the server has said of itself: all URLs, keys and secrets. */
  readonly facts: Known;
  /** URL of the first endpoint, without a token. */
  readonly wsUrl: string;
  /** The same server by HTTP: what `@carillon/client` takes as its `url`. */
  readonly origin: string;
  /** The internal listener: `POST <apiUrl>/api/v1/publish`. */
  readonly apiUrl: string;
  /** Opens the HTTP API, as `X-API-Key`. */
  readonly apiKey: string;
  /** The console, a page. */
  readonly consoleUrl: string;
  /** Each waits for something to happen. */
  readonly wait: Waits;
  /** What happens to messages and connections that match. */
  readonly rules: Rules;
  /** The server's clock. */
  readonly clock: Clock;
  /** The server's broker. */
  readonly broker: Broker;
  private readonly control: Api;

  private readonly running: Running | undefined;

  private constructor(facts: Known, running?: Running) {
    this.facts = facts;
    this.running = running;
    this.wsUrl = facts.ws_url;
    this.origin = new URL(facts.ws_url.replace(/^ws/, "http")).origin;
    this.apiUrl = facts.api_url;
    this.apiKey = facts.api_key;
    this.consoleUrl = facts.console_url ?? `${facts.api_url}/`;
    this.control = new Api(facts.api_url, facts.api_key, async () => running?.whyEnded());
    this.wait = waits(this.control);
    this.rules = rules(this.control);
    this.clock = clock(this.control);
    this.broker = broker(this.control);
  }

  /** Starts a server on free ports. It ends by `stop`, or with this process. */
  static async start(options: StartOptions = {}): Promise<CarillonServer> {
    const running = await ServerProcess.start(options);
    return new CarillonServer(running.facts, running);
  }

  /** A server that runs already, in a container for example. `stop` leaves it running. */
  static attach(facts: Known): CarillonServer {
    return new CarillonServer(facts);
  }

  /** A token for a user. */
  async token(sub: string, wish: TokenWish = {}): Promise<string> {
    return (await this.control.order<TokenAnswer>("POST", "/dev/v1/tokens", { sub, ...wish })).token;
  }

  /** The URL that connects as a user, with a token in it. It throws if the first endpoint takes no token in its query. */
  async url(sub: string, wish: TokenWish = {}): Promise<string> {
    const { token, ws_url } = await this.control.order<TokenAnswer>("POST", "/dev/v1/tokens", { sub, ...wish });
    if (!ws_url.includes(token)) throw new Error(`the endpoint ${ws_url} takes no token in its query: use token(), and send it as the endpoint wants it`);
    return ws_url;
  }

  /** A ticket for a user, and the URL that connects with it. It is for endpoints that take tickets. */
  ticket(sub: string, wish: TicketWish = {}): Promise<TicketAnswer> {
    return this.control.order("POST", "/dev/v1/tickets", { sub, ...wish });
  }

  /** Publishes an event, as a backend does. */
  publish(channel: string, type: string, data: unknown, options: PublishOptions = {}): Promise<Published> {
    return this.api("publish", { channel, type, data, ...options });
  }

  /** Any other call of the HTTP API (docs/openapi.yaml), such as `api("revoke", { user: "ada" })`. */
  api<T>(route: string, body: object): Promise<T> {
    return this.control.order("POST", `/api/v1/${route}`, body);
  }

  /** Faults for the sessions of a user. */
  user(user: string): Target {
    return target(this.control, { user });
  }

  /** Faults for one session, and how it is. */
  session(session: string): SessionTarget {
    return { ...target(this.control, { session }), show: () => this.control.order("GET", `/dev/v1/sessions/${encodeURIComponent(session)}`) };
  }

  /** Faults for the sessions that have a channel. `*` stands for any run of characters. */
  channel(channel: string): Target {
    return target(this.control, { channel });
  }

  /** Faults for all sessions. */
  all(): Target {
    return target(this.control, { all: true } satisfies On);
  }

  /** The open sessions. */
  async sessions(): Promise<Session[]> {
    return (await this.control.order<{ sessions: Session[] }>("GET", "/dev/v1/sessions")).sessions;
  }

  /** All that has happened: `await` it for the lines that are there, or follow it with `for await`. */
  journal(filter: JournalFilter = {}): Journal {
    return journal(this.control, filter);
  }

  /** Empties the journal. */
  clearJournal(): Promise<void> {
    return this.control.order("DELETE", "/dev/v1/journal");
  }

  /** Throws an AssertionError with the difference when the journal has not what is expected. */
  verify(expect: readonly LineMatch[], options: VerifyOptions = {}): Promise<void> {
    return verify(this.control, expect, options);
  }

  /** All that the server remembers. */
  snapshot(): Promise<Snapshot> {
    return this.control.order("GET", "/dev/v1/snapshot");
  }

  /** Puts back what was saved. */
  restore(snapshot: Snapshot): Promise<void> {
    return this.control.order("PUT", "/dev/v1/snapshot", snapshot);
  }

  /** Other rules of channels, as a reload would bring them. Without rules: those of the start. */
  channelRules(rules?: readonly object[]): Promise<void> {
    return this.control.order("PUT", "/dev/v1/channels-rules", rules);
  }

  /** Everything is as at the start: for between two tests. Resolves with the number of sessions that it has closed. */
  async reset(how: { keep?: readonly Keep[] } = {}): Promise<number> {
    return (await this.control.order<{ closed: number }>("POST", "/dev/v1/reset", how)).closed;
  }

  /** The end of what the server has logged. Empty for a server that was attached to. */
  log(): string {
    return this.running?.log() ?? "";
  }

  /** Ends the server. */
  async stop(): Promise<void> {
    this.control.willClose();
    await this.running?.stop();
    this.control.close();
  }

  /** The same as `stop`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** Starts a server on free ports. It ends by `stop`, or with this process. */
export const startCarillon = (options: StartOptions = {}): Promise<CarillonServer> => CarillonServer.start(options);

/** A server that runs already, in a container for example: its URLs and its key. */
export const attachCarillon = (facts: Known): CarillonServer => CarillonServer.attach(facts);
