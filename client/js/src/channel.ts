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

/** Events that one page of the history may have at most. */
const HISTORY_MAX = 1000;

/** What a channel needs of its client. */
export interface ChannelLink {
  env: Env;
  commands: Commands;
  lingerMs: number;
  store: PositionStore | undefined;
  isUp(): boolean;
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
  /** The earlier events that the first listener asks for. */
  let begin: { last?: number; since?: Position } = {};
  /** The last ones that were asked for at the server. */
  let asked = begin;
  /** Frames that wait until the earlier events have come. */
  let held: ChannelFrame[] | null = null;
  let wasLive = position !== null;
  const holders = new Set<object>();
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
    const holder = {};
    holders.add(holder);
    env.clearTimeout(linger);
    if (state === "idle") {
      become("subscribing");
      link.want();
      const mine = round;
      // A listener that comes in the same moment may ask for earlier events.
      queueMicrotask(() => mine === round && link.isUp() && subscribe());
    }
    return () => {
      if (!holders.delete(holder) || holders.size) return;
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
    begin = asked = {};
    held = null;
    moveTo(null);
    presence?.reset();
    if (told && link.isUp()) commands.send("unsubscribe", { channel: name }).catch(() => {});
  }

  async function subscribe(): Promise<void> {
    const mine = ++round;
    if (!position) asked = begin;
    const data = { channel: name, ...(position ? { since: position } : begin) };
    try {
      await commands.send("subscribe", data, { take: (frame) => mine === round && subscribed(frame.data) });
    } catch (thrown) {
      const error = thrown as CarillonError;
      if (mine !== round || error.code === "offline") return;
      wasLive ||= error.code === "timeout"; // events may come and be left out, which the next answer has to tell
      if (error.retryable) retry = env.setTimeout(() => link.isUp() && subscribe(), backoff(++attempt, 1000, 16_000, env.random()));
      else refuse(error);
    }
  }

  function refuse(error: CarillonError): void {
    become("refused", error);
    if (!onStateChange.entries.size) link.report(error);
  }

  function subscribed(data: Partial<Position> & { recovered: boolean }): void {
    const before = wasLive;
    wasLive = true;
    attempt = 0;
    moveTo(positionOf(data));
    become("live");
    void readBack();
    tell(data.recovered ? undefined : "not_recovered", before);
  }

  /** If the listener has come after `subscribe` was sent, the history has the events that it asks for. */
  async function readBack(): Promise<void> {
    if (begin === asked || !position) return;
    const mine = (asked = begin);
    held ??= [];
    try {
      const { events: earlier, epoch } = await channel.history({ since: mine.since, limit: mine.last ?? HISTORY_MAX });
      if (mine === asked && epoch === position?.epoch) for (const event of earlier) if (event.offset! <= position!.offset) events.emit(event);
    } catch (error) {
      if ((error as CarillonError).code === "offline") return void (asked = {}); // it is asked again once the channel is live
      link.report(error);
    }
    if (mine !== asked) return; // a later listener asks
    const rest = held;
    held = null;
    rest?.forEach(channel.receive);
  }

  /** Without a reason all missed events follow. */
  function tell(reason: string | undefined, wasLive = true): void {
    if (wasLive) onContinuity.emit({ recovered: !reason, reason, position });
    presence?.ask();
  }

  function receiveEvent(event: ChannelEvent): void {
    if (state !== "live") return; // the answer to `subscribe` will say from where the channel goes on
    if (event.offset && position) {
      if (event.offset <= position.offset) return;
      moveTo({ ...position, offset: event.offset, id: event.id });
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
      if (!events.entries.size && !(state === "idle" && position)) begin = since ? { since } : last ? { last } : asked;
      const off = events.subscribe((event) => (type === "*" || type === event.type) && run(event as never));
      const release = hold();
      if (state === "live") void readBack();
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
        held = null;
        presence?.lost();
        if (state === "live") become("lost");
      }
      if (state === "idle") return;
      if (!holders.size && (connection.state === "open" || connection.state === "closed")) leave();
      else if (connection.state === "open") {
        become("subscribing");
        void subscribe();
      }
    },
    receive(frame) {
      if (held && frame.type !== "subscribed") return void held.push(frame);
      const { type } = frame;
      if (type === "subscribed") {
        // A backend's subscription: it matters where there is no answer to come.
        if (state === "refused" || state === "live") subscribed(frame.data);
      } else if (type === "unsubscribed") {
        if (state !== "idle") refuse(new CarillonError("unsubscribed", "the server ended it"));
      } else if (type === "gap") {
        moveTo(positionOf(frame.data));
        tell(frame.data.reason);
      } else if (type === "join" || type === "leave") presence?.change(type, frame.data);
      else receiveEvent(frame as unknown as ChannelEvent);
    },
    dispose() {
      leave();
      events.removeAll();
      loops.forEach((end) => end());
      holders.clear();
      onStateChange.removeAll();
      onContinuity.removeAll();
    },
  };
  return channel;
}
