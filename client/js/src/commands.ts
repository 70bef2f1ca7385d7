import type { PublishOptions, PublishResult } from "./channel-api.js";
import type { Change } from "./connection.js";
import type { Env } from "./env.js";
import { CarillonError, type ErrorDetails } from "./errors.js";
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
  /** Milliseconds, from the call on. Default 15 000; a publish that waits in the outbox has them from when it is sent. */
  timeoutMs?: number | undefined;
}

/**
 * What becomes of a publish while the connection is down. Until the client has been connected for the first time, each waits.
 * - `reject`: it fails with the error `offline`.
 * - `queue`: it waits. It gets an `event_id`, so that sending it twice publishes it once.
 * - `latest`: it waits, until a newer one of its channel and type takes its place.
 */
export type OutboxMode = "reject" | "queue" | "latest";

/** `take` gets the answer before any frame that follows it: a promise would be later. */
interface SendOptions<Type extends keyof Answers> extends CommandOptions {
  take?(answer: Answer<Type>): void;
}

/** The calls that have no answer yet: those that were sent, and those that wait for the connection. */
export interface Commands {
  /**
   * Sends a command once the connection is open. Rejects with a `CarillonError`: `offline` where a connection was lost,
   * `closed`, `timeout`, `aborted`, `too_large`, or what the server answered.
   */
  send<Type extends keyof Answers>(type: Type, data: Record<string, unknown>, options?: SendOptions<Type>): Promise<Answer<Type>>;
  publish(data: Record<string, unknown>, options: PublishOptions): Promise<PublishResult>;
  /** Gives an answer to its command, if that still waits. */
  settle(answer: AnswerFrame): void;
  /** The connection has changed: what waits is sent, or what is under way has failed. */
  follow(change: Change): void;
}

interface Call {
  data: Record<string, unknown>;
  /** Of the outbox: it outlives the connection. */
  kept: boolean;
  sent: boolean;
  write(): void;
  /** There is no connection. */
  fail(): void;
  end(outcome: AnswerFrame | CarillonError): void;
}

const TIMEOUT_MS = 15_000;
/** How many events of the outbox may be without an answer, so that a long one does not come at once: the server has a rate. */
const UNDER_WAY_MAX = 8;

/**
 * @param outboxMax - how many events the outbox keeps
 * @param most - the largest message in bytes, while the connection is open
 */
export function createCommands(env: Env, outbox: OutboxMode, outboxMax: number, isUp: () => boolean, write: (text: string) => boolean, most: () => number): Commands {
  const calls = new Map<CommandId | undefined, Call>();
  const keeps = outbox !== "reject";
  let lastId = 0;
  /** The error of a call that comes now. Nothing: it waits for the connection, or there is one. */
  let down: [code: string, message: string, details: ErrorDetails] | undefined;

  function flush(): void {
    let free = UNDER_WAY_MAX;
    if (isUp()) for (const call of calls.values()) if ((!call.kept || free-- > 0) && !call.sent) call.write();
  }

  function send<Type extends keyof Answers>(type: Type, data: Record<string, unknown>, { signal, timeoutMs, take }: SendOptions<Type> = {}, kept = false) {
    return new Promise<Answer<Type>>((resolve, reject) => {
      const id = ++lastId;
      const text = JSON.stringify({ type, id, data });
      let timer: unknown;
      const abort = () => call.end(new CarillonError("aborted", "aborted", { cause: signal!.reason }));
      const start = () => {
        env.clearTimeout(timer);
        timer = env.setTimeout(() => call.end(new CarillonError("timeout", `no answer to ${type}`, { retryable: true })), timeoutMs ?? TIMEOUT_MS);
      };
      const call: Call = {
        data,
        kept,
        sent: false,
        write() {
          // A character has three bytes at most.
          if (text.length * 3 > most() && new Blob([text]).size > most()) call.end(new CarillonError("too_large", `over ${most()} bytes`));
          else if ((call.sent = write(text)) && !timeoutMs) start();
        },
        fail() {
          if (!down) return;
          if (!kept || !down[2].retryable) call.end(new CarillonError(...down));
          else if (!timeoutMs) env.clearTimeout(timer);
        },
        end(outcome) {
          calls.delete(id);
          env.clearTimeout(timer);
          signal?.removeEventListener("abort", abort);
          if (outcome instanceof Error) return reject(Object.assign(outcome, { eventId: data.event_id }));
          take?.(outcome as Answer<Type>);
          resolve(outcome as Answer<Type>);
        },
      };
      calls.set(id, call);
      signal?.addEventListener("abort", abort);
      if (timeoutMs || !kept) start();
      if (signal?.aborted) abort();
      else if (!isUp()) call.fail();
      else if (kept) flush();
      else call.write();
    });
  }

  return {
    send,
    async publish(data, options) {
      if (keeps) {
        let free = outboxMax;
        for (const call of calls.values()) {
          if (outbox === "latest" && !call.sent && call.data.channel === data.channel && call.data.type === data.type)
            call.end(new CarillonError("superseded", "a newer event"));
          else if (call.kept) free--;
        }
        if (free < 1) throw new CarillonError("outbox_full", `${outboxMax} events wait`, { retryable: true });
        // `crypto.randomUUID` is not there on pages without TLS, nor in React Native.
        data = { ...data, event_id: data.event_id ?? Math.random().toString(36).slice(2) + Date.now() };
      }
      const { id, offset, duplicate = false } = (await send("publish", data, options, keeps)).data;
      return { id, offset, duplicate };
    },
    settle(answer) {
      calls.get(answer.id)?.end(answer.type === "error" ? errorOf(answer) : answer);
      flush();
    },
    follow({ state, previous, reason }) {
      if (state === "closing") down = ["closed", "closed", { reason }];
      else if (previous === "open") down = ["offline", "no connection", { retryable: true }];
      else if (state === "open" || state === "connecting") down = undefined;
      if (down)
        for (const call of calls.values()) {
          call.sent = false;
          call.fail();
        }
      flush();
    },
  };
}

export function errorOf({ error }: Extract<ServerFrame, { type: "error" }>): CarillonError {
  return new CarillonError(error.code, error.message, { reason: error.reason, retryable: /rate_limited|internal_error|unavailable/.test(error.code) });
}

