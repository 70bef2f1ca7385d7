/** Listeners of one kind of event. */
export interface Emitter<A extends unknown[]> {
  /**
   * Adds a listener. The same function added twice is called twice. What it throws keeps nothing from the others: it becomes
   * a rejection that nobody handles (`unhandledrejection`), which browsers show in the console and which ends Node.
   * @param options.signal - removes the listener when it is aborted
   * @returns a function that removes the listener; a second call does nothing
   */
  subscribe(listener: (...args: A) => void, options?: { signal?: AbortSignal | undefined }): () => void;
}

/** The side of its owner. */
export interface EmitterSource<A extends unknown[]> extends Emitter<A> {
  emit(...args: A): void;
  removeAll(): void;
  readonly entries: { readonly size: number };
}

/** A function that calls `stop`, as the end of the signal does. */
export function until(signal: AbortSignal | undefined, stop: () => void): () => void {
  const end = () => {
    signal?.removeEventListener("abort", end);
    stop();
  };
  signal?.addEventListener("abort", end);
  if (signal?.aborted) end();
  return end;
}

export const createEmitter = <A extends unknown[]>(): EmitterSource<A> => {
  // Each subscription is an object of its own, so that the same function may be added twice.
  const entries = new Set<{ listener: (...args: A) => void; remove?: () => void }>();
  return {
    entries,
    subscribe(listener, { signal } = {}) {
      const entry: Parameters<typeof entries.add>[0] = { listener };
      entries.add(entry);
      return (entry.remove = until(signal, () => entries.delete(entry)));
    },
    emit(...args) {
      // A copy: listeners may come and go while the event is told. One that has been removed is not called.
      for (const entry of [...entries]) {
        if (!entries.has(entry)) continue;
        // What it throws does not keep the event from the others, and becomes a rejection that nobody handles.
        void (async () => entry.listener(...args))();
      }
    },
    removeAll() {
      for (const entry of entries) entry.remove!();
    },
  };
}
