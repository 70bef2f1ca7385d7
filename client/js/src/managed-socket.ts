import { backoff, judge, type Ending } from "./backoff.js";
import { ASK_TIMEOUT_MS, CONNECT_TIMEOUT_MS, REFUSED_MAX, SETTLED_MS, type Change, type ConnectionState, type CredentialRequest } from "./connection.js";
import { dial, hangUp, sendOver } from "./dial.js";
import { createEmitter } from "./emitter.js";
import type { Env, SocketLike } from "./env.js";
import { CarillonError, finalReason, refusedAgain } from "./errors.js";
import type { ManagedSocket, SocketOptions } from "./managed-api.js";

/** Where a socket gets its tickets, and what it does with them. */
interface SocketLink {
  env: Env;
  /** Gives a ticket. An error whose `retryable` is false ends the socket. */
  ask(request: CredentialRequest): Promise<string>;
  target(ticket: string): string;
  /** The first ticket is there. */
  onTicket(socket: ManagedSocket): void;
  /** The socket has ended. */
  ended(error: unknown): void;
}

/**
 * A managed socket has one life: it connects until it is closed. Its rules are those of the machine of channels, without
 * what only tokens need (refreshes, pings, moves): pages with managed sockets alone do without the machine.
 */
export function createManagedSocket({ env, ask, target, onTicket, ended }: SocketLink, options: SocketOptions): ManagedSocket {
  const { reconnectDelay = 1000, maxReconnectDelay = 20_000, maxReconnectAttempts = 10, debug } = options;
  const onMessage = createEmitter<[MessageEvent]>();
  const onStateChange = createEmitter<[ConnectionState, Change]>();
  const onReconnecting = createEmitter<[number]>();
  const onError = createEmitter<[unknown]>();
  const changes: Change[] = [];
  let state: ConnectionState = "idle";
  let line: SocketLike | undefined;
  let openedAt = Infinity;
  /** Attempts that failed, and refusals, since the socket was open for a while. */
  let attempt = 0;
  let refusals = 0;
  let refused: string[] = [];
  let refusal: Ending | undefined;
  let problem: unknown;
  let online = true;
  /** For the next attempt: neither a question nor a socket is under way. */
  let waiting = false;
  let stop = (_dead: boolean) => {};

  const socket: ManagedSocket = {
    onMessage,
    onStateChange,
    onReconnecting,
    onError,
    get state() {
      return state;
    },
    get isOpen() {
      return state === "open";
    },
    get bufferedAmount() {
      return line?.bufferedAmount ?? 0;
    },
    send: (data) => sendOver(line, data),
    sendJson: (value) => sendOver(line, JSON.stringify(value)),
    close: () => end(1000, "closed"),
    destroy() {
      socket.close();
      for (const emitter of [onMessage, onStateChange, onReconnecting, onError]) emitter.removeAll();
    },
  };

  /** A listener may change the state again, which is told after this change. */
  function become(next: ConnectionState, more?: Partial<Change>): void {
    changes.push({ ...more, state: next, previous: state });
    state = next;
    if (changes.length > 1) return;
    for (let change; (change = changes[0]); changes.shift()) {
      if (debug) console.debug("carillon:", change);
      onStateChange.emit(change.state, change);
      if (change.attempt) onReconnecting.emit(change.attempt);
    }
  }

  /** A question, a socket or a delay takes the place of the one before. */
  function start(ms: number, over: () => void, cancel: (dead: boolean) => void): void {
    stop(true);
    const timer = env.setTimeout(over, ms);
    waiting = over === begin;
    stop = (dead) => {
      env.clearTimeout(timer);
      cancel(dead);
    };
  }

  async function begin(): Promise<void> {
    if (!online) return;
    const asking = new AbortController();
    const { signal } = asking;
    start(ASK_TIMEOUT_MS, timeOut, () => asking.abort());
    try {
      const ticket = await ask({ why: refusal ? "refused" : "connect", refusal, signal });
      if (refused.includes(ticket)) throw refusedAgain();
      if (!signal.aborted) open(ticket);
    } catch (error) {
      if (signal.aborted) return;
      report(error);
      const final = finalReason(error);
      if (final) end(1000, final);
      else retry({ code: 1006, reason: "no_credential", retryAfterMs: (error as { retryAfterMs?: number } | null)?.retryAfterMs });
    }
  }

  function open(ticket: string): void {
    onTicket(socket);
    try {
      const mine = (line = dial(env, [target(ticket)], {
        onMessage: onMessage.emit,
        onOpen() {
          openedAt = env.now();
          refusal = undefined;
          become("open");
        },
        onEnd(ending) {
          settle();
          const verdict = judge(ending);
          if (verdict === "final") return end(ending.code, ending.reason);
          if (verdict === "retry") return retry(ending);
          refused = [...refused, ticket].slice(-REFUSED_MAX);
          refusal = ending;
          // The first refusal may be of a ticket that was too old: another one is tried at once.
          retry(refusals++ ? ending : { ...ending, retryAfterMs: 0 });
        },
      }));
      start(CONNECT_TIMEOUT_MS, () => mine.readyState || timeOut(), (dead) => hangUp(mine, dead));
    } catch (error) {
      report(error);
      end(1002, "invalid_target");
    }
  }

  function report(error: unknown): void {
    problem = error;
    onError.emit(error);
  }

  /** The socket is not open any more. */
  function settle(): void {
    if (env.now() - openedAt >= SETTLED_MS) attempt = refusals = 0;
    openedAt = Infinity;
  }

  function timeOut(): void {
    retry({ code: 1006, reason: "timeout" });
  }

  function retry({ code, reason, retryAfterMs }: Ending): void {
    if (maxReconnectAttempts && attempt >= maxReconnectAttempts) return end(code, reason);
    attempt++;
    const retryInMs = retryAfterMs ?? backoff(attempt, reconnectDelay, maxReconnectDelay, env.random());
    start(retryInMs, begin, () => {});
    become("reconnecting", { code, reason, attempt, retryInMs });
  }

  function look(): void {
    if (waiting) void begin();
  }

  function end(code: number, reason: string): void {
    if (state === "closing" || state === "closed") return;
    stop(false);
    stopWatching();
    become("closing", { code, reason });
    become("closed", { code, reason });
    ended(problem ?? new CarillonError("closed", "it was closed", { reason }));
  }

  become("connecting");
  const stopWatching = env.network.watch({
    online(now) {
      online = now;
      if (now) return look();
      settle();
      stop(true);
      waiting = true;
      become("reconnecting", { code: 1006, reason: "offline" });
    },
    woken: look,
  });
  void begin();
  return socket;
}
