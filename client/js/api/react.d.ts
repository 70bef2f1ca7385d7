import type { BuiltInEvents, Carillon, ChannelState, ConnectionState, EventOf, Member } from "@carillon/client";
import { type ReactNode } from "react";
/** Gives the hooks below it their client. Make the client outside of components, or in a `useState`. */
export declare function CarillonProvider<Events>({ client, children }: {
    client: Carillon<Events>;
    children?: ReactNode;
}): ReactNode;
/** The client of the nearest `CarillonProvider`. */
export declare function useCarillon<Events = BuiltInEvents>(): Carillon<Events>;
/** The state of the connection. On a server: `idle`. */
export declare function useConnection(): ConnectionState;
/**
 * Listens to a channel while the component is there. The handler may be another function in each render.
 * @param name - `null`: no channel yet
 * @returns the state of the channel
 */
export declare function useChannel<Events = BuiltInEvents, Type extends (keyof Events & string) | "*" = "*">(name: string | null, type: Type, handler: (event: EventOf<Events, Type>) => void): ChannelState;
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
export declare function useEvents<Events = BuiltInEvents, Value = EventOf<Events, "*">[]>(name: string | null, options?: UseEventsOptions<Events, Value>): Value;
/** Who is subscribed to the channel, kept current. */
export declare function usePresence(name: string | null): readonly Member[];
