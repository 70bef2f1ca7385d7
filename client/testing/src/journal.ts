import { refusal, type Api } from "./api.js";
import type { JournalFilter, JournalKind, JournalLine, LineMatch, VerifyOptions, WaitOptions } from "./types.js";

/** The journal: `await` it for the lines that are there, or follow it with `for await`. */
export interface Journal extends PromiseLike<JournalLine[]>, AsyncIterable<JournalLine> {}

/** What has not come in time. The message shows what came near to it. */
export class WaitTimeout extends Error {
  override readonly name = "WaitTimeout";
  constructor(
    message: string,
    /** Those that have come. */
    readonly lines: JournalLine[],
    /** Those that would have matched with one condition less. */
    readonly nearest: JournalLine[],
  ) {
    super(message);
  }
}

type Match = Omit<LineMatch, "kind" | "channel"> & WaitOptions;
type MatchOfAny = Omit<LineMatch, "kind"> & WaitOptions;

/** Each resolves with the lines of the journal that it has waited for. What has happened already counts, too. */
export interface Waits {
  /** Any line. */
  for(match: LineMatch & WaitOptions): Promise<JournalLine[]>;
  /** A session has begun. */
  connected(match?: MatchOfAny): Promise<JournalLine[]>;
  /** A connection has been refused. */
  refused(match?: MatchOfAny): Promise<JournalLine[]>;
  /** A session has a channel. */
  subscribed(channel: string, match?: Match): Promise<JournalLine[]>;
  /** A session has left a channel. */
  unsubscribed(channel: string, match?: Match): Promise<JournalLine[]>;
  /** A connection has ended. */
  closed(match?: MatchOfAny): Promise<JournalLine[]>;
  /** The broker has taken an event. */
  published(channel: string, match?: Match): Promise<JournalLine[]>;
  /** An event has gone to a client. */
  delivered(channel: string, match?: Match): Promise<JournalLine[]>;
  /** A message of a client has come. */
  received(match?: MatchOfAny): Promise<JournalLine[]>;
  /** A command has been answered. */
  answered(match?: MatchOfAny): Promise<JournalLine[]>;
  /** Nothing has happened for 50 ms. */
  idle(options?: Pick<WaitOptions, "timeout">): Promise<void>;
}

/** A line in a few words, for people. */
function told({ n, at, kind, user, session, channel, code, text, frame }: JournalLine): string {
  const who = [user, session?.slice(-12, -6)].filter(Boolean).join(" ");
  const what = [who, channel, code, text, frame === undefined ? undefined : JSON.stringify(frame)].filter((part) => part !== undefined && part !== "");
  return `  ${n} ${at.slice(11, 23)} ${[kind, ...what].join("  ")}`;
}

function timeout(what: string, text: string): WaitTimeout {
  const { error, lines, nearest } = JSON.parse(text) as { error: { message: string }; lines: JournalLine[]; nearest: JournalLine[] };
  const came = lines.length > 0 ? ["these came:", ...lines.map(told)] : [];
  const near = nearest.length > 0 ? ["near to it:", ...nearest.map(told)] : ["nothing came near to it"];
  return new WaitTimeout([`waited for ${what}: ${error.message}`, ...came, ...near].join("\n"), lines, nearest);
}

export function waits(api: Api): Waits {
  const wait = async (given: LineMatch & WaitOptions | { kind: "idle"; timeout?: string }): Promise<JournalLine[]> => {
    const { count, timeout: longest, after, ...match } = given as LineMatch & WaitOptions;
    const { status, text } = await api.ask("POST", "/dev/v1/wait", { for: match, count, timeout: longest, after });
    if (status === 408) throw timeout(JSON.stringify(match), text);
    if (status !== 200) throw refusal("POST", "/dev/v1/wait", status, text);
    return (JSON.parse(text) as { lines: JournalLine[] }).lines;
  };
  const any = (kind: JournalKind) => (match: MatchOfAny = {}) => wait({ ...match, kind });
  const about = (kind: JournalKind) => (channel: string, match: Match = {}) => wait({ ...match, kind, channel });
  return {
    ...{ for: wait, connected: any("connected"), refused: any("refused"), closed: any("closed"), received: any("received"), answered: any("answered") },
    ...{ subscribed: about("subscribed"), unsubscribed: about("unsubscribed"), published: about("published"), delivered: about("delivered") },
    idle: async (options = {}) => void (await wait({ ...options, kind: "idle" })),
  };
}

/** Throws an AssertionError with the difference when the journal has not what is expected. */
export async function verify(api: Api, expect: readonly LineMatch[], { inOrder, nothingElse, after }: VerifyOptions): Promise<void> {
  const { status, text } = await api.ask("POST", "/dev/v1/verify", { expect, in_order: inOrder, nothing_else: nothingElse, after });
  if (status === 200) return;
  if (status !== 422) throw refusal("POST", "/dev/v1/verify", status, text);
  const { AssertionError } = await import("node:assert");
  throw new AssertionError({ message: (JSON.parse(text) as { error: { message: string } }).error.message });
}

function query(filter: JournalFilter): string {
  const given = Object.entries(filter).filter(([, value]) => value !== undefined);
  return `/dev/v1/journal?${new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)]))}`;
}

async function read(api: Api, filter: JournalFilter): Promise<JournalLine[]> {
  const { status, text } = await api.ask("GET", query(filter));
  if (status !== 200) throw refusal("GET", "/dev/v1/journal", status, text);
  return text.split("\n").filter(Boolean).map((line) => JSON.parse(line) as JournalLine);
}

async function* follow(api: Api, filter: JournalFilter): AsyncGenerator<JournalLine, void, undefined> {
  let rest = "";
  for await (const piece of api.stream(query(filter))) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (line.startsWith("data: ")) yield JSON.parse(line.slice(6)) as JournalLine;
  }
}

export function journal(api: Api, filter: JournalFilter): Journal {
  return {
    then: (onLines, onError) => read(api, filter).then(onLines, onError),
    [Symbol.asyncIterator]: () => follow(api, filter),
  };
}
