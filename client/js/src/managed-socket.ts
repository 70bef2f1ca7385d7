import { backoff, judge, type Ending } from "./backoff.js";
import { ASK_TIMEOUT_MS, CONNECT_TIMEOUT_MS, REFUSED_MAX, SETTLED_MS, type Change, type ConnectionState, type CredentialRequest } from "./connection.js";
import { dial, hangUp } from "./dial.js";
import { createEmitter } from "./emitter.js";
import type { Env, SocketLike } from "./env.js";
import { CarillonError, finalReason, refusedAgain, type Thrown } from "./errors.js";
import type { ManagedSocket, SocketOptions } from "./managed-api.js";

/**
 * A managed socket has one life: it connects until it is closed. Its rules are those of the machine of channels, without
 * what only tokens need (refreshes, pings, moves): pages with managed sockets alone do without the machine.
 * @param sockets - those that are not closed
 * @param ask - gives the address with a fresh ticket; an error whose `retryable` is false ends the socket
 * @returns the socket, once the first ticket is there
 */
export const connectSocket = (
  env: Env,
  sockets: Set<ManagedSocket>,
  ask: (request: CredentialRequest) => Promise<string>,
  options: SocketOptions,
): Promise<ManagedSocket> => new Promise((onTicket, ended) => {
  const onMessage = createEmitter<[MessageEvent]>();
  const onStateChange = createEmitter<[ConnectionState, Change]>();
  const onReconnecting = createEmitter<[number]>();
  const onError = createEmitter<[unknown]>();
  let changes: Change[] = [];
  let line: SocketLike | undefined;
  /** Attempts that failed since the socket was open for a while. */
  let attempt = 0;
  let refused: readonly string[] = [];
  let refusal: Partial<CredentialRequest> = {};
  let online = true;
  let timer: unknown;
  /** Of the present attempt. Aborted: the next one has not begun. */
  let trying = new AbortController();

  const socket: ManagedSocket & { state: ConnectionState } = {
    onMessage,
    onStateChange,
    onReconnecting,
    onError,
    state: "connecting",
    get isOpen() {
      return line?.readyState === 1;
    },
    get bufferedAmount() {
      return line?.bufferedAmount ?? 0;
    },
    send: (data) => socket.isOpen && (line!.send(data), true),
    sendJson: (value) => socket.send(JSON.stringify(value)),
    close: () => end({ code: 1000, reason: "closed" }, "final"),
    destroy() {
      socket.close();
      onMessage.removeAll();
      onStateChange.removeAll();
      onReconnecting.removeAll();
      onError.removeAll();
    },
  };

  /** A listener may change the state again, which is told after this change. */
  function become(next: ConnectionState, more?: Partial<Change>): void {
    if (changes.push({ ...more, previous: socket.state, state: (socket.state = next) }) > 1) return;
    for (const change of changes) {
      if (options.debug) console.debug("carillon:", change);
      onStateChange.emit(change.state, change);
      if (change.attempt) onReconnecting.emit(change.attempt);
    }
    changes = [];
  }

  /** Runs in place of what was to run before. */
  function after(ms: number, run = () => end({ code: 1006, reason: "timeout" })): void {
    (0, env.clearTimeout)(timer);
    timer = (0, env.setTimeout)(run, ms);
  }

  const begin = async (): Promise<void> => {
    const { signal } = (trying = new AbortController());
    after(ASK_TIMEOUT_MS);
    try {
      const address = await ask({ why: "connect", ...refusal, signal });
      if (signal.aborted) return;
      if (refused.includes(address)) throw refusedAgain();
      onTicket(socket);
      after(CONNECT_TIMEOUT_MS);
      line = dial(env, [address], (ending) => {
        const verdict = judge(ending);
        if (verdict === "refused") {
          refused = [...refused, address].slice(-REFUSED_MAX);
          refusal = { why: "refused", refusal: ending };
        }
        end(ending, verdict);
      }, {
        onmessage: onMessage.emit,
        onopen() {
          after(SETTLED_MS, () => (attempt = 0));
          refusal = {};
          become("open");
        },
      });
    } catch (error) {
      if (signal.aborted) return;
      onError.emit(error);
      end({ code: 1006, reason: finalReason(error as Thrown) || "no_credential" }, "", error as Thrown);
    }
  }

  function halt(): void {
    (0, env.clearTimeout)(timer);
    trying.abort();
    if (line) hangUp(line);
  }

  /** The end of an attempt or of an open socket. */
  function end(ending: Ending, verdict?: string, error?: Thrown): void {
    if (!sockets.has(socket)) return;
    halt();
    if (verdict === "final" || finalReason(error) || (attempt && attempt === (options.maxReconnectAttempts ?? 10))) {
      sockets.delete(socket);
      stopWatching();
      become("closing", ending);
      become("closed", ending);
      return ended(error ?? new CarillonError("closed", "closed", { reason: ending.reason }));
    }
    // The first ticket that is refused may have been too old: another one is tried at once.
    const retryInMs = !attempt++ && verdict === "refused" ? 0 : ((error ?? ending).retryAfterMs ?? backoff(attempt, options.reconnectDelay ?? 1000, options.maxReconnectDelay ?? 20_000, env.random()));
    after(retryInMs, begin);
    become("reconnecting", { ...ending, attempt, retryInMs });
  }

  function look(): void {
    if (online && trying.signal.aborted) void begin();
  }

  const stopWatching = env.network.watch({
    online(now) {
      if ((online = now)) look();
      else {
        halt();
        become("reconnecting", { code: 1006, reason: "offline" });
      }
    },
    woken: look,
  });
  sockets.add(socket);
  if (online) void begin();
});
