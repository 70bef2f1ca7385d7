import { backoff } from "./backoff.js";
import { createBacklog, type Backlog, type Earlier } from "./backlog.js";
import type { ChannelState, Continuity } from "./channel-api.js";
import type { ChannelLink, ChannelSource } from "./channel-link.js";
import { createEmitter, until } from "./emitter.js";
import { CarillonError } from "./errors.js";
import { loopOver } from "./loop.js";
import { createPresence, type PresenceSource } from "./presence.js";
import { positionOf, type ChannelEvent, type Position } from "./protocol.js";

export function createChannel(name: string, link: ChannelLink): ChannelSource {
  const { env, commands, store } = link;
  const events = createEmitter<[ChannelEvent]>();
  /** Each ends a loop over the channel. */
  const loops = new Set<() => void>();
  const onStateChange = createEmitter<[ChannelState, CarillonError?]>();
  const onContinuity = createEmitter<[Continuity]>();
  let state: ChannelState = "idle";
  let position: Position | null = store?.get(name) ?? null;
  /** The earlier events that `subscribe` brings: those that the first listener asks for. */
  let begin: Earlier = {};
  /** `subscribe` has been sent. Who comes from now on gets earlier events by a backlog. */
  let asked = false;
  const backlogs = new Set<Backlog>();
  let wasLive = false;
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

  /** Returns the position before: the first listener's own, while there is no other yet. */
  function moveTo(next: Position | null): Position | undefined {
    const before = position ?? begin.since;
    position = next;
    store?.set(name, next ?? undefined);
    return before;
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
    begin = {};
    asked = false;
    moveTo(null);
    presence?.reset();
    if (told && link.isUp()) commands.send("unsubscribe", { channel: name }).catch(() => {});
  }

  /** `subscribe` brings a new listener all earlier events that it asks for. */
  function bringsToo({ last, since }: Earlier): boolean {
    if (!asked && !events.entries.size) begin = { last, since };
    if (!last && !since) return true;
    // A position that is there before is the store's: the channel goes on from it.
    return !asked && (!!position || (begin.last === last && begin.since === since));
  }

  async function subscribe(): Promise<void> {
    const mine = ++round;
    asked = true;
    const data = { channel: name, ...(position ? { since: position } : begin) };
    try {
      await commands.send("subscribe", data, { take: (frame) => mine === round && subscribed(frame.data) });
    } catch (thrown) {
      const error = thrown as CarillonError;
      if (mine !== round || !link.isUp()) return;
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
    attempt = 0;
    const before = moveTo(positionOf(data));
    become("live");
    tell(before, data.recovered ? undefined : "not_recovered");
  }

  /** Without a reason all missed events follow. */
  function tell(before: Position | undefined, reason?: string): void {
    const missed = position && before?.epoch === position.epoch ? position.offset - before.offset : undefined;
    if (wasLive || before) onContinuity.emit({ recovered: !reason, reason, missed, position });
    wasLive = true;
    presence?.ask();
    for (const backlog of backlogs) void backlog.read(!!reason);
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
      const listener = (event: ChannelEvent) => (type === "*" || type === event.type) && run(event as never);
      const earlier: Earlier = since ? { since } : { last };
      const backlog = bringsToo(earlier) ? null : createBacklog(earlier, link, channel, listener);
      const off = events.subscribe(backlog?.receive ?? listener);
      const release = hold();
      if (backlog) {
        backlogs.add(backlog);
        if (state === "live") void backlog.read(false);
      }
      return until(signal, () => {
        off();
        backlog?.end();
        backlogs.delete(backlog!);
        release();
      });
    },
    publish(type, data, options = {}) {
      link.want();
      return commands.publish({ channel: name, type, data, event_id: options.eventId }, options);
    },
    async history({ before, since, limit, ...options } = {}) {
      link.want();
      return (await commands.send("history", { channel: name, before, since, limit }, options)).data;
    },
    presence() {
      if (!presence) {
        presence = createPresence(name, link, hold);
        if (state === "live") void presence.ask();
      }
      return presence;
    },
    [Symbol.asyncIterator]: () => loopOver(channel, loops),
    follow(connection) {
      if (connection.previous === "open") {
        env.clearTimeout(retry);
        for (const backlog of backlogs) backlog.halt();
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
      const { type } = frame;
      if (type === "subscribed") {
        // A backend's subscription: it matters where there is no answer to come.
        if (state === "refused" || state === "live") subscribed(frame.data);
      } else if (type === "unsubscribed") {
        if (state !== "idle") refuse(new CarillonError("unsubscribed", "the server ended it"));
      } else if (type === "gap") {
        tell(moveTo(positionOf(frame.data)), frame.data.reason);
      } else if (type === "join" || type === "leave") presence?.change(type, frame.data);
      else receiveEvent(frame as unknown as ChannelEvent);
    },
    dispose() {
      leave();
      events.removeAll();
      backlogs.forEach((backlog) => backlog.end());
      backlogs.clear();
      loops.forEach((end) => end());
      holders.clear();
      presence?.removeAll();
      onStateChange.removeAll();
      onContinuity.removeAll();
    },
  };
  return channel;
}
