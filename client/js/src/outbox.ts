import { offline, type Commands } from "./commands.js";
import type { PublishOptions, PublishResult } from "./channel-api.js";
import { onAbort } from "./emitter.js";
import { CarillonError, abortReason } from "./errors.js";

/**
 * What becomes of a publish while the connection is down.
 * - `reject`: it fails with the error `offline`.
 * - `queue`: it waits. It gets an `event_id`, so that sending it twice publishes it once.
 * - `latest`: it waits, until a newer one of its channel and type takes its place.
 */
export type OutboxMode = "reject" | "queue" | "latest";

interface Item {
  data: Record<string, unknown>;
  options: PublishOptions;
  /** Takes its signal's listener away. */
  forget(): void;
  done(result: PublishResult): void;
  fail(error: unknown): void;
}

export interface Outbox {
  publish(data: Record<string, unknown>, options: PublishOptions): Promise<PublishResult>;
  /** The connection is open: what waits is sent, in its order. */
  flush(): Promise<void>;
  clear(): void;
}

export function createOutbox(mode: OutboxMode, max: number, commands: Commands, isOpen: () => boolean): Outbox {
  let items: Item[] = [];
  let flushing = false;

  async function send(data: Item["data"], options: PublishOptions): Promise<PublishResult> {
    const { id, offset, duplicate = false } = (await commands.send("publish", data, options)).data;
    return { id, offset, duplicate };
  }

  function remove(item: Item): Item {
    item.forget();
    items = items.filter((other) => other !== item);
    return item;
  }

  async function flush(): Promise<void> {
    if (flushing) return;
    flushing = true;
    for (let item = items[0]; item && isOpen(); item = items[0]) {
      try {
        const result = await send(item.data, item.options);
        remove(item).done(result);
      } catch (error) {
        if ((error as CarillonError).code === "offline") break; // it is sent again, with the same event_id
        remove(item).fail(error);
      }
    }
    flushing = false;
  }

  return {
    async publish(data, options) {
      if (mode === "reject") return send(data, options);
      if (options.signal?.aborted) throw abortReason(options.signal);
      if (mode === "latest") {
        const older = items.slice(flushing ? 1 : 0).find((item) => item.data.channel === data.channel && item.data.type === data.type);
        if (older) remove(older).fail(new CarillonError("superseded", "there is a newer event"));
      }
      if (items.length >= max) throw new CarillonError("outbox_full", `${max} events wait`, { retryable: true });
      return new Promise((resolve, reject) => {
        const { signal } = options;
        const forget = onAbort(signal, () => remove(item).fail(abortReason(signal)));
        const item: Item = { data: { ...data, event_id: data.event_id ?? newId() }, options, forget, done: resolve, fail: reject };
        items.push(item);
        void flush();
      });
    },
    flush,
    clear() {
      for (const item of items) remove(item).fail(offline());
    },
  };
}

/** `crypto.randomUUID` is not there on pages without TLS, nor in React Native. */
function newId(): string {
  const part = () => Math.random().toString(36).slice(2);
  return part() + part();
}
