import type { BuiltInEvents, Carillon, ChannelState, ConnectionState, EventOf, Member } from "@carillon/client";
import { createContext, createElement, useCallback, useContext, useEffect, useMemo, useRef, useSyncExternalStore, type ReactNode } from "react";

const Context = createContext<Carillon<never> | null>(null);

/** Gives the hooks below it their client. Make the client outside of components, or in a `useState`. */
export function CarillonProvider<Events>({ client, children }: { client: Carillon<Events>; children?: ReactNode }): ReactNode {
  return createElement(Context.Provider, { value: client as unknown as Carillon<never> }, children);
}

/** The client of the nearest `CarillonProvider`. */
export function useCarillon<Events = BuiltInEvents>(): Carillon<Events> {
  const client = useContext(Context);
  if (!client) throw new Error("there is no <CarillonProvider client={…}> above this component");
  return client as unknown as Carillon<Events>;
}

/** The state of the connection. On a server: `idle`. */
export function useConnection(): ConnectionState {
  const client = useCarillon();
  return useSyncExternalStore(
    useCallback((changed) => client.onStateChange.subscribe(changed), [client]),
    () => client.state,
    () => "idle",
  );
}

/**
 * Listens to a channel while the component is there. The handler may be another function in each render.
 * @param name - `null`: no channel yet
 * @returns the state of the channel
 */
export function useChannel<Events = BuiltInEvents, Type extends (keyof Events & string) | "*" = "*">(
  name: string | null,
  type: Type,
  handler: (event: EventOf<Events, Type>) => void,
): ChannelState {
  const client = useCarillon<Events>();
  const latest = useRef(handler);
  useEffect(() => {
    latest.current = handler;
  });
  useEffect(() => {
    if (name !== null) return client.channel(name).on(type, (event) => latest.current(event));
    return undefined;
  }, [client, name, type]);
  return useSyncExternalStore(
    useCallback((changed) => (name === null ? () => {} : client.channel(name).onStateChange.subscribe(changed)), [client, name]),
    () => (name === null ? "idle" : client.channel(name).state),
    () => "idle",
  );
}

/** Options of `useEvents`. */
export interface UseEventsOptions<Events, Value> {
  /** Default: all types. */
  types?: (keyof Events & string)[];
  /** So many of the newest events come first. */
  last?: number;
  /** What an event makes of the value, which begins as `initial`. Default: a list of all events. */
  reduce?: (value: Value, event: EventOf<Events, "*">) => Value;
  /** The value before the first event. Default: an empty list. */
  initial?: Value;
}

/** The events of a channel, gathered into one value. It begins anew with another name, and with another client. */
export function useEvents<Events = BuiltInEvents, Value = EventOf<Events, "*">[]>(
  name: string | null,
  options: UseEventsOptions<Events, Value> = {},
): Value {
  const client = useCarillon<Events>();
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  const { subscribe, value } = useMemo(() => gather<Events, Value>(client, name, latest, options.initial), [client, name]);
  return useSyncExternalStore(subscribe, value, value);
}

/** A store of its own for each client and name: nothing of one user is ever shown to another. */
function gather<Events, Value>(
  client: Carillon<Events>,
  name: string | null,
  latest: { readonly current: UseEventsOptions<Events, Value> },
  initial: Value = [] as Value,
) {
  let value = initial;
  return {
    value: () => value,
    subscribe(changed: () => void): () => void {
      if (name === null) return () => {};
      const { last } = latest.current;
      value = initial; // a component that comes back gets its last events again
      return client.channel(name).on(
        "*",
        (event) => {
          const { types, reduce = append as never } = latest.current;
          if (types && !types.includes((event as { type: keyof Events & string }).type)) return;
          value = (reduce as NonNullable<typeof latest.current.reduce>)(value, event);
          changed();
        },
        last ? { last } : {},
      );
    },
  };
}

function append<E>(events: E[], event: E): E[] {
  return [...events, event];
}

const NOBODY: readonly Member[] = [];

/** Who is subscribed to the channel, kept current. */
export function usePresence(name: string | null): readonly Member[] {
  const client = useCarillon();
  return useSyncExternalStore(
    useCallback((changed) => (name === null ? () => {} : client.channel(name).presence().onChange.subscribe(changed)), [client, name]),
    () => (name === null ? NOBODY : client.channel(name).presence().members),
    () => NOBODY,
  );
}


