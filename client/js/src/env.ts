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
  /** Needed where there is no global WebSocket, as in Node 20: `new Carillon({ env: { WebSocket } })` with the one of `ws`. */
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

/** The events of browsers: `online`, `offline`, `pagehide`, `pageshow`, `visibilitychange` and `resume`. Elsewhere nothing is told. */
const browserNetwork: NetworkSource = {
  watch({ online, woken }) {
    const abort = new AbortController();
    const page = globalThis.document as Document | undefined;
    const listen = (target: Partial<EventTarget> | undefined, type: string, run: (event: Event) => void) =>
      target?.addEventListener?.(type, run, { signal: abort.signal });
    listen(globalThis, "online", () => online(true));
    listen(globalThis, "offline", () => online(false));
    // A page with an open connection is not kept for the way back, and a kept page gets nothing.
    listen(globalThis, "pagehide", (event) => (event as PageTransitionEvent).persisted && online(false));
    listen(globalThis, "pageshow", (event) => (event as PageTransitionEvent).persisted && online(true));
    listen(page, "visibilitychange", () => page?.visibilityState !== "hidden" && woken());
    listen(page, "resume", woken);
    if (globalThis.navigator?.onLine === false) online(false);
    return () => abort.abort();
  },
};

/** Globals are read when they are used, so that the package can be imported where they do not exist (a server renders a page). */
export function createEnv(given: Partial<Env> | undefined): Env {
  return {
    // The global one may come later than this client.
    get WebSocket() {
      return globalThis.WebSocket as SocketConstructor;
    },
    fetch: (input, init) => fetch(input, init),
    now: Date.now,
    setTimeout: (run, ms) => setTimeout(run, ms),
    clearTimeout: (timer) => clearTimeout(timer as number),
    random: Math.random,
    network: browserNetwork,
    ...given,
  };
}
