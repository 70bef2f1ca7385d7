import type { CommandOptions } from "./commands.js";
import type { Emitter } from "./emitter.js";
import type { CarillonError } from "./errors.js";
import type { Presence } from "./presence.js";
import type { ChannelEvent, HistoryPage, Position } from "./protocol.js";

/**
 * - `idle`: nobody listens.
 * - `subscribing`: the server has been asked, or will be once the connection is open.
 * - `live`: events come.
 * - `lost`: the connection is down. Events that are missed meanwhile follow.
 * - `refused`: the server does not let this user have the channel.
 */
export type ChannelState = "idle" | "subscribing" | "live" | "lost" | "refused";

/**
 * Tells whether events were missed. It comes after each `gap`, and after each `subscribed` of a channel that was live before, or
 * that goes on from a position: of a `store`, or the `since` of its first listener.
 */
export interface Continuity {
  /** `true`: every event that was missed follows. `false`: events may be missing before the next one. Load the state anew. */
  recovered: boolean;
  /** Why events may be missing: the reason of the `gap` frame, or `not_recovered`. */
  reason?: string | undefined;
  /** How many may be missing at most: 0 where all follow. Absent: nobody knows, as where the history has begun anew. */
  missed?: number | undefined;
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
  /**
   * So many of the newest events come first, in their order, and the live ones after them. The first listener gets them
   * by the subscription, as do those that are added with it and ask for the same or for none. Each other one reads them
   * by `history`, which needs the right of that name: without it `onError` is told, and only live events come. A channel
   * that a `store` knows goes on from its position.
   */
  last?: number;
  /**
   * All events after this position come first. It counts as `last` does. Where they cannot be had, the first listener's
   * channel tells it by `onContinuity`. For another one, `onError` is told `history_too_short` and those come that are there,
   * or `conflict` where the position is of another epoch.
   */
  since?: Position;
}

/** A type of `Events`, or `*` for all. */
export type EventOf<Events, Type extends keyof Events | "*"> = Type extends "*"
  ? { [T in keyof Events]: ChannelEvent<T & string, Events[T]> }[keyof Events]
  : ChannelEvent<Type & string, Events[Type & keyof Events]>;

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
  before?: Position | undefined;
  /** The page begins after this position. */
  since?: Position | undefined;
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
  /**
   * Publishes an event, and connects by itself. Until the client has been connected for the first time, calls wait. Once the
   * connection was lost, they reject with `offline`, unless `outbox` says otherwise. After `close` and `signOut`, and after an end
   * for good, they reject with `closed` and the reason of that end.
   */
  publish<Type extends keyof Events & string>(type: Type, data: Events[Type], options?: PublishOptions): Promise<PublishResult>;
  /** A page of past events, oldest first: the newest ones, or those before or after a position. It waits as `publish` does. */
  history(options?: HistoryOptions): Promise<HistoryPage<EventOf<Events, "*">>>;
  /** Who is here, kept current while the channel has listeners, of events or of this list. */
  presence(): Presence;
}
