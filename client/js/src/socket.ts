import type { Ending } from "./backoff.js";
import type { Change, ConnectionState, CredentialRequest, SocketData, Why } from "./connection.js";
import type { ChannelLink } from "./channel-link.js";
import { dial, hangUp, type SocketListener } from "./dial.js";
import type { SocketLike } from "./env.js";
import { asError, type CarillonError } from "./errors.js";
import type { Delays, Machine, MachineEvent } from "./machine-state.js";
import { idle, step } from "./machine.js";

/** How long the other side may take to close. */
const CLOSE_TIMEOUT_MS = 1000;

export interface ConnectionOptions {
  delays: Delays;
  /** Gives a credential. An error whose `retryable` is false ends the connection. */
  ask(request: CredentialRequest): Promise<string>;
  target(credential: string): [url: string, protocols: string[]];
  onChange(change: Change): void;
  onMessage: SocketListener["onmessage"];
  ping(): void;
  refresh(credential: string): void;
}

/** A connection that comes back by itself: the machine, with a real socket, clock and network. Its owner dispatches `opened`. */
export interface Connection {
  readonly state: ConnectionState;
  connect(): void;
  close(reason: "closed" | "signed_out"): void;
  /** `false`: there is no open socket, and nothing was sent. */
  send(data: SocketData): boolean;
  dispatch(event: MachineEvent): void;
}

/** `ws` waits half a minute for the answer to a close frame. Nobody may be there to give one. */
function leave(socket: SocketLike): void {
  hangUp(socket);
  if (socket.terminate) (setTimeout(() => socket.terminate!(), CLOSE_TIMEOUT_MS) as { unref?(): void }).unref?.();
}

export function createConnection({ env, report }: ChannelLink, options: ConnectionOptions): Connection {
  const queue: MachineEvent[] = [];
  let machine = idle;
  let busy = false;
  let socket: SocketLike | undefined;
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
        stopWatching = env.network.watch({
          online: (online) => dispatch({ type: "network", online }),
          woken: () => dispatch({ type: "woken" }),
        });
        queue.push(next); // after what the network has said at once
        continue;
      }
      const before = machine;
      const now = env.now();
      machine = step(machine, next, options.delays, env.random(), now - heardAt, machine.state === "open" ? now - openedAt : 0);
      follow(machine, before);
    }
    busy = false;
  }

  /** Does what the machine asks for. */
  function follow(m: Machine, before: Machine): void {
    if (m.problem && m.problem !== before.problem) report(m.problem.error);
    if (m.socket !== before.socket) {
      if (socket) leave(socket);
      socket = undefined;
      if (m.socket) open(m.socket.credential);
    }
    if (m.question !== before.question) {
      question?.abort();
      question = null;
      if (m.question) void ask(m.question);
    }
    if (m.wait !== before.wait) {
      env.clearTimeout(waiting);
      if (m.wait) waiting = env.setTimeout(() => dispatch({ type: "timeout" }), m.wait.ms);
      if (m.wait?.for === "pong") options.ping();
    }
    if (m.refresh !== before.refresh) {
      env.clearTimeout(refreshing);
      if (m.refresh) refreshing = env.setTimeout(() => dispatch({ type: "refresh" }), m.refresh.ms);
    }
    if (m.renewal && m.renewal !== before.renewal) options.refresh(m.renewal.credential);
    if (m.state === "open" && before.state !== "open") openedAt = env.now();
    if (m.state === "closed") {
      stopWatching?.();
      stopWatching = null;
    }
    if (m.change === before.change) return;
    if (m.state !== "closed") return options.onChange(m.change);
    options.onChange({ ...m.change, state: "closing" });
    options.onChange({ ...m.change, previous: "closing" });
  }

  async function ask(asked: { why: Why; refusal?: Ending }): Promise<void> {
    const mine = (question = new AbortController());
    try {
      const credential = await options.ask({ ...asked, signal: mine.signal });
      if (question === mine) dispatch({ type: "credential", credential });
    } catch (error) {
      if (question === mine) dispatch({ type: "no_credential", error: asError("no_credential", error) });
    }
  }

  function open(credential: string): void {
    const heard = () => (heardAt = env.now());
    try {
      socket = dial(env, options.target(credential), (ending) => dispatch({ type: "lost", ending }), {
        onopen: heard,
        onmessage(event) {
          heard();
          options.onMessage(event);
        },
      });
    } catch (error) {
      dispatch({ type: "no_credential", error: error as CarillonError });
    }
  }

  return {
    get state() {
      return machine.state;
    },
    connect: () => dispatch({ type: "connect" }),
    close: (reason) => dispatch({ type: "close", ending: { code: 1000, reason } }),
    send: (data) => socket?.readyState === 1 && (socket.send(data), true),
    dispatch,
  };
}
