import type { Env, SocketLike } from "../src/env.js";

/** A clock, a network and sockets that a test moves by hand. */
export interface World {
  env: Env;
  /** All sockets that were opened, oldest first. */
  sockets: FakeSocket[];
  readonly now: number;
  /** How many timers run. */
  readonly timers: number;
  /** Lets time pass: timers fire in their order, and promises are settled between them. */
  pass(ms: number): Promise<void>;
  /** The machine sleeps: time passes, and no timer fires before the next `pass`. */
  sleep(ms: number): void;
  setOnline(online: boolean): void;
  wake(): void;
  readonly watchers: number;
}

export class FakeSocket implements SocketLike {
  readyState = 0;
  bufferedAmount = 0;
  binaryType = "blob";
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  readonly sent: string[] = [];
  readonly url: string;
  readonly protocols: string[];
  /** Of the client. */
  closedWith: number | undefined;

  constructor(url: string, protocols: string[] = []) {
    this.url = url;
    this.protocols = protocols;
  }

  send(data: unknown): void {
    if (this.readyState !== 1) throw new Error("not open");
    this.sent.push(String(data));
  }

  close(code?: number): void {
    this.readyState = 3;
    this.closedWith = code;
  }

  /** Whether the client still listens to it. */
  get isLive(): boolean {
    return this.readyState < 2;
  }

  // What the server does.
  open(): void {
    this.readyState = 1;
    (this.onopen as (() => void) | null)?.();
  }

  say(frame: unknown): void {
    (this.onmessage as ((event: { data: unknown }) => void) | null)?.({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
  }

  end(code: number, reason = ""): void {
    this.readyState = 3;
    (this.onclose as ((event: object) => void) | null)?.({ code, reason });
  }

  /** The commands of the client. */
  get commands(): { type: string; id: number; data: Record<string, unknown> }[] {
    return this.sent.map((text) => JSON.parse(text));
  }
}

export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

export function createWorld(random: () => number = () => 0.5): World {
  let now = 1_700_000_000_000;
  let lastTimer = 0;
  const timers = new Map<number, { at: number; run: () => void }>();
  const sockets: FakeSocket[] = [];
  const watchers = new Set<{ online(online: boolean): void; woken(): void }>();
  const env: Env = {
    WebSocket: class extends FakeSocket {
      constructor(url: string, protocols?: string[]) {
        super(url, protocols);
        sockets.push(this);
      }
    },
    fetch: () => Promise.reject(new Error("no network")),
    now: () => now,
    setTimeout(run, ms) {
      timers.set(++lastTimer, { at: now + ms, run });
      return lastTimer;
    },
    clearTimeout: (timer) => void timers.delete(timer as number),
    random,
    network: {
      watch(told) {
        watchers.add(told);
        return () => watchers.delete(told);
      },
    },
  };
  return {
    env,
    sockets,
    get now() {
      return now;
    },
    get timers() {
      return timers.size;
    },
    async pass(ms) {
      const end = now + ms;
      await settle();
      for (;;) {
        const next = [...timers].filter(([, { at }]) => at <= end).sort(([a, x], [b, y]) => x.at - y.at || a - b)[0];
        if (!next) break;
        timers.delete(next[0]);
        now = Math.max(now, next[1].at);
        next[1].run();
        await settle();
      }
      now = end;
    },
    sleep: (ms) => void (now += ms),
    setOnline: (online) => watchers.forEach((told) => told.online(online)),
    wake: () => watchers.forEach((told) => told.woken()),
    get watchers() {
      return watchers.size;
    },
  };
}
