import type { SocketConstructor, SocketLike } from "./env.js";

/** How a socket is opened, and its end. */
export type Address = [url: string, protocols: string[]];
export type End = { code: number; reason: string };

/** What the socket of a tab wants: to open, to send a frame, or (`null`) to close. */
export type Wish = Address | string | null;

/** A frame of the server for the socket of a tab, or its end. */
export type Tell = (socket: string, what: string | End) => void;

/** The server of all tabs, with one connection to the real one. */
export interface Leader {
  receive(socket: string, tab: string, wish: Wish): void;
  /** Another tab will lead. */
  resign(): void;
}

interface Place {
  epoch?: string;
  offset?: number;
  id?: string;
}

interface Frame {
  type: string;
  id?: number;
  offset?: number;
  channel?: string;
  timestamp?: string;
  data?: Place & { channel?: string | undefined; since?: Place | undefined; last?: number; limit?: number; events?: { offset: number }[] };
}

/** A channel that some sockets have. */
interface Shared {
  /** Each with the frames that wait while it is told what it missed. */
  members: Map<string, string[] | null>;
  place: Place;
  /** Sockets that wait for the answer to the first `subscribe`. */
  queue: (() => void)[] | null;
}

const PAGE_MAX = 1000;

/** @param whenGone - calls `run` once that tab has gone */
export function createLeader(WebSocket: SocketConstructor, tell: Tell, whenGone: (tab: string, run: () => void) => void): Leader {
  const sockets = new Set<string>();
  const channels = new Map<string, Shared>();
  const commands = new Map<number | undefined, (answer: Frame) => void>();
  let connection: SocketLike | null = null;
  let greeting: Frame | null = null;
  let greetedAt = 0;
  let lastId = 0;

  const say = (to: string, frame: object) => tell(to, JSON.stringify(frame));

  function ask(command: Frame, answered: (answer: Frame) => void): void {
    commands.set(++lastId, answered);
    connection!.send(JSON.stringify({ ...command, id: lastId }));
  }

  /** The timestamp is the server's time now. */
  function greet(to: string): void {
    if (greeting) say(to, { ...greeting, timestamp: new Date(Date.parse(greeting.timestamp!) + Date.now() - greetedAt) });
  }

  function dial(address: Address): void {
    connection = new WebSocket(...address);
    connection.onmessage = ({ data }: { data: string }) => receiveFrame(data, JSON.parse(data));
    connection.onclose = resign;
    connection.onerror = () => {};
  }

  /** The connection has ended, or is not needed any more. */
  function resign({ code, reason }: Partial<End> = {}): void {
    const [old, all] = [connection, [...sockets]];
    connection = greeting = null;
    for (const each of [sockets, channels, commands]) each.clear();
    if (old) old.onclose = old.onmessage = null;
    if (code) for (const to of all) tell(to, { code, reason: reason! });
    else old?.close(1000);
  }

  function receiveFrame(text: string, frame: Frame): void {
    const { type, id, offset, channel } = frame;
    const answered = commands.get(id);
    const shared = channels.get(channel!);
    if (type === "session_init") {
      greeting = frame;
      greetedAt = Date.now();
      sockets.forEach(greet);
    } else if (answered) {
      commands.delete(id);
      answered(frame);
    } else if (shared) {
      if (type === "gap" || type === "subscribed") shared.place = frame.data!;
      else if (offset) Object.assign(shared.place, { offset, id });
      for (const [to, held] of shared.members) held ? held.push(text) : tell(to, text);
      if (type === "unsubscribed") channels.delete(channel!);
    } else for (const to of sockets) tell(to, text);
  }

  function subscribe(from: string, command: Frame): void {
    if (!sockets.has(from)) return;
    const name = command.data!.channel!;
    const shared = channels.get(name);
    if (!shared) {
      const fresh: Shared = { members: new Map([[from, null]]), place: {}, queue: [] };
      channels.set(name, fresh);
      ask(command, (answer) => {
        const queue = fresh.queue!;
        fresh.queue = null;
        if (answer.type === "subscribed") fresh.place = answer.data!;
        else channels.delete(name);
        say(from, { ...answer, id: command.id });
        queue.forEach((again) => again());
      });
    } else if (shared.queue) shared.queue.push(() => subscribe(from, command));
    else join(from, command, shared);
  }

  /** A further socket of a channel that the connection has. What it missed comes from the channel's history. */
  function join(from: string, { id, data }: Frame, { members, place }: Shared): void {
    const { channel, since, last: limit = PAGE_MAX } = data!;
    const { epoch, offset = 0 } = place;
    const answer = (more: object) => say(from, { type: "subscribed", id, channel, data: { ...place, ...more } });
    const missed = since && since.epoch === epoch ? offset - since.offset! : -1;
    const held: string[] | null = missed < 1 && !data!.last ? null : [];
    members.set(from, held);
    if (!held) return answer({ recovered: !missed });

    ask({ type: "history", data: { channel, since, limit } }, (page) => {
      let events = (page.data?.events ?? []).filter((event) => event.offset <= offset);
      const recovered = events.length === missed;
      if (since && !recovered) events = [];
      answer({ epoch, offset: offset - events.length, id: undefined, recovered });
      for (const event of events) say(from, event);
      if (members.get(from) === held) members.set(from, null);
      for (const frame of held) tell(from, frame);
    });
  }

  function unsubscribe(from: string, command: Frame): void {
    const channel = command.data!.channel!;
    const members = channels.get(channel)?.members;
    const answer = () => say(from, { type: "unsubscribed", id: command.id, channel });
    members?.delete(from);
    if (!members || members.size) return answer();
    channels.delete(channel);
    ask(command, answer);
  }

  function leave(from: string): void {
    if (!sockets.delete(from)) return;
    for (const [channel, { members }] of channels) if (members.has(from)) unsubscribe(from, { type: "unsubscribe", data: { channel } });
    if (!sockets.size) resign();
  }

  return {
    receive(from, tab, wish) {
      if (!wish) leave(from);
      else if (typeof wish === "string") {
        if (!connection) return;
        const command = JSON.parse(wish) as Frame;
        if (command.type === "subscribe") subscribe(from, command);
        else if (command.type === "unsubscribe") unsubscribe(from, command);
        else ask(command, (answer) => say(from, { ...answer, id: command.id }));
      } else if (!sockets.has(from)) {
        sockets.add(from);
        whenGone(tab, () => leave(from));
        if (connection) greet(from);
        else dial(wish);
      }
    },
    resign,
  };
}
