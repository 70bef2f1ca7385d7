import type { SocketConstructor, SocketLike } from "./env.js";
import { createLeader, type End, type Wish, type Word } from "./tabs-leader.js";

/** Options of `tabs`. */
export interface TabsOptions {
  /** Tabs with the same name share a connection. Put the user into it where users may change: `"chat:" + userId`. Default `carillon`. */
  name?: string;
  /** What the connection is made with. Default: the global WebSocket. */
  WebSocket?: SocketConstructor;
}

interface OwnSocket extends SocketLike {
  readyState: number;
  onopen: () => void;
  onmessage: (event: { data: string }) => void;
  onclose: (end: End) => void;
}

/**
 * One connection for all tabs of a browser: `new Carillon({ url, getToken, env: { WebSocket: tabs() } })`.
 *
 * The tab that holds a Web Lock is the leader: it owns the connection. To the others it is a server that they reach by
 * a `BroadcastChannel`. When the leader goes, their connections break, and each comes back by the next leader with its
 * own positions. A browser without locks or broadcast channels gets one connection for each tab. Managed sockets are each
 * tab's own.
 */
export function tabs({ name = "carillon", WebSocket }: TabsOptions = {}): SocketConstructor {
  const connect = () => WebSocket ?? (globalThis.WebSocket as SocketConstructor);
  if (!globalThis.BroadcastChannel || !globalThis.navigator?.locks) return connect();
  const key = `carillon:${name}`;
  const tab = Math.random();
  /** How each socket gets its frames and its end. Without either: there is a new leader, or this page has been away. */
  const sockets = new Map<number, (what?: string | End) => void>();
  /** A socket that was open breaks; one that opens asks again. */
  const restart = () => sockets.forEach((receive) => receive());
  /** Where this tab and the leader talk. It is there once the tab holds the lock that shows the leader that it is there. */
  let line: BroadcastChannel | undefined;
  /** Ends when this page goes to sleep or away. Its locks must be free then: a page that is kept may hold them for long. */
  let here: AbortController | undefined;
  const say = (...wish: Wish) => line?.postMessage(wish);

  function enter(): void {
    if (here) return;
    const { signal } = (here = new AbortController());
    const left = new Promise((resolve) => (signal.onabort = resolve));
    const lock = (of: string | number, run: () => unknown) => void navigator.locks.request(key + of, { signal }, run).catch(() => {});
    lock(tab, () => {
      line = new BroadcastChannel(key);
      line.onmessage = ({ data: [socket, what] }: MessageEvent<Word>) => (socket ? sockets.get(socket)?.(what) : restart());
      restart();
      lock("", () => left.then(createLeader(connect, key, lock)));
      return left;
    });
  }

  function leave(): void {
    here?.abort();
    line?.close();
    here = line = undefined;
    restart();
  }

  /** Called with `new`, as a WebSocket is. */
  function SharedSocket(url: string, protocols?: string[]): SocketLike {
    if (!protocols) return new (connect())(url); // a managed socket
    const id = Math.random();
    const end = (what: End) => {
      if (!sockets.delete(id)) return;
      socket.readyState = 3;
      say(id);
      socket.onclose(what);
    };
    const socket = { readyState: 0, send: (frame: string) => say(id, frame), close: end as () => void } as OwnSocket;

    function receive(what?: string | End): void {
      if ((what as End | undefined)?.code) end(what as End);
      else if (what) {
        if (!socket.readyState) {
          socket.readyState = 1;
          socket.onopen();
        }
        socket.onmessage({ data: what as string });
      } else if (socket.readyState) end({ code: 1012, reason: "leader_gone" });
      else say(id, "", tab, url, protocols!);
    }
    sockets.set(id, receive);
    receive();
    return socket;
  }

  for (const [type, run] of [["pageshow", enter], ["resume", enter], ["pagehide", leave], ["freeze", leave]] as const) globalThis.addEventListener?.(type, run, true);
  enter();
  return SharedSocket as unknown as SocketConstructor;
}
