/** The part of a WebSocket that is used. Browsers, workers, Node 22, Deno, Bun, React Native and the package `ws` have it. */
export interface SocketLike {
  /** As in a browser: 0 opens, 1 is open. */
  readonly readyState: number;
  /** Bytes that have not gone out yet. */
  readonly bufferedAmount: number;
  /** Set to `arraybuffer`. */
  binaryType: string;
  /** Set by the client. */
  onopen: ((event: never) => void) | null;
  /** Set by the client. */
  onmessage: ((event: never) => void) | null;
  /** Set by the client. */
  onclose: ((event: never) => void) | null;
  /** Set by the client. */
  onerror: ((event: never) => void) | null;
  /** Sends a message. */
  send(data: string | ArrayBuffer | ArrayBufferView<ArrayBuffer> | Blob): void;
  /** Begins the closing handshake. */
  close(code?: number, reason?: string): void;
  /** Of the package `ws`: ends a connection whose other side does not answer. */
  terminate?(): void;
}

/** A class like `WebSocket`. */
export type SocketConstructor = new (url: string, protocols?: string[]) => SocketLike;

/** What the surroundings say of the network and the page. Each function is called until `stop`. */
export interface NetworkSource {
  /** Starts telling. Returns `stop`. */
  watch(told: { online(online: boolean): void; woken(): void }): () => void;
}

/** All that this package takes from its surroundings. Each member has a default: the global of that name. */
export interface Env {
  /**
   * Needed where there is no global WebSocket, as in Node 20. In Node give that of the package `ws`, by `nodeWebSocket` of
   * `@carillon/client/node`: it sees why the server refuses a connection, as no global WebSocket does.
   */
  WebSocket: SocketConstructor;
  /** For tickets. */
  fetch: typeof fetch;
  /** Milliseconds since 1970. */
  now(): number;
  /** As the global one. */
  setTimeout(run: () => void, ms: number): unknown;
  /** As the global one. */
  clearTimeout(timer: unknown): void;
  /** From 0 to below 1. */
  random(): number;
  /** The events of the page, if there is one. */
  network: NetworkSource;
}

/** The events of browsers. Elsewhere nothing is told. */
const browserNetwork: NetworkSource = {
  watch({ online, woken }) {
    const abort = new AbortController();
    const events: Record<string, (event: PageTransitionEvent) => unknown> = {
      online: () => online(true),
      offline: () => online(false),
      // A page with an open connection is not kept for the way back, and a kept page gets nothing.
      pagehide: (event) => event.persisted && online(false),
      pageshow: (event) => event.persisted && online(true),
      visibilitychange: () => document.hidden || woken(),
      resume: woken,
    };
    // Those of the document pass here on their way to it.
    for (const type in events) globalThis.addEventListener?.(type, events[type] as EventListener, { capture: true, signal: abort.signal });
    if (globalThis.navigator?.onLine === false) online(false);
    return () => abort.abort();
  },
};

/**
 * Globals are read when they are used: this package is also imported where they do not exist (a server renders a page).
 * Those of a page must not be called as methods of another object: `(0, env.fetch)(…)`.
 */
export function createEnv(given: Partial<Env> | undefined): Env {
  return Object.assign(Object.create(globalThis), { random: Math.random, network: browserNetwork }, given);
}
