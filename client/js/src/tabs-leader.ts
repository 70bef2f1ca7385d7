import type { SocketConstructor, SocketLike } from "./env.js";

/** How a connection ends. */
export type End = { code: number; reason: string | undefined };

/** What a socket of a tab says: it opens (with its tab and its address), sends a frame, or closes (with nothing). */
export type Wish = [socket: number, frame?: string, tab?: number, ...address: string[] | [string, string[]]];

/** What the leader says: to a socket a frame or its end (nothing: the leader goes); to nobody: there is a new leader. */
export type Word = [socket?: number, what?: string | End];

interface Place {
  epoch?: string | undefined;
  offset?: number;
  id?: string | undefined;
}

interface Event {
  offset: number;
}

interface Command {
  channel?: string;
  since?: Place;
  last?: number;
}

interface Frame {
  type: string;
  id?: number | string;
  channel?: string | undefined;
  timestamp?: string;
  data?: Place & { recovered?: boolean; events?: Event[] };
}

type Answer = (frame: Frame) => void;

/** Sockets, each with the frames that wait while it is told what it missed. */
type Members = Map<number, Frame[] | null>;

const PAGE_MAX = 1000;

/**
 * The server of all tabs, with one connection to the real one.
 * @param key - the name of the line
 * @param whenGone - calls `run` once that tab has gone
 * @returns a function that ends it
 */
export function createLeader(connect: () => SocketConstructor, key: string, whenGone: (tab: number, run: () => void) => void): () => void {
  const line = new BroadcastChannel(key);
  let sockets: Members = new Map();
  let channels = new Map<string | undefined, Members>();
  let commands = new Map<number | string | undefined, Answer>();
  let connection: SocketLike | undefined;
  let greet: ((to: number) => void) | undefined;
  let lastId = 0;

  const tell = (...word: Word) => line.postMessage(word);
  const say = (to: number, frame: object) => tell(to, JSON.stringify(frame));

  function ask(type: string, data: object, answered: Answer): void {
    commands.set(++lastId, answered);
    connection!.send(JSON.stringify({ type, data, id: lastId }));
  }

  /** The connection has ended, or is not needed any more. */
  function end({ code, reason }: Partial<End> = {}): void {
    if (connection) {
      connection.onclose = connection.onmessage = null;
      connection.close(1000);
    }
    connection = greet = undefined;
    for (const [to] of sockets) tell(to, (code && { code, reason }) as End | undefined);
    sockets = new Map();
    channels = new Map();
    commands = new Map();
  }

  function receive({ data }: { data: string }): void {
    const frame = JSON.parse(data) as Frame;
    const { type, id, channel } = frame;
    const answered = commands.get(id);
    if (type === "session_init") {
      const ahead = Date.parse(frame.timestamp!) - Date.now();
      greet = (to) => say(to, { ...frame, timestamp: new Date(Date.now() + ahead) }); // the server's time now
      for (const [to] of sockets) greet(to);
    } else if (answered) {
      commands.delete(id);
      answered(frame);
    } else {
      for (const [to, held] of channels.get(channel) ?? sockets) held ? held.push(frame) : tell(to, data);
      if (type === "unsubscribed") channels.delete(channel);
    }
  }

  function subscribe(from: number, data: Command, answer: Answer): void {
    let { channel, since, last = 0 } = data;
    const shared = channels.get(channel);
    const members: Members = shared ?? new Map();
    const held: Frame[] | null = shared ? [] : null;
    channels.set(channel, members.set(from, held));
    ask("subscribe", data, (frame) => {
      if (frame.type === "error" && members.get(from) === held) unsubscribe(from, channel);
      // The first gets all from the server. Another one may have left meanwhile, or have asked again.
      if (!held || members.get(from) !== held) return answer(frame);

      // The connection has the channel already, and the answer says where it is. What was before comes from the history.
      held.length = 0;
      const { epoch, offset = 0 } = frame.data!;
      const start = since ? (since.epoch === epoch ? since.offset! : NaN) : Math.max(0, offset - last);

      function read(events: Event[], after?: number): void {
        if (after! < offset)
          return ask("history", { channel, since: { epoch, offset: after }, limit: Math.min(PAGE_MAX, offset - after!) }, ({ data: { events: page = [] } = {} }) =>
            read([...events, ...page], page.at(-1)?.offset),
          );
        const isWhole = after! >= offset && !(events[0]?.offset! > start + 1);
        if (since && !isWhole) {
          // Events are missing, so the tab begins where the connection is.
          events = [];
          since = undefined;
        }
        answer({ ...frame, data: { ...frame.data, ...(since ?? (events[0] && { offset: start })), recovered: !!since } });
        for (const each of [...events, ...held!]) say(from, each);
        if (members.get(from) === held) members.set(from, null);
      }
      read([], start);
    });
  }

  function unsubscribe(from: number, channel: string | undefined, answer: Answer = () => {}): void {
    const members = channels.get(channel);
    members?.delete(from);
    if (members?.size === 0) {
      channels.delete(channel);
      ask("unsubscribe", { channel }, answer);
    } else answer({ type: "unsubscribed", channel });
  }

  function leave(from: number): void {
    sockets.delete(from);
    for (const [channel] of channels) unsubscribe(from, channel);
    if (!sockets.size) end();
  }

  line.onmessage = ({ data: [from, text, tab, ...address] }: { data: Wish }) => {
    if (tab) {
      sockets.set(from, null);
      whenGone(tab, () => leave(from));
      greet?.(from);
      connection ??= Object.assign(new (connect())(...(address as [string])), { onmessage: receive, onclose: end, onerror() {} });
    } else if (!text) leave(from);
    else if (sockets.has(from)) {
      const { type, id, data } = JSON.parse(text);
      const answer = (frame: Frame) => say(from, { ...frame, id });
      if (type === "subscribe") subscribe(from, data, answer);
      else if (type === "unsubscribe") unsubscribe(from, data.channel, answer);
      else ask(type, data, answer);
    }
  };
  tell();
  return () => {
    end();
    line.close();
  };
}
