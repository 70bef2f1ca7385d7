import type { Api } from "./api.js";
import type { Duration } from "./types.js";

/** A length of time, at most 24 hours. 0: none. */
export type Time = Duration | 0;

/** The members of each action. A rule has them beside `do`; a call has them as its argument. */
export interface ActionMembers {
  close: { code?: number; reason?: string };
  reset: object;
  half_close: object;
  freeze: { for?: Time; side?: "read" | "write" | "both" };
  throttle: { bytes_per_s: number };
  delay: { by: Time; jitter?: Time };
  drop: object;
  duplicate: { n?: number };
  reorder: { window?: number; for?: Time };
  corrupt: object;
  truncate: { bytes: number };
  fragment: { bytes: number };
  replace: { frame: unknown };
  inject: { frame: unknown };
  gap: { reason: GapReason; channel?: string };
  lose_history: { channel?: string };
  expire: { warn?: boolean };
  reconnect: { after_ms?: number };
  lose_answer: object;
  error: { code?: string };
  refuse: { reason?: string; status?: number; code?: number; retry_after?: Time };
  slow_handshake: { by: Time };
}

/** Why events may be missing. */
export type GapReason = "epoch_changed" | "offset_regressed" | "history_too_short" | "history_unavailable" | "history_changed" | "connection_lost";

/** What is done to connections and messages, such as `{ do: "delay", by: "200ms" }`. docs/testing.md describes each. */
export type Action = { [Name in keyof ActionMembers]: { do: Name } & ActionMembers[Name] }[keyof ActionMembers];

/** Whom an order is about. */
export type On = { session: string } | { user: string } | { channel: string } | { all: true };

/** The answer of `POST /dev/v1/do`. */
export interface Done {
  /** So many sessions. */
  count: number;
  /** The rules that wait for the next message of each session. */
  rules?: string[];
}

/** Which messages and connections a rule is about. A member that is not given asks for nothing. */
export interface RuleMatch {
  /** `out`: messages to clients. `in`: messages of clients. `connect`: clients that get their session next. */
  at?: "out" | "in" | "connect";
  type?: string;
  /** With `*` for any run of characters. */
  channel?: string;
  user?: string;
  session?: string;
  /** Each member of it must be in the message's `data`, with this value. */
  data?: unknown;
  /** From the nth message on that matches all else. */
  nth?: number;
}

/** A rule to add. */
export interface NewRule {
  match?: RuleMatch;
  action: Action;
  /** So often it acts. Without it: always, or once with `nth`. */
  times?: number;
  comment?: string;
}

/** A rule of the server. */
export interface Rule extends NewRule {
  id: string;
  /** So often it has acted. */
  hits: number;
}

/** The rules, in order: the first one that matches acts. */
export interface Rules {
  /** Adds a rule behind the others. */
  add(rule: NewRule): Promise<Rule>;
  /** All rules, with their hits. */
  list(): Promise<Rule[]>;
  /** One rule, with its hits. */
  get(id: string): Promise<Rule>;
  /** Removes one rule. */
  remove(rule: string | { id: string }): Promise<void>;
  /** Removes all rules. */
  clear(): Promise<void>;
}

/** Faults at once, for the sessions of a user, a channel, or all. Each resolves with the count of sessions. */
export interface Target {
  /** Any action. Each of the others is one of these. */
  do(action: Action): Promise<Done>;
  /** A close frame. With a reason of docs/protocol.md and no code, the session ends as the server would end it. */
  close(how?: ActionMembers["close"]): Promise<Done>;
  /** A TCP reset. */
  reset(): Promise<Done>;
  /** The server ends its side, without a close frame. */
  halfClose(): Promise<Done>;
  /** Nothing moves, and the socket stays: the sleeping phone. */
  freeze(how?: ActionMembers["freeze"]): Promise<Done>;
  /** What is frozen moves again. */
  thaw(): Promise<Done>;
  /** So many bytes a second, in both directions. 0: no limit. */
  throttle(how: ActionMembers["throttle"]): Promise<Done>;
  /** The next message is late, and what is behind it. */
  delay(how: ActionMembers["delay"]): Promise<Done>;
  /** The next message never comes. */
  drop(): Promise<Done>;
  /** The next message comes again. */
  duplicate(how?: ActionMembers["duplicate"]): Promise<Done>;
  /** The next messages come in another order. */
  reorder(how?: ActionMembers["reorder"]): Promise<Done>;
  /** The next message is not UTF-8. */
  corrupt(): Promise<Done>;
  /** Only the first bytes of the next message come. */
  truncate(how: ActionMembers["truncate"]): Promise<Done>;
  /** The next message comes in small WebSocket frames. */
  fragment(how: ActionMembers["fragment"]): Promise<Done>;
  /** In place of the next message another one comes. */
  replace(how: ActionMembers["replace"]): Promise<Done>;
  /** One more message comes to the client. */
  inject(how: ActionMembers["inject"]): Promise<Done>;
  /** A `gap` frame: events may be missing. */
  gap(how: ActionMembers["gap"]): Promise<Done>;
  /** The history begins anew. */
  loseHistory(how?: ActionMembers["lose_history"]): Promise<Done>;
  /** The token ends now. With `warn` the client is warned first. */
  expire(how?: ActionMembers["expire"]): Promise<Done>;
  /** A `reconnect` frame, and 1001 after that time. */
  reconnect(how?: ActionMembers["reconnect"]): Promise<Done>;
  /** The next command is carried out, and never answered. */
  loseAnswer(): Promise<Done>;
  /** The next command is not carried out: an error is the answer. */
  error(how?: ActionMembers["error"]): Promise<Done>;
}

export function target(api: Api, on: On): Target {
  const act = (action: object) => api.order<Done>("POST", "/dev/v1/do", { on, action });
  const some = (name: string) => (how: object = {}) => act({ do: name, ...how });
  const bare = (name: string) => () => act({ do: name });
  return {
    ...{ close: some("close"), reset: bare("reset"), halfClose: bare("half_close"), freeze: some("freeze"), throttle: some("throttle") },
    ...{ delay: some("delay"), drop: bare("drop"), duplicate: some("duplicate"), reorder: some("reorder"), corrupt: bare("corrupt") },
    ...{ truncate: some("truncate"), fragment: some("fragment"), replace: some("replace"), inject: some("inject"), gap: some("gap") },
    ...{ loseHistory: some("lose_history"), expire: some("expire"), reconnect: some("reconnect") },
    ...{ loseAnswer: bare("lose_answer"), error: some("error") },
    do: act,
    thaw: () => act({ do: "freeze", for: 0 }),
  };
}

export function rules(api: Api): Rules {
  const path = (id: string) => `/dev/v1/rules/${encodeURIComponent(id)}`;
  return {
    add: (rule) => api.order("POST", "/dev/v1/rules", rule),
    list: async () => (await api.order<{ rules: Rule[] }>("GET", "/dev/v1/rules")).rules,
    get: (id) => api.order("GET", path(id)),
    remove: (rule) => api.order("DELETE", path(typeof rule === "string" ? rule : rule.id)),
    clear: () => api.order("DELETE", "/dev/v1/rules"),
  };
}
