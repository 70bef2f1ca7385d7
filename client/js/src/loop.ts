import { CarillonError } from "./errors.js";

/** How many events may wait for a loop. */
const BUFFERED_MAX = 1000;

interface Source {
  on(type: "*", listener: (event: unknown) => void): () => void;
}

/** The events of a channel, for `for await`. Each of `ends` ends a loop, once it has read the event at hand. */
export async function* loopOver(channel: Source, ends: Set<() => void>): AsyncGenerator<never> {
  const buffer: unknown[] = [];
  let wake = () => {};
  let ended = false;
  const end = () => {
    ended = true;
    wake();
  };
  ends.add(end);
  const off = channel.on("*", (event) => {
    buffer.push(event);
    wake();
  });
  try {
    while (!ended) {
      if (buffer.length > BUFFERED_MAX) throw new CarillonError("slow_reader", `${BUFFERED_MAX} events wait`);
      const next = buffer.shift();
      if (next) yield next as never;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    ends.delete(end);
    off();
  }
}
