import type { SocketConstructor, SocketLike } from "./env.js";
import { createLeader, type End, type Leader, type Tell } from "./tabs-leader.js";

/** Options of `tabs`. */
export interface TabsOptions {
  /** Tabs with the same name share a connection. Put the user into it where users may change: `"chat:" + userId`. Default `carillon`. */
  name?: string;
  /** What the connection is made with. Default: the global WebSocket. */
  WebSocket?: SocketConstructor;
}

interface OwnSocket extends SocketLike {
  readyState: number;
  onopen: (() => void) | null;
  onmessage: ((event: { data: string }) => void) | null;
  onclose: ((end: End) => void) | null;
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
  const key = `carillon:${name}`;
  const tab = crypto.randomUUID();
  /** How each socket gets its frames and its end. Without either: there is a new leader, or this page has been away. */
  const sockets = new Map<string, (what?: string | End) => void>();
  let line: BroadcastChannel;
  let leader: Leader | null = null;
  /** Ends when this page goes to sleep or away. Its locks must be free then: a page that is kept may hold them for long. */
  let here: AbortController | null = null;
  /** This tab holds the lock that shows the leader that it is there. */
  let seen: Promise<void>;

  /** The leader may be this tab. Its own messages do not come back to a BroadcastChannel. */
  const wish: Leader["receive"] = (...message) => (leader ? leader.receive(...message) : here && line.postMessage(message));
  const tell: Tell = (to, what) => (sockets.has(to) ? queueMicrotask(() => sockets.get(to)?.(what)) : line.postMessage([to, "", what]));
  /** A socket that was open breaks; one that opens asks again. */
  const restart = () => sockets.forEach((receive) => receive());

  function enter(): void {
    if (here) return;
    const { signal } = (here = new AbortController());
    const left = new Promise((resolve) => (signal.onabort = resolve));
    const lock = (of: string, run: () => unknown) => void navigator.locks.request(key + of, { signal }, run).catch(() => {});
    line = new BroadcastChannel(key);
    line.onmessage = ({ data: [socket, from, what] }) => {
      if (from) leader?.receive(socket, from, what);
      else if (socket) sockets.get(socket)?.(what);
      else restart();
    };
    seen = new Promise((resolve) => lock(tab, () => (resolve(), left)));
    lock("", () => {
      leader = createLeader(connect(), tell, (of, run) => of !== tab && lock(of, run));
      line.postMessage([]);
      restart();
      return left;
    });
    restart();
  }

  function leave(): void {
    here?.abort();
    here = null;
    leader?.resign();
    leader = null;
    line.close();
    restart();
  }

  /** Called with `new`, as a WebSocket is. */
  function SharedSocket(url: string, protocols: string[] = []): SocketLike {
    const id = crypto.randomUUID();
    const socket = {
      readyState: 0,
      bufferedAmount: 0,
      send: (frame: string) => wish(id, tab, frame),
      close() {
        if (!sockets.delete(id)) return;
        socket.readyState = 3;
        wish(id, tab, null);
      },
    } as OwnSocket;

    function receive(what?: string | End): void {
      // A tab that does not hold its lock yet would look as if it had gone.
      if (!what && !socket.readyState) void seen.then(() => socket.readyState || wish(id, tab, [url, protocols]));
      else if (typeof what === "string") {
        if (!socket.readyState) {
          socket.readyState = 1;
          socket.onopen?.();
        }
        socket.onmessage?.({ data: what });
      } else {
        socket.readyState = 3;
        sockets.delete(id);
        socket.onclose?.(what ?? { code: 1012, reason: "leader_gone" });
      }
    }
    sockets.set(id, receive);
    receive();
    return socket;
  }

  for (const [target, comes, goes] of [[globalThis, "pageshow", "pagehide"], [globalThis.document, "resume", "freeze"]] as const) {
    target?.addEventListener?.(comes, enter);
    target?.addEventListener?.(goes, leave);
  }
  enter();
  return SharedSocket as unknown as SocketConstructor;
}
