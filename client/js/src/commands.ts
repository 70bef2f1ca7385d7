import { onAbort } from "./emitter.js";
import { CarillonError, abortReason } from "./errors.js";
import type { CommandId, ServerFrame } from "./protocol.js";

/** The commands to the server, and the frame that answers each. */
interface Answers {
  subscribe: "subscribed";
  unsubscribe: "unsubscribed";
  ping: "pong";
  publish: "published";
  history: "history";
  presence: "presence";
  refresh: "refreshed";
}

type Answer<Type extends keyof Answers> = Extract<ServerFrame, { type: Answers[Type] }>;

/** A frame that may be an answer: it has the `id` of a command. */
export type AnswerFrame = Extract<ServerFrame, { id?: CommandId }>;

/** Options of calls that the server answers. */
export interface CommandOptions {
  /** Gives the call up. */
  signal?: AbortSignal | undefined;
  /** Milliseconds. Default 15 000. */
  timeoutMs?: number | undefined;
}

/** `take` gets the answer before any frame that follows it: a promise would be later. */
interface SendOptions<Type extends keyof Answers> extends CommandOptions {
  take?(answer: Answer<Type>): void;
}

/** The commands that wait for their answers. */
export interface Commands {
  /** Sends a command. Rejects with a `CarillonError`: `offline`, `timeout`, or what the server answered. */
  send<Type extends keyof Answers>(type: Type, data: Record<string, unknown>, options?: SendOptions<Type>): Promise<Answer<Type>>;
  /** Gives an answer to its command, if that still waits. */
  settle(answer: AnswerFrame): void;
  /** The connection is down: nothing is answered any more. */
  failAll(): void;
}

/** Gets the answer. Without one: the connection is down. */
type Waiting = (answer?: AnswerFrame) => void;

interface Timers {
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

export function createCommands(env: Timers, write: (text: string) => boolean): Commands {
  const waiting = new Map<CommandId | undefined, Waiting>();
  let lastId = 0;

  return {
    send(type, data, { signal, timeoutMs = 15_000, take } = {}) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(abortReason(signal));
        const id = ++lastId;
        const finish = () => {
          waiting.delete(id);
          env.clearTimeout(timer);
          forget();
        };
        const fail = (error: unknown) => {
          finish();
          reject(error);
        };
        const forget = onAbort(signal, () => fail(abortReason(signal)));
        const timer = env.setTimeout(() => fail(new CarillonError("timeout", `no answer to ${type}`, { retryable: true })), timeoutMs);
        waiting.set(id, (frame) => {
          if (!frame) return fail(offline());
          if (frame.type === "error") return fail(errorOf(frame));
          finish();
          take?.(frame as Answer<typeof type>);
          resolve(frame as Answer<typeof type>);
        });
        if (!write(JSON.stringify({ type, id, data }))) fail(offline());
      });
    },
    settle: (answer) => waiting.get(answer.id)?.(answer),
    failAll: () => waiting.forEach((fail) => fail()),
  };
}

const RETRYABLE = ["rate_limited", "internal_error", "unavailable"];

export function offline(): CarillonError {
  return new CarillonError("offline", "there is no connection", { retryable: true });
}

export function errorOf({ error }: Extract<ServerFrame, { type: "error" }>): CarillonError {
  return new CarillonError(error.code, error.message, { reason: error.reason, retryable: RETRYABLE.includes(error.code) });
}
