import { backoff } from "./backoff.js";
import type { Commands, CommandOptions } from "./commands.js";
import type { Change } from "./connection.js";
import { createEmitter, until, type Emitter } from "./emitter.js";
import type { Env } from "./env.js";
import { CarillonError } from "./errors.js";
import { createPresence, type Presence, type PresenceSource } from "./presence.js";
import { positionOf, type ChannelEvent, type ChannelFrame, type HistoryPage, type Position } from "./protocol.js";

/**
 * - `idle`: nobody listens.
 * - `subscribing`: the server has been asked, or will be once the connection is open.
 * - `live`: events come.
 * - `lost`: the connection is down. Events that are missed meanwhile follow.
 * - `refused`: the server does not let this user have the channel.
 */
export type ChannelState = "idle" | "subscribing" | "live" | "lost" | "refused";

/** What is known of the events between two moments: after each `subscribed` of a channel that was live before, and each `gap`. */
export interface Continuity {
  /** `true`: every event that was missed follows. `false`: events may be missing before the next one. Load the state anew. */
  recovered: boolean;
  /** Why events may be missing: the reason of the `gap` frame, or `not_recovered`. */
  reason?: string | undefined;
  /** From which the channel goes on. `null`: the channel has no history. */
  position: Position | null;
}

/** Keeps positions beyond the life of a page, so that a reload recovers too. */
export interface PositionStore {
  /** The position that was set last. */
  get(channel: string): Position | null | undefined;
  /** `undefined` forgets it. */
  set(channel: string, position: Position | undefined): void;
}

/** What comes first, and when the listener goes. */
export interface ListenOptions {
  /** Removes the listener when it is aborted. */
  signal?: AbortSignal;
  /** So many of the newest events come first. It counts for the first listener of a channel without a position. */
  last?: number;
  /** Events after this position come first. It counts as `last` does. */
  since?: Position;
}

/** A type of `Events`, or `*` for all. */
export type EventOf<Events, Type extends keyof Events | "*"> = Type extends keyof Events
  ? ChannelEvent<Type & string, Events[Type]>
  : { [T in keyof Events]: ChannelEvent<T & string, Events[T]> }[keyof Events];

/** A publish that the server has accepted. */
export interface PublishResult {
  /** Of the event. */
  id: string;
  /** Of channels with history. */
  offset?: number | undefined;
  /** An event with this `eventId` had been published before. */
  duplicate: boolean;
}

/** Options of `publish`. */
export interface PublishOptions extends CommandOptions {
  /** Makes a repeated publish safe: the second one with the same id publishes nothing. 1 to 128 printable ASCII characters. */
  eventId?: string;
}

/** Which page of events. Without a position: the newest. */
export interface HistoryOptions extends CommandOptions {
  /** The page ends before this position. */
  before?: Position;
  /** The page begins after this position. */
  since?: Position;
  /** At most so many events. Default 50, at most 1000. */
  limit?: number;
}

/** A channel of the server. */
export interface Channel<Events = Record<string, unknown>> extends AsyncIterable<EventOf<Events, "*">> {
  /** Its name at the server. */
  readonly name: string;
  /** Whether events come. */
  readonly state: ChannelState;
  /** Each change of `state`. `refused` comes with the error. */
  readonly onStateChange: Emitter<[state: ChannelState, error?: CarillonError]>;
  /** What is known of missed events. */
  readonly onContinuity: Emitter<[continuity: Continuity]>;
  /** The last event seen. `null`: none, or the channel has no history. */
  readonly position: Position | null;
  /**
   * Listens to the events of a type. The client connects and subscribes by itself.
   * @returns a function that removes the listener. The channel is left a while after its last listener (`lingerMs`).
   */
  on<Type extends (keyof Events & string) | "*">(
    type: Type,
    listener: (event: EventOf<Events, Type>) => void,
    options?: ListenOptions,
  ): () => void;
  /** Publishes an event. Rejects with `offline` while the connection is down, unless `outbox` says otherwise. */
  publish<Type extends keyof Events & string>(type: Type, data: Events[Type], options?: PublishOptions): Promise<PublishResult>;
  /** A page of past events, oldest first: the newest ones, or those before or after a position. */
  history(options?: HistoryOptions): Promise<HistoryPage>;
  /** Who is here, kept current while the result has listeners. */
  presence(): Presence;
}

/** What a channel needs of its client. */
export interface ChannelLink {
  env: Env;
  commands: Commands;
  lingerMs: number;
  store: PositionStore | undefined;
  isOpen(): boolean;
  isClosed(): boolean;
  /** The first listener has come: there must be a connection. */
  want(): void;
  publish(command: Record<string, unknown>, options: PublishOptions): Promise<PublishResult>;
  report(error: unknown): void;
}

/** The side of the client. */
export interface ChannelSource extends Channel {
  /** The connection has changed. Once it has ended, no timer may run. */
  follow(connection: Change): void;
  /** A frame of the server about this channel, which is no answer. */
  receive(frame: ChannelFrame): void;
  /** Forgets listeners, position and presence. */
  dispose(): void;
}

const BUFFERED_MAX = 1000;

export function createChannel(name: string, link: ChannelLink): ChannelSource {
  const { env, commands, store } = link;
  const events = createEmitter<[ChannelEvent]>();
  const loops = new Set<() => void>();
  const onStateChange = createEmitter<[ChannelState, CarillonError?]>();
  const onContinuity = createEmitter<[Continuity]>();
  let state: ChannelState = "idle";
  let position: Position | null = store?.get(name) ?? null;
  let begin: { last?: number | undefined; since?: Position | undefined } = {};
  let wasLive = position !== null;
  let holds = 0;
  let linger: unknown;
  let attempt = 0;
  let retry: unknown;
  /** Of `subscribe`. An answer to an earlier one says nothing. */
  let round = 0;
  let presence: PresenceSource | undefined;

  function become(next: ChannelState, error?: CarillonError): void {
    if (next === state) return;
    state = next;
    onStateChange.emit(next, error);
  }

  function moveTo(next: Position | null): void {
    position = next;
    store?.set(name, next ?? undefined);
  }

  /** Somebody needs the channel, until the function that this returns is called. */
  function hold(): () => void {
    let held = true;
    env.clearTimeout(linger);
    if (holds++ === 0 && state === "idle") {
      become("subscribing");
      link.want();
      if (link.isOpen()) void subscribe();
    }
    return () => {
      if (!held) return;
      held = false;
      if (--holds > 0) return;
      if (link.isClosed()) leave();
      else linger = env.setTimeout(leave, link.lingerMs);
    };
  }

  function leave(): void {
    env.clearTimeout(linger);
    env.clearTimeout(retry);
    round++;
    const told = state === "live" || state === "subscribing";
    become("idle");
    wasLive = false;
    moveTo(null);
    presence?.reset();
    if (told && link.isOpen()) commands.send("unsubscribe", { channel: name }).catch(() => {});
  }

  async function subscribe(): Promise<void> {
    const mine = ++round;
    const since = position ?? begin.since;
    const data = { channel: name, since, last: since ? undefined : begin.last };
    try {
      await commands.send("subscribe", data, { take: (frame) => mine === round && subscribed(frame.data) });
    } catch (thrown) {
      const error = thrown as CarillonError;
      if (mine !== round || error.code === "offline") return;
      if (error.retryable) retry = env.setTimeout(() => link.isOpen() && subscribe(), backoff(++attempt, 1000, 16_000, env.random()));
      else refuse(error);
    }
  }

  function refuse(error: CarillonError): void {
    become("refused", error);
    if (onStateChange.size === 0) link.report(error);
  }

  function subscribed(data: Partial<Position> & { recovered: boolean }): void {
    const before = wasLive;
    wasLive = true;
    attempt = 0;
    begin = {};
    moveTo(positionOf(data));
    become("live");
    if (before) tell(data.recovered, data.recovered ? undefined : "not_recovered");
    presence?.ask();
  }

  function tell(recovered: boolean, reason: string | undefined): void {
    onContinuity.emit({ recovered, reason, position });
  }

  function receiveEvent(event: ChannelEvent): void {
    if (event.offset !== undefined && position) {
      if (event.offset <= position.offset) return;
      moveTo({ epoch: position.epoch, offset: event.offset, id: event.id });
    }
    events.emit(event);
  }

  const channel: ChannelSource = {
    name,
    onStateChange,
    onContinuity,
    get state() {
      return state;
    },
    get position() {
      return position;
    },
    on(type, run, { signal, last, since } = {}) {
      if (signal?.aborted) return () => {};
      if (events.size === 0 && !position) begin = { last, since };
      const off = events.subscribe((event) => (type === "*" || type === event.type) && run(event as never));
      const release = hold();
      return until(signal, () => {
        off();
        release();
      });
    },
    publish: (type, data, options = {}) =>
      link.publish({ channel: name, type, data, event_id: options.eventId }, options),
    async history({ before, since, limit, ...options } = {}) {
      return (await commands.send("history", { channel: name, before, since, limit }, options)).data;
    },
    presence() {
      presence ??= createPresence({ name, env, commands, hold, isLive: () => state === "live", report: link.report });
      return presence;
    },
    async *[Symbol.asyncIterator]() {
      const buffer: ChannelEvent[] = [];
      let wake = () => {};
      let ended = false;
      const end = () => {
        ended = true;
        wake();
      };
      loops.add(end);
      const off = channel.on("*", (event) => {
        buffer.push(event as ChannelEvent);
        wake();
      });
      try {
        while (!ended) {
          if (buffer.length > BUFFERED_MAX)
            throw new CarillonError("slow_reader", `the loop over ${name} is ${BUFFERED_MAX} events behind`);
          const next = buffer.shift();
          if (next) yield next as never;
          else await new Promise<void>((resolve) => (wake = resolve));
        }
      } finally {
        loops.delete(end);
        off();
      }
    },
    follow(connection) {
      if (connection.previous === "open") {
        env.clearTimeout(retry);
        presence?.lost();
        if (state === "live") become("lost");
      }
      if (state === "idle") return;
      if (holds === 0 && (connection.state === "open" || connection.state === "closed")) leave();
      else if (connection.state === "open") {
        become("subscribing");
        void subscribe();
      }
    },
    receive(frame) {
      switch (frame.type) {
        case "subscribed":
          // A backend's subscription: it matters where there is no answer to come.
          if (state === "refused" || state === "live") subscribed(frame.data);
          return;
        case "unsubscribed":
          if (state !== "idle") refuse(new CarillonError("unsubscribed", `the server ended the subscription to ${name}`));
          return;
        case "gap":
          moveTo(positionOf(frame.data));
          tell(false, frame.data.reason);
          presence?.ask();
          return;
        case "join":
        case "leave":
          presence?.change(frame.type, frame.data);
          return;
        default:
          receiveEvent(frame as unknown as ChannelEvent);
      }
    },
    dispose() {
      leave();
      events.clear();
      loops.forEach((end) => end());
      holds = 0;
      onStateChange.clear();
      onContinuity.clear();
    },
  };
  return channel;
}
