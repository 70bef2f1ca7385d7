import type { Ending } from "./backoff.js";
import type { Env, SocketLike } from "./env.js";
import type { CarillonError } from "./errors.js";
import { idle, step, type Change, type ConnectionState, type Machine, type MachineEvent, type Profile, type Why } from "./machine.js";

/** What `getToken` and `getTicket` are called with. */
export interface CredentialRequest {
  /** `connect`: for a new connection. `refresh`: the present one ends soon. `refused`: the server did not take the last one. */
  why: Why;
  /** Of `refused`: what the server said. */
  refusal?: Ending | undefined;
  /** Aborted when the answer is not needed any more. */
  signal: AbortSignal;
}

export interface ConnectionOptions {
  env: Env;
  profile: Profile;
  /** Gives a credential. An error whose `retryable` is false ends the connection. */
  ask(request: CredentialRequest): Promise<string>;
  target(credential: string): { url: string; protocols?: string[] };
  /** Whether an open socket is a ready connection. Otherwise the owner dispatches `opened`. */
  readyOnOpen: boolean;
  onChange(change: Change): void;
  onMessage(event: MessageEvent): void;
  onError(error: unknown): void;
  ping?(): void;
  refresh?(credential: string): void;
}

/** A connection that comes back by itself: the machine, with a real socket, clock and network. */
export interface Connection {
  readonly state: ConnectionState;
  readonly bufferedAmount: number;
  connect(): void;
  close(reason?: "closed" | "signed_out"): void;
  /** `false`: there is no open socket, and nothing was sent. */
  send(data: Parameters<SocketLike["send"]>[0]): boolean;
  dispatch(event: MachineEvent): void;
}

/** Set by the build: see machine.ts. */
declare const WITH_CHANNELS: boolean;
const OPEN = 1;

export function createConnection(options: ConnectionOptions): Connection {
  const { env } = options;
  const queue: MachineEvent[] = [];
  let machine = idle;
  let busy = false;
  let socket: SocketLike | null = null;
  let heardAt = 0;
  let openedAt = 0;
  let question: AbortController | null = null;
  let waiting: unknown;
  let refreshing: unknown;
  let stopWatching: (() => void) | null = null;

  // A listener may close the connection while it is told of a change, so events wait for their turn.
  function dispatch(event: MachineEvent): void {
    queue.push(event);
    if (busy) return;
    busy = true;
    for (let next = queue.shift(); next; next = queue.shift()) {
      if (next.type === "connect" && !stopWatching) {
        watch();
        queue.push(next); // after what the network has said at once
        continue;
      }
      const before = machine;
      const now = env.now();
      machine = step(machine, next, options.profile, {
        random: env.random(),
        quietMs: now - heardAt,
        openMs: machine.state === "open" ? now - openedAt : 0,
      });
      follow(machine, before);
    }
    busy = false;
  }

  function watch(): void {
    stopWatching = env.network.watch({
      online: (online) => dispatch({ type: "network", online }),
      woken: () => dispatch({ type: "woken" }),
    });
  }

  /** Does what the machine asks for. */
  function follow(m: Machine, before: Machine): void {
    if (m.problem && m.problem !== before.problem) options.onError(m.problem.error);
    if (m.change !== before.change && m.state === "closed") options.onChange({ ...m.change, state: "closing" });
    if (m.socket !== before.socket) {
      hangUp(m.state === "reconnecting");
      if (m.socket) dial(m.socket.credential);
    }
    if (m.question !== before.question) {
      question?.abort();
      question = null;
      if (m.question) void ask(m.question);
    }
    if (m.wait !== before.wait) {
      env.clearTimeout(waiting);
      if (m.wait) waiting = env.setTimeout(() => dispatch({ type: "time_over" }), m.wait.ms);
      if (WITH_CHANNELS && m.wait?.for === "pong") options.ping?.();
    }
    if (WITH_CHANNELS) {
      if (m.refresh !== before.refresh) {
        env.clearTimeout(refreshing);
        if (m.refresh) refreshing = env.setTimeout(() => dispatch({ type: "refresh_due" }), m.refresh.ms);
      }
      if (m.renewal && m.renewal !== before.renewal) options.refresh?.(m.renewal.credential);
    }
    if (m.state === "open" && before.state !== "open") openedAt = env.now();
    if (m.state === "closed") {
      stopWatching?.();
      stopWatching = null;
    }
    if (m.change !== before.change) options.onChange(m.state === "closed" ? { ...m.change, previous: "closing" } : m.change);
  }

  async function ask(asked: { why: Why; refusal?: Ending }): Promise<void> {
    const mine = (question = new AbortController());
    try {
      const credential = await options.ask({ ...asked, signal: mine.signal });
      if (question === mine) dispatch({ type: "credential", credential });
    } catch (error) {
      const { retryable, code, reason, retryAfterMs } = (error ?? {}) as Partial<CarillonError>;
      if (question === mine) dispatch({ type: "credential_failed", error, end: retryable === false ? (reason ?? code) : undefined, retryAfterMs });
    }
  }

  function dial(credential: string): void {
    let status: number | undefined;
    try {
      const { url, protocols } = options.target(credential);
      socket = new env.WebSocket(url, protocols);
    } catch (error) {
      options.onError(error);
      return dispatch({ type: "lost", ending: { code: 1002, reason: "invalid_target" } });
    }
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      heardAt = env.now();
      if (options.readyOnOpen) dispatch({ type: "opened" });
    };
    socket.onmessage = (event: MessageEvent) => {
      heardAt = env.now();
      options.onMessage(event);
    };
    // The package `ws` tells the status of a refused upgrade in its message alone.
    socket.onerror = (event: { message?: string }) => {
      status = Number(/ (\d{3})$/.exec(event.message ?? "")?.[1]) || undefined;
    };
    socket.onclose = ({ code, reason }: CloseEvent) => dispatch({ type: "lost", ending: { code, reason, status } });
  }

  /** `dead`: nobody may be there to answer a close frame, so `ws` is not to wait for one. */
  function hangUp(dead: boolean): void {
    const old = socket;
    socket = null;
    if (!old) return;
    old.onopen = old.onmessage = old.onclose = null;
    old.onerror = () => {}; // `ws` calls the end of a socket that has not opened an error
    if (dead && old.terminate) old.terminate();
    else old.close(1000);
  }

  return {
    get state() {
      return machine.state;
    },
    get bufferedAmount() {
      return socket?.bufferedAmount ?? 0;
    },
    connect: () => dispatch({ type: "connect" }),
    close: (reason = "closed") => dispatch({ type: "close", reason }),
    send(data) {
      if (socket?.readyState !== OPEN) return false;
      socket.send(data);
      return true;
    },
    dispatch,
  };
}
