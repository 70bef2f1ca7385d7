import type { SocketConstructor, SocketLike } from "./env.js";
import { createLeader, type ToLeader, type ToTab } from "./tabs-leader.js";

/** Options of `tabs`. */
export interface TabsOptions {
  /** Tabs with the same name share a connection. Put the user into it where users may change: `"chat:" + userId`. Default `carillon`. */
  name?: string;
  /** What the connection is made with. Default: the global WebSocket. */
  WebSocket?: SocketConstructor;
}

/**
 * One connection for all tabs of a browser: `new Carillon({ url, getToken, env: { WebSocket: tabs() } })`.
 *
 * The tab that holds a Web Lock is the leader: it owns the connection. To the others it is a server that they reach by
 * a `BroadcastChannel`. When the leader goes, their connections break, and each comes back by the next leader with its
 * own positions. A browser without locks or broadcast channels gets one connection for each tab.
 */
export function tabs({ name = "carillon", WebSocket }: TabsOptions = {}): SocketConstructor {
  const connect = () => WebSocket ?? (globalThis.WebSocket as SocketConstructor);
  if (typeof BroadcastChannel === "undefined" || !globalThis.navigator?.locks) return connect();
  const tab = crypto.randomUUID();
  const line = new BroadcastChannel(`carillon:${name}`);
  const sockets = new Map<string, SharedSocket>();
  let leader: ReturnType<typeof createLeader> | null = null;

  /** A message to the leader, which may be this tab. Its own messages do not come back to a BroadcastChannel. */
  const post = (message: ToLeader) => (leader ? leader.receive(message) : line.postMessage(message));
  const receive = ({ to, ...message }: ToTab) => sockets.get(to)?.receive(message);

  line.onmessage = ({ data }: MessageEvent<ToTab | ToLeader | { leader: string }>) => {
    if ("to" in data) receive(data);
    else if ("from" in data) leader?.receive(data);
    else for (const socket of sockets.values()) socket.restart();
  };
  // Both locks are held as long as this page lives. The first shows its end to the leader.
  const forever = new Promise<never>(() => {});
  const held = new Promise<void>((resolve) => {
    void navigator.locks.request(`carillon:${name}:${tab}`, () => (resolve(), forever));
  });
  void navigator.locks.request(`carillon:${name}`, () => {
    leader = createLeader(connect(), {
      send: (message) => (sockets.has(message.to) ? queueMicrotask(() => receive(message)) : line.postMessage(message)),
      // The lock is free when the tab has gone.
      whenGone: (of, run) => of !== tab && void navigator.locks.request(`carillon:${name}:${of}`, run),
    });
    line.postMessage({ leader: tab });
    for (const socket of sockets.values()) socket.restart();
    return forever;
  });

  class SharedSocket implements SocketLike {
    readyState = 0;
    readonly bufferedAmount = 0;
    binaryType = "arraybuffer";
    onopen: ((event: never) => void) | null = null;
    onmessage: ((event: never) => void) | null = null;
    onclose: ((event: never) => void) | null = null;
    onerror: ((event: never) => void) | null = null;
    readonly #id = crypto.randomUUID();
    readonly #dial: { url: string; protocols: string[] };

    constructor(url: string, protocols: string[] = []) {
      this.#dial = { url, protocols };
      sockets.set(this.#id, this);
      this.restart();
    }

    /** There is a new leader. A socket that was open breaks; one that opens asks again. */
    restart(): void {
      // A tab that does not hold its lock yet would look as if it had gone.
      if (this.readyState === 0) void held.then(() => this.readyState === 0 && post({ from: this.#id, tab, open: this.#dial }));
      else this.receive({ close: { code: 1012, reason: "leader_gone" } });
    }

    receive({ frame, close }: Omit<ToTab, "to">): void {
      if (frame !== undefined) {
        if (this.readyState === 0) {
          this.readyState = 1;
          (this.onopen as (() => void) | null)?.();
        }
        (this.onmessage as ((event: { data: string }) => void) | null)?.({ data: frame });
      } else if (close) {
        this.readyState = 3;
        sockets.delete(this.#id);
        (this.onclose as ((event: object) => void) | null)?.(close);
      }
    }

    send(data: unknown): void {
      post({ from: this.#id, tab, frame: data as string });
    }

    close(): void {
      if (this.readyState === 3) return;
      this.readyState = 3;
      sockets.delete(this.#id);
      post({ from: this.#id, tab, close: true });
    }
  }
  return SharedSocket;
}
