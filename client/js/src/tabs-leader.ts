import type { SocketConstructor, SocketLike } from "./env.js";

/** What the socket of a tab sends to the leader. */
export interface ToLeader {
  /** The socket, and its tab. */
  from: string;
  tab: string;
  open?: { url: string; protocols: string[] };
  frame?: string;
  close?: boolean;
}

/** What the leader sends to the socket of a tab: a frame of the server, or the end. */
export interface ToTab {
  to: string;
  frame?: string;
  close?: { code: number; reason: string };
}

interface LeaderLink {
  send(message: ToTab): void;
  /** Calls `run` once that tab has gone. */
  whenGone(tab: string, run: () => void): void;
}

interface Place {
  epoch?: string;
  offset?: number;
  id?: string;
}

/** A channel that some sockets have. `late`: a socket that is being told what it missed, and the frames that wait meanwhile. */
interface Shared {
  sockets: Set<string>;
  position: Place;
  /** Until the server has answered the first `subscribe`. */
  waiting: (() => void)[] | null;
  late: Map<string, string[]>;
}

type Frame = { type: string; id?: number; offset?: number; channel?: string; data?: Place & Record<string, unknown> };

/** The server of the other tabs, with one connection to the real one. */
export function createLeader(WebSocket: SocketConstructor, link: LeaderLink): { receive(message: ToLeader): void } {
  const sockets = new Map<string, string>(); // socket -> tab
  const channels = new Map<string, Shared>();
  const commands = new Map<number, (answer: Frame) => void>();
  let connection: SocketLike | null = null;
  let greeting: { frame: Frame & { timestamp?: string }; at: number } | null = null;
  let lastId = 0;

  const tell = (to: string, frame: object) => link.send({ to, frame: JSON.stringify(frame) });

  function ask(command: Frame, answered: (answer: Frame) => void): void {
    const id = ++lastId;
    commands.set(id, answered);
    connection?.send(JSON.stringify({ ...command, id }));
  }

  function greet(to: string): void {
    if (!greeting) return;
    const { frame, at } = greeting;
    tell(to, { ...frame, timestamp: new Date(Date.parse(frame.timestamp ?? "") + Date.now() - at).toISOString() });
  }

  function dial({ url, protocols }: { url: string; protocols: string[] }): void {
    const mine = (connection = new WebSocket(url, protocols));
    mine.onmessage = ({ data }: { data: string }) => receiveFrame(data);
    mine.onclose = ({ code, reason }: { code: number; reason: string }) => {
      const all = [...sockets.keys()];
      forget();
      for (const to of all) link.send({ to, close: { code, reason } });
    };
    mine.onerror = () => {};
  }

  function forget(): void {
    connection = greeting = null;
    for (const all of [sockets, channels, commands]) all.clear();
  }

  function receiveFrame(text: string): void {
    const frame = JSON.parse(text) as Frame;
    const answered = frame.id === undefined ? undefined : commands.get(frame.id);
    const shared = channels.get(frame.channel ?? "");
    if (frame.type === "session_init") {
      greeting = { frame, at: Date.now() };
      for (const to of sockets.keys()) greet(to);
    } else if (answered) {
      commands.delete(frame.id!);
      answered(frame);
    } else if (shared) {
      if (frame.type === "gap" || frame.type === "subscribed") shared.position = frame.data ?? {};
      else if (frame.offset !== undefined) Object.assign(shared.position, { offset: frame.offset, id: frame.id });
      for (const to of shared.sockets) {
        const held = shared.late.get(to);
        if (held) held.push(text);
        else link.send({ to, frame: text });
      }
      if (frame.type === "unsubscribed") channels.delete(frame.channel!);
    } else for (const to of sockets.keys()) link.send({ to, frame: text });
  }

  function subscribe(from: string, command: Frame): void {
    const name = command.data?.channel as string;
    const shared = channels.get(name);
    if (shared?.waiting) shared.waiting.push(() => subscribe(from, command));
    else if (shared) join(from, command, shared);
    else {
      const fresh: Shared = { sockets: new Set(), position: {}, waiting: [], late: new Map() };
      channels.set(name, fresh);
      ask(command, (answer) => {
        const waiting = fresh.waiting ?? [];
        fresh.waiting = null;
        if (answer.type === "subscribed") {
          fresh.position = { ...answer.data };
          fresh.sockets.add(from);
        } else channels.delete(name);
        tell(from, { ...answer, id: command.id });
        waiting.forEach((again) => again());
      });
    }
  }

  /** A further socket of a channel that the connection has. What it missed comes from the channel's history. */
  function join(from: string, command: Frame, shared: Shared): void {
    const { position } = shared;
    const name = command.data!.channel as string;
    const since = command.data!.since as Place | undefined;
    const last = command.data!.last as number | undefined;
    const answer = (data: object) => tell(from, { type: "subscribed", id: command.id, channel: name, data });
    const isNear = since && since.epoch === position.epoch && since.offset! <= position.offset!;
    shared.sockets.add(from);
    if (!(isNear && since.offset! < position.offset!) && !last) return answer({ ...position, recovered: Boolean(isNear) });

    const held: string[] = [];
    const until = position.offset ?? 0;
    shared.late.set(from, held);
    const { epoch } = position;
    const data = since ? { channel: name, since: { epoch, offset: since.offset }, limit: 1000 } : { channel: name, limit: last };
    ask({ type: "history", data }, (page) => {
      const events = ((page.data?.events ?? []) as { offset: number }[]).filter((event) => event.offset <= until);
      const whole = since ? page.type === "history" && since.offset! + events.length === until : events.length > 0;
      if (whole) answer({ epoch, offset: until - events.length, recovered: Boolean(since) });
      else answer({ ...position, recovered: false });
      if (whole) for (const event of events) tell(from, event);
      shared.late.delete(from);
      for (const frame of held) link.send({ to: from, frame });
    });
  }

  function unsubscribe(from: string, command: Frame): void {
    const name = command.data?.channel as string;
    const shared = channels.get(name);
    const answer = { type: "unsubscribed", id: command.id, channel: name };
    shared?.sockets.delete(from);
    if (!shared || shared.sockets.size > 0) return tell(from, answer);
    channels.delete(name);
    ask(command, () => tell(from, answer));
  }

  function leave(from: string): void {
    if (!sockets.delete(from)) return;
    for (const [channel, shared] of channels) if (shared.sockets.has(from)) unsubscribe(from, { type: "unsubscribe", data: { channel } });
    if (sockets.size > 0) return;
    const old = connection;
    forget();
    if (old) old.onclose = old.onmessage = null;
    old?.close(1000);
  }

  return {
    receive({ from, tab, open, frame, close }) {
      if (open && !sockets.has(from)) {
        sockets.set(from, tab);
        link.whenGone(tab, () => leave(from));
        if (connection) greet(from);
        else dial(open);
      } else if (close) leave(from);
      else if (frame !== undefined && connection) {
        const command = JSON.parse(frame) as Frame;
        if (command.type === "subscribe") subscribe(from, command);
        else if (command.type === "unsubscribe") unsubscribe(from, command);
        else ask(command, (answer) => tell(from, { ...answer, id: command.id }));
      }
    },
  };
}
