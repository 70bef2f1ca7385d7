import type { Rule } from "./faults.js";

/** A length of time with its unit, such as `"200ms"`, `"5s"`, `"2m"` or `"1h"`. */
export type Duration = string;

/** The line that `carillon dev --json` prints. */
export interface Facts {
  pid: number;
  version: string;
  /** Of the first endpoint, without a token. */
  ws_url: string;
  /** The internal listener. */
  api_url: string;
  api_key: string;
  console_url: string;
  /** Of the first user. */
  token: string;
  /** Signs tokens (HS256). */
  token_secret: string;
  users: { sub: string; token: string; url: string | null }[];
  endpoints: EndpointFacts[];
  /** Where tickets are given. It is there only with endpoints that take them. */
  tickets_url?: string;
}

/** How an endpoint takes a token or a ticket. A member is there only where it does. */
export interface EndpointFacts {
  path: string;
  preset: string;
  /** The names of the path are filled in. */
  ws_url: string;
  /** The query parameter for the token. */
  query?: string;
  /** The subprotocol beside which the token may come. */
  subprotocol?: string;
  /** The query parameter for a ticket, and what the ticket must be for. */
  ticket_query?: string;
  purpose?: string;
  resource?: string;
}

/** The body of an answer that is no success. */
export interface ErrorAnswer {
  error: { code: string; message: string };
}

/** What a token has beside its user. */
export interface TokenWish {
  /** Patterns of the channels that the user may use. All, when not given. */
  channels?: readonly (string | object)[];
  /** 30 days, when not given. */
  expires?: Duration;
  /** More claims. */
  claims?: object;
}

/** The answer of `POST /dev/v1/tokens`. */
export interface TokenAnswer {
  token: string;
  /** Of the first endpoint. The token is in it if the endpoint takes it in the query. */
  ws_url: string;
}

/** What a ticket has beside its user. */
export interface TicketWish extends TokenWish {
  purpose?: string;
  resource?: string;
}

/** The answer of `POST /dev/v1/tickets`. */
export interface TicketAnswer {
  ticket: string;
  /** Of the first endpoint that takes tickets for this purpose, with the ticket in it. */
  ws_url: string;
  /** Seconds. */
  expires_in: number;
}

/** What a line of the journal tells. */
export type JournalKind =
  | "connected"
  | "refused"
  | "subscribed"
  | "unsubscribed"
  | "closed"
  | "published"
  | "received"
  | "delivered"
  | "answered"
  | "sent"
  | "closing"
  | "rule"
  | "clock"
  | "broker"
  | "reset";

/** One thing that has happened. */
export interface JournalLine {
  /** Its number: they grow by one. */
  n: number;
  /** The server's time, RFC 3339. */
  at: string;
  /** `in`: a message of a client. `out`: one to a client. `sys`: all else. */
  dir: "in" | "out" | "sys";
  kind: JournalKind;
  session?: string;
  user?: string;
  channel?: string;
  /** Of a close frame, or of a refusal. */
  code?: number;
  text?: string;
  /** The rule that has acted. */
  rule?: string;
  /** A message, as JSON; text that is no JSON as a string. */
  frame?: unknown;
  /** In place of `frame`: the length of a binary message. */
  bytes?: number;
}

/** What a line must have. A member that is not given asks for nothing. */
export interface LineMatch {
  kind?: JournalKind | readonly JournalKind[];
  session?: string;
  user?: string;
  /** With `*` for any run of characters. */
  channel?: string;
  rule?: string;
  text?: string;
  code?: number;
  /** Each member of it must be in the frame, with this value. */
  frame?: unknown;
}

/** Which lines of the journal are read or followed. */
export interface JournalFilter {
  kinds?: readonly JournalKind[];
  session?: string;
  user?: string;
  /** With `*` for any run of characters. */
  channel?: string;
  /** Only lines after the one of this number. */
  after?: number;
  /** When there are no such lines yet: wait for the first, at most so long. */
  wait?: Duration;
}

/** How long, and for how much, is waited. */
export interface WaitOptions {
  /** So many lines. 1, when not given. */
  count?: number;
  /** 5 s, when not given. */
  timeout?: Duration;
  /** Only lines after the one of this number. */
  after?: number;
}

/** How `verify` compares. */
export interface VerifyOptions {
  /** The lines must come in the order of the list. */
  inOrder?: boolean;
  /** There must be no other lines of these kinds. */
  nothingElse?: readonly JournalKind[];
  /** Only lines after the one of this number. */
  after?: number;
}

/** A channel of a session. */
export interface SessionChannel {
  channel: string;
  subscribed: boolean;
  recovering: boolean;
  epoch?: string;
  offset?: number;
}

/** An open session. */
export interface Session {
  session_id: string;
  user: string;
  address: string;
  /** The path of its endpoint. */
  endpoint: string;
  connected_at: string | null;
  /** `null`: its token does not end. */
  expires_at: string | null;
  outbox_messages: number;
  outbox_bytes: number;
  channels: SessionChannel[];
}

/** An open session, with what it has sent and got last. */
export interface SessionDetails extends Session {
  last_in: JournalLine | null;
  last_out: JournalLine | null;
}

/** The clock, after an order. */
export interface ClockAnswer {
  now: string;
  frozen: boolean;
  rate: number;
  /** What has happened meanwhile, at most 1,000 lines. */
  fired: JournalLine[];
}

/** What the broker does. `lost` lasts for a moment, and is told as `up`. */
export type BrokerState = "up" | "down" | "slow";

/** What `reset` leaves as it is. */
export type Keep = "sessions" | "histories" | "rules" | "journal" | "clock";

/** A rule, with how many messages have matched all but its `nth`. */
export type SavedRule = Rule & { seen: number };

/** What the server remembers. Save it as JSON; `restore` takes it back, in another server too. */
export interface Snapshot {
  version: 1;
  clock?: { now: string; rate: number };
  channels?: { channel: string; epoch: string; offset: number; id: string; events: object[] }[];
  revocations?: { jti?: string; user?: string; issued_before_ms: number; until_ms: number }[];
  rules?: SavedRule[];
}

/** The answer of a publish: where the event is. */
export interface Published {
  id: string;
  /** On channels with history, as `offset`. */
  epoch?: string;
  offset?: number;
  /** The `event_id` was known already. */
  duplicate?: boolean;
}
