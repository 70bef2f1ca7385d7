/** The part of a WebSocket that is used. Browsers, workers, Node 22, Deno, Bun, React Native and the package `ws` have it. */
export interface SocketLike {
  readonly readyState: number;
  readonly bufferedAmount: number;
  binaryType: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string | ArrayBuffer | ArrayBufferView<ArrayBuffer> | Blob): void;
  close(code?: number, reason?: string): void;
}

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
  fetch: typeof fetch;
  /** Milliseconds since 1970. */
  now(): number;
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
  /** From 0 to below 1. */
  random(): number;
  network: NetworkSource;
}

/** The events of browsers: `online`, `offline`, `visibilitychange`, `pageshow` and `resume`. Elsewhere nothing is told. */
const browserNetwork: NetworkSource = {
  watch(told) {
    const stops: (() => void)[] = [];
    const listen = (target: EventTarget | undefined, type: string, run: (event: Event) => void) => {
      target?.addEventListener(type, run);
      stops.push(() => target?.removeEventListener(type, run));
    };
    const page = globalThis.document as Document | undefined;
    const target = typeof globalThis.addEventListener === "function" ? globalThis : undefined;
    listen(target, "online", () => told.online(true));
    listen(target, "offline", () => told.online(false));
    listen(target, "pageshow", (event) => (event as PageTransitionEvent).persisted && told.woken());
    listen(page, "visibilitychange", () => page?.visibilityState !== "hidden" && told.woken());
    listen(page, "resume", () => told.woken());
    if (globalThis.navigator?.onLine === false) told.online(false);
    return () => stops.forEach((stop) => stop());
  },
};

/** Globals are read when they are used, so that the package can be imported where they do not exist (a server renders a page). */
export function createEnv(given: Partial<Env> = {}): Env {
  return {
    get WebSocket() {
      const found = given.WebSocket ?? (globalThis.WebSocket as SocketConstructor | undefined);
      if (!found) throw new TypeError("there is no global WebSocket here: give one, as { env: { WebSocket } }");
      return found;
    },
    fetch: given.fetch ?? ((input, init) => globalThis.fetch(input, init)),
    now: given.now ?? (() => Date.now()),
    setTimeout: given.setTimeout ?? ((run, ms) => globalThis.setTimeout(run, ms)),
    clearTimeout: given.clearTimeout ?? ((timer) => globalThis.clearTimeout(timer as ReturnType<typeof setTimeout>)),
    random: given.random ?? (() => Math.random()),
    network: given.network ?? browserNetwork,
  };
}
