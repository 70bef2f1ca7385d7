import { backoff } from "./backoff.js";
import type { Channel, ChannelState, Continuity, PositionStore, PublishOptions, PublishResult } from "./channel-api.js";
import type { Commands } from "./commands.js";
import type { Change } from "./connection.js";
import { createEmitter, until } from "./emitter.js";
import type { Env } from "./env.js";
import { CarillonError } from "./errors.js";
import { loopOver } from "./loop.js";
import { createPresence, type PresenceSource } from "./presence.js";
import { positionOf, type ChannelEvent, type ChannelFrame, type Position } from "./protocol.js";

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

export function createChannel(name: string, link: ChannelLink): ChannelSource {
  const { env, commands, store } = link;
  const events = createEmitter<[ChannelEvent]>();
  /** Each ends a loop over the channel. */
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
      wasLive ||= error.code === "timeout"; // events may come and be left out, which the next answer has to tell
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
    if (state !== "live") return; // the answer to `subscribe` will say from where the channel goes on
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
    [Symbol.asyncIterator]: () => loopOver(channel, loops),
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
          if (state !== "idle") refuse(new CarillonError("unsubscribed", "the server ended the subscription"));
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
