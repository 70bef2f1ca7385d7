import { readFileSync } from "node:fs";
import path from "node:path";
import { Carillon, type CarillonError } from "@carillon/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCarillon, type Action, type CarillonServer, type NewRule, type On } from "../dist/index.js";
import { env, patient, root, until } from "./support.js";

/** A row of the table of docs/testing.md, once for each reason that it names. */
interface Row {
  title: string;
  /** For `POST /dev/v1/do`, or for `POST /dev/v1/rules`. */
  call: { on: On; action: Action } | NewRule;
  does: string;
}

function rows(): Row[] {
  const page = readFileSync(path.join(root, "../../docs/testing.md"), "utf8");
  const table = page.slice(page.indexOf("\n## Faults"), page.indexOf("\n### All actions"));
  return [...table.matchAll(/^\| (.+?) \| `(\{.+\})` \| (.+) \|$/gm)].flatMap(([, what, call, does]) => {
    const [title, reasons] = [what!.split(/:? `[a-z_]+`(?: |$)/)[0]!, call!.includes("REASON") ? [...what!.matchAll(/`(\w+)`/g)].map(([, reason]) => reason!) : [""]];
    return reasons.map((reason) => ({ title: reason ? `${title} ${reason}` : what!, call: JSON.parse(call!.replaceAll("REASON", reason)), does: does!.replaceAll("REASON", reason) }));
  });
}

let s: CarillonServer;
let users = 0;
beforeAll(async () => {
  s = patient(await startCarillon({ seed: 1, args: ["--ping-interval", "5s", "--pong-timeout", "5m"] }));
});
afterAll(() => s.stop());

type Events = { notification: { message: string } };

/** A client of its own user with its own channel, and all that has happened to it. */
class World {
  readonly user = `user-${++users}`;
  readonly channel = `channel-${users}:1`;
  readonly began = Date.now();
  readonly states: string[] = [];
  readonly asked: string[] = [];
  readonly seen: string[] = [];
  readonly sent: string[] = [];
  readonly told: (string | undefined)[] = [];
  refused: CarillonError | undefined;
  publishing: Promise<unknown> | undefined;
  openedMs = 0;
  client!: Carillon<Events>;

  constructor(readonly row: Row) {}

  get room() {
    return this.client.channel(this.channel);
  }

  connect(): void {
    this.client = new Carillon<Events>({ url: s.origin, getToken: ({ why }) => (this.asked.push(why), s.token(this.user)), reconnectDelay: 100, env });
    this.client.onError.subscribe(() => {});
    this.client.onStateChange.subscribe((state) => {
      this.states.push(state);
      if (state === "open") this.openedMs = Date.now();
    });
    this.room.onContinuity.subscribe(({ recovered, reason }) => !recovered && this.told.push(reason));
    this.room.onStateChange.subscribe((state, error) => (this.refused = state === "refused" ? error : undefined));
    this.room.on("notification", ({ data }) => this.seen.push(data.message));
  }

  /** The one call of the row, for this user and this channel. */
  async cause(): Promise<void> {
    const text = JSON.stringify(this.row.call).replaceAll('"ada"', `"${this.user}"`).replaceAll('"room:1"', `"${this.channel}"`);
    const call = JSON.parse(text) as { on: On; action: Action } & NewRule;
    if (!call.on) await s.rules.add(call);
    else expect((await ("channel" in call.on ? s.channel(call.on.channel) : s.user((call.on as { user: string }).user)).do(call.action)).count).toBe(1);
  }

  async publish(message: string): Promise<void> {
    this.sent.push(message);
    await s.publish(this.channel, "notification", { message });
  }

  live = () => until(() => this.room.state === "live" && this.client.state === "open", `${this.user} is live`);
  sees = (message: string) => until(() => this.seen.includes(message), `${this.user} sees ${message}`);
  connections = async () => (await s.journal({ kinds: ["connected"], user: this.user })).length;
}

/** What the words of the third column mean. The checks of a row run in this order. */
const CHECKS: [RegExp, (world: World, match: RegExpExecArray) => Promise<unknown> | void][] = [
  [/\*\*stops\*\*/, async (w) => {
    await until(() => w.client.state === "closed", "the client stops");
    const before = await w.connections();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect([w.client.state, await w.connections()]).toEqual(["closed", before]);
  }],
  [/\*\*comes back\*\*/, async (w) => {
    await until(() => w.states.includes("reconnecting"), "the client tries again");
    await w.live();
  }],
  [/\*\*asks for a token\*\*/, async (w) => {
    await until(() => w.asked.includes("refused"), "the client asks for a token");
    await w.live();
    expect(w.asked.slice(0, 2)).toEqual(["connect", "refused"]);
  }],
  [/\*\*tells\*\* `(\w+)`/, (w, [, reason]) => until(() => w.told.includes(reason), `the client tells ${reason}`)],
  [/\*\*goes on\*\*/, async (w) => {
    await w.live();
    expect(w.states).toEqual(["connecting", "open"]);
  }],
  [/^waits$/, (w) => w.live()],
  [/waits for 500 ms/, (w) => expect(w.openedMs - w.began).toBeGreaterThanOrEqual(490)],
  [/waits for that second/, (w) => expect(w.openedMs - w.began).toBeGreaterThanOrEqual(990)],
  [/^waits$/, (w) => expect(w.openedMs - w.began).toBeGreaterThanOrEqual(990)],
  [/gives up after 10 s/, (w) => expect(w.openedMs - w.began).toBeGreaterThanOrEqual(9_900)],
  [/hears nothing for 3 s/, (w) => expect(w.openedMs - w.began).toBeGreaterThanOrEqual(3_000)],
  [/closes with 1007/, (w) => s.wait.closed({ user: w.user, code: 1007 })],
  [/calls `getToken` with `why` `refresh` once, sends `refresh`/, async (w) => {
    await s.wait.answered({ user: w.user, frame: { type: "refreshed" } });
    expect(w.asked).toEqual(["connect", "refresh"]);
  }],
  [/asks `getToken` again/, (w) => until(() => w.asked.length >= 3, "getToken is called again")],
  [/rejects with `(\w+)`/, async (w, [, code]) => expect(await w.publishing).toBe(code)],
  [/after 15 s it rejects/, (w) => expect(Date.now() - w.began).toBeGreaterThanOrEqual(15_000)],
  [/resolves\. With an `eventId` there is one event/, async (w) => {
    expect(await w.publishing).toBe("resolved");
    await w.sees("own");
    expect(w.seen.filter((message) => message === "own")).toHaveLength(1);
  }],
  [/tries again with back-off/, async (w) => {
    await s.wait.for({ kind: "rule", user: w.user });
    await w.live();
  }],
  [/the channel's state is `refused`, with code `(\w+)`/, async (w, [, code]) => {
    await until(() => w.refused, "the channel is refused");
    expect([w.room.state, w.refused!.code]).toEqual(["refused", code]);
  }],
];

/** Events that the row takes away. All others are seen, once and in order. */
const LOST: [RegExp, string[]][] = [
  [/in another order|not JSON|a message is another one/, ["2"]],
  [/an event is lost/, ["3"]],
];

async function walk(row: Row): Promise<void> {
  const w = new World(row);
  const match = "match" in row.call ? row.call.match : undefined;
  const isReturn = row.title.startsWith("it comes back");
  const isEarly = match?.at === "connect" || (match?.type === "subscribe" && !isReturn);
  if (isEarly) await w.cause();
  w.connect();
  try {
    if (!isEarly) {
      await w.live();
      await w.publish("1");
      await w.sees("1");
      await w.cause();
      if (isReturn) await s.user(w.user).reset();
      if (match?.type === "refresh") await s.user(w.user).expire({ warn: true });
      if (match?.type === "publish")
        w.publishing = w.room.publish("notification", { message: "own" }, { eventId: `${w.user}-own` }).then(
          () => "resolved",
          (error: CarillonError) => error.code,
        );
      for (const message of isReturn ? [] : ["2", "3"]) await w.publish(message);
    }
    const checks = CHECKS.filter(([words]) => words.test(row.does));
    expect(checks, `what "${row.does}" means`).not.toEqual([]);
    for (const [words, check] of checks) await check(w, words.exec(row.does)!);
    if (w.room.state !== "live") return;
    await w.publish("last");
    await w.sees("last");
    const lost = LOST.find(([title]) => title.test(row.title))?.[1] ?? [];
    expect(w.seen.filter((message) => message !== "own")).toEqual(w.sent.filter((message) => !lost.includes(message)));
  } finally {
    w.client.close();
  }
}

describe("the table of docs/testing.md, row by row", () => {
  const all = rows();

  test("has the rows that the page shows", () => {
    expect(all.length).toBeGreaterThan(90);
    expect(all.every(({ does }) => CHECKS.some(([words]) => words.test(does)))).toBe(true);
  });

  test.concurrent.each(all.map((row) => [row.title, row.does, row] as const))("%s: %s", (_, __, row) => walk(row));
});
