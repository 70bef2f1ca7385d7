import type { BuiltInEvents, Carillon, ChannelState, ConnectionState, EventOf, Member } from "@carillon/client";
import { createContext, createElement, useCallback, useContext, useEffect, useRef, useState, useSyncExternalStore, type ReactNode } from "react";

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

/** The events of a channel, gathered into one value. It begins anew with another name. */
export function useEvents<Events = BuiltInEvents, Value = EventOf<Events, "*">[]>(
  name: string | null,
  options: UseEventsOptions<Events, Value> = {},
): Value {
  const client = useCarillon<Events>();
  const latest = useRef(options);
  const [state, setState] = useState<{ name: string | null; value: Value }>(() => ({ name, value: first(options) }));
  useEffect(() => {
    latest.current = options;
  });
  useEffect(() => {
    if (name === null) return undefined;
    setState({ name, value: first(latest.current) });
    const { last } = latest.current;
    const listener = (event: EventOf<Events, "*">) => {
      const { types, reduce = append as never } = latest.current;
      if (types && !types.includes((event as { type: keyof Events & string }).type)) return;
      setState((before) => ({ name, value: (reduce as NonNullable<typeof options.reduce>)(before.value, event) }));
    };
    return client.channel(name).on("*", listener, last ? { last } : {});
  }, [client, name]);
  return state.name === name ? state.value : first(options);
}

function first<Events, Value>({ initial }: UseEventsOptions<Events, Value>): Value {
  return initial ?? ([] as unknown as Value);
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


