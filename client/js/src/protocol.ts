/**
 * The frames of Carillon's own protocol (docs/protocol.md, and docs/asyncapi.yaml of the server), and the answers of its
 * routes. All that goes over a line is here: the build shortens the names of other members.
 */

/** A place in a channel's history. `offset` grows by one with each event of an epoch. */
export interface Position {
  /** The history that the offset belongs to. */
  epoch: string;
  /** The number of the event in its epoch. */
  offset: number;
  /** Id of the event there, where the server has told it. */
  id?: string | undefined;
}

/** The three types that the server knows. Add yours as `Carillon<BuiltInEvents & Events>`: `Carillon<Events>` has those of `Events` alone. */
export interface BuiltInEvents {
  /** A message to show. */
  notification: { message: string; level?: "info" | "success" | "warning" | "error"; [member: string]: unknown };
  /** A line of a conversation. */
  chat_message: { conversation_id: string; sender_id: string; content: string; [member: string]: unknown };
  /** Something has another status. */
  status_update: { entity_type: string; entity_id: string; status: string; [member: string]: unknown };
}

/** One event of a channel, as a listener gets it. */
export interface ChannelEvent<Type extends string = string, Data = unknown> {
  /** What kind of event it is. */
  type: Type;
  /** The name of its channel. */
  channel: string;
  /** What was published. */
  data: Data;
  /** The same for everybody who gets the event. */
  id?: string;
  /** Of channels with history. */
  offset?: number;
  /** When the server took it, as ISO 8601. */
  timestamp: string;
  /** The verified user who published it. Absent: a backend did. */
  user?: string;
}

/** A user who is subscribed to a channel. `info` is the claim of that name. */
export interface Member {
  /** The `sub` of the token. */
  user: string;
  /** What the token says about the user. */
  info?: unknown;
}

/** The session that the server has given this connection. */
export interface SessionInfo {
  /** Its name at the server. */
  id: string;
  /** The `sub` of the token. */
  user: string;
  /** Milliseconds since 1970, by the server's clock. `null`: never. */
  expiresAt: number | null;
  /** The largest message in bytes, and the most channels. */
  limits: { message_bytes: number; channels: number };
}

export type CommandId = number;

/** The frames of the server that have a meaning of their own. All others are events. */
export type ServerFrame =
  | {
      type: "session_init";
      session_id: string;
      timestamp: string;
      data: { user: string; expires_at: string | null; ping_interval_s: number; limits: SessionInfo["limits"] };
    }
  | { type: "subscribed"; id?: CommandId; channel: string; data: Partial<Position> & { recovered: boolean } }
  | { type: "unsubscribed"; id?: CommandId; channel: string }
  | { type: "pong"; id?: CommandId }
  | { type: "published"; id?: CommandId; data: Partial<Position> & { id: string; duplicate?: boolean } }
  | { type: "refreshed"; id?: CommandId; data: { expires_at: string | null } }
  | { type: "history"; id?: CommandId; channel: string; data: HistoryPage }
  | { type: "presence"; id?: CommandId; channel: string; data: { members: Member[]; next: string | null; users: number; connections: number } }
  | { type: "join" | "leave"; channel: string; data: Member }
  | { type: "gap"; channel: string; data: Partial<Position> & { reason: string } }
  | { type: "warning"; data: { code: string; message: string } }
  | { type: "reconnect"; data: { reason: string; after_ms: number } }
  | { type: "error"; id?: CommandId; error: { code: string; message: string; channel?: string; reason?: string } };

/** The frames about a channel that are no answers. All others with a channel are events. */
export type ChannelFrame = Extract<ServerFrame, { type: "subscribed" | "unsubscribed" | "gap" | "join" | "leave" }>;

/** Past events of a channel. */
export interface HistoryPage<Event = ChannelEvent> {
  /** The history that the offsets belong to. */
  epoch?: string;
  /** The channel's newest offset. */
  offset?: number;
  /** Oldest first. */
  events: Event[];
  /** Whether there are further events in that direction. */
  more: boolean;
}

/** What the ticket route answers: `{"ticket"}`, `{"code","message"}` or `{"error":{"code","message","reason"}}`. */
export interface TicketAnswer extends Partial<TicketRefusal> {
  ticket?: string;
  error?: Partial<TicketRefusal>;
}

interface TicketRefusal {
  code: string;
  message: string;
  reason: string;
}

/** The position in a frame. `null`: the channel has no history. */
export function positionOf({ epoch, offset, id }: Partial<Position>): Position | null {
  return epoch ? { epoch, offset: offset!, id } : null;
}
