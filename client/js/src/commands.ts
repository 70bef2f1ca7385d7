import { onAbort } from "./emitter.js";
import { CarillonError, abortReason } from "./errors.js";
import type { Command, CommandId, ServerFrame } from "./protocol.js";

export type Answer = Extract<ServerFrame, { id?: CommandId }>;

/** Options of calls that the server answers. */
export interface CommandOptions {
  /** Gives the call up. */
  signal?: AbortSignal | undefined;
  /** Milliseconds. Default 15 000. */
  timeoutMs?: number | undefined;
}

/** `take` gets the answer before any frame that follows it: a promise would be later. */
export interface SendOptions<Type extends Answer["type"]> extends CommandOptions {
  take?(answer: Extract<Answer, { type: Type }>): void;
}

/** The commands that wait for their answers. */
export interface Commands {
  /** Sends a command. Rejects with a `CarillonError`: `offline`, `timeout`, or what the server answered. */
  send<Type extends Answer["type"]>(command: Command, answer: Type, options?: SendOptions<Type>): Promise<Extract<Answer, { type: Type }>>;
  /** Gives an answer to its command. `false`: no command waits for it. */
  settle(answer: Answer): boolean;
  /** The connection is down: nothing is answered any more. */
  failAll(): void;
}

interface Waiting {
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

export function createCommands(env: Timers, write: (text: string) => boolean): Commands {
  const waiting = new Map<CommandId, Waiting>();
  let lastId = 0;

  return {
    send(command, answer, { signal, timeoutMs = 15_000, take } = {}) {
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
        const forget = onAbort(signal, () => fail(signal && abortReason(signal)));
        const timer = env.setTimeout(() => fail(new CarillonError("timeout", `no answer to ${command.type} came in ${timeoutMs} ms`)), timeoutMs);
        waiting.set(id, {
          reject: fail,
          resolve(frame) {
            finish();
            if (frame.type === answer) {
              take?.(frame as Extract<Answer, { type: typeof answer }>);
              resolve(frame as Extract<Answer, { type: typeof answer }>);
            } else if (frame.type === "error") reject(errorOf(frame));
            else reject(new CarillonError("invalid_answer", `the answer to ${command.type} was ${frame.type}`));
          },
        });
        if (!write(JSON.stringify({ type: command.type, id, data: command.data }))) fail(offline());
      });
    },
    settle(answer) {
      const found = answer.id === undefined ? undefined : waiting.get(answer.id);
      found?.resolve(answer);
      return found !== undefined;
    },
    failAll() {
      for (const { reject } of [...waiting.values()]) reject(offline());
    },
  };
}

interface Timers {
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

export function offline(): CarillonError {
  return new CarillonError("offline", "the connection is down");
}

export function errorOf({ error }: Extract<ServerFrame, { type: "error" }>): CarillonError {
  return new CarillonError(error.code, error.message, { reason: error.reason });
}
