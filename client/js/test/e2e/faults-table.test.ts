import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Carillon, type CarillonError, type CarillonOptions, type Continuity } from "../../dist/index.js";
import { BINARY, env, hasBinary, sleep, until } from "./harness.js";

/** Walks the tables of faults in docs/testing.md: causes each one by its call, and checks what this client does. */
const page = readFileSync(new URL("../../../../docs/testing.md", import.meta.url), "utf8");

interface Fault {
  what: string;
  call: string;
  does: string;
}

/** One for each row, and for each name of a row with REASON. */
function faults(): Fault[] {
  const found: Fault[] = [];
  for (const line of page.split("\n")) {
    const [, what, call, does] = /^\| (.+?) \| `(\{"(?:on|match)":.+?\})` \| (.+) \|$/.exec(line) ?? [];
    if (!what || !call || !does) continue;
    const names = call.includes("REASON") ? [...what.matchAll(/`(\w+)`/g)].map(([, name]) => name!) : [""];
    for (const name of names)
      found.push({ what: name ? `${what.split(":")[0]}: ${name}` : what, call: call.replace("REASON", name), does: does.replace("REASON", name) });
  }
  return found;
}

type TokenRequest = Parameters<NonNullable<CarillonOptions["getToken"]>>[0];
type Change = Parameters<Parameters<Carillon["onStateChange"]["subscribe"]>[0]>[1];

let server: { url: string; api: string; key: string; process: ChildProcess; folder: string };

beforeAll(async () => {
  if (!hasBinary) return;
  const folder = mkdtempSync(path.join(tmpdir(), "carillon-faults-"));
  const flags = ["--port", "0", "--internal-port", "0", "--json", "--exit-with-parent", "--ping-interval", "1s", "--pong-timeout", "5m"];
  const child = spawn(BINARY, ["dev", ...flags], { stdio: ["ignore", "pipe", "ignore"], cwd: folder });
  let told = "";
  child.stdout!.on("data", (text: Buffer) => (told += text));
  await until(() => told.includes("\n"), "the server to be ready");
  const { ws_url, api_url, api_key } = JSON.parse(told) as Record<string, string>;
  server = { url: ws_url!.replace(/\/ws$/, ""), api: api_url!, key: api_key!, process: child, folder };
});

afterAll(() => {
  if (!hasBinary) return;
  server.process.kill();
  rmSync(server.folder, { recursive: true, force: true });
});

async function post<T>(route: string, body: unknown): Promise<T> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const answer = await fetch(server.api + route, { method: "POST", body: text, headers: { "X-API-Key": server.key, "Content-Type": "application/json" } });
  expect(`${answer.status} ${text}`).toBe(`200 ${text}`);
  return (await answer.json()) as T;
}

/** A user with a channel of its own, so that the faults do not meet. */
class Case {
  readonly user = `user-${Math.random().toString(36).slice(2)}`;
  readonly channel = `room:${this.user}`;
  readonly changes: Change[] = [];
  readonly told: Continuity[] = [];
  readonly asked: TokenRequest[] = [];
  readonly seen: number[] = [];
  readonly errors: unknown[] = [];
  readonly client = new Carillon({
    url: server.url,
    env,
    reconnectDelay: 50,
    getToken: async (request) => {
      this.asked.push(request);
      return (await post<{ token: string }>("/dev/v1/tokens", { sub: this.user, claims: { jti: Math.random().toString(36) } })).token;
    },
  });
  readonly room = this.client.channel(this.channel);

  constructor() {
    this.client.onStateChange.subscribe((_, change) => this.changes.push(change));
    this.client.onError.subscribe((error) => this.errors.push(error));
    this.room.onContinuity.subscribe((told) => this.told.push(told));
  }

  listen(): void {
    this.room.on("notification", ({ data }) => this.seen.push(Number(data.message)));
  }

  async publish(...numbers: number[]): Promise<void> {
    for (const n of numbers)
      await post("/api/v1/publish", { channel: this.channel, type: "notification", data: { message: String(n) } });
  }

  cause(call: string): Promise<{ count?: number }> {
    const mine = call.replaceAll('"ada"', `"${this.user}"`).replaceAll('"room:1"', `"${this.channel}"`);
    return post(call.startsWith('{"on"') ? "/dev/v1/do" : "/dev/v1/rules", mine);
  }

  get lost(): Change | undefined {
    return this.changes.find(({ previous, state }) => (previous === "open" || previous === "connecting") && state !== "open");
  }

  whys(): string[] {
    return this.asked.map(({ why }) => why);
  }
}

const all = [1, 2, 3, 4];

async function check(of: Case, does: string): Promise<void> {
  const tells = /\*\*tells\*\* `(\w+)`/.exec(does)?.[1];
  const code = /with (?:code )?`(\w+)`/.exec(does)?.[1];
  if (does.includes("**comes back**")) {
    await until(() => of.lost, "the connection is lost");
    await until(() => of.client.state === "open" && of.room.state === "live", "it is back");
    expect(of.whys()).not.toContain("refused");
  }
  if (does.includes("waits for that second")) expect(of.lost).toMatchObject({ reason: "draining", status: 503, retryAfterMs: 1000, retryInMs: 1000 });
  if (does.includes("**asks for a token**")) {
    await until(() => of.whys().includes("refused"), "it asks for another token");
    await until(() => of.client.state === "open" && of.room.state === "live", "it is back");
  }
  if (does.includes("**stops**")) {
    await until(() => of.client.state === "closed", "it is closed");
    await sleep(300);
    expect(of.client.state).toBe("closed");
  }
  if (tells) await until(() => of.told.find(({ recovered, reason }) => !recovered && reason === tells), `it tells ${tells}`);
  if (does.includes("each event once")) await until(() => of.seen.length >= all.length, "each event");
  if (does.includes("the channel's state is `refused`")) {
    await until(() => of.room.state === "refused", "the channel is refused");
  }
  if (does.includes("**goes on**")) {
    await of.publish(99);
    await until(() => of.seen.includes(99), "later events come");
    expect(of.lost).toBeUndefined();
  }
  if (does.includes("each event once")) expect(of.seen.filter((n) => n !== 99)).toEqual(all);
  if (does.includes("`why` `refresh` once")) expect(of.whys()).toEqual(["connect", "refresh"]);
  if (does.includes("state is `refused`, with code")) expect((of.errors as CarillonError[]).map((error) => error.code)).toContain(code);
}

/** What a row needs besides its call: a connection before or after it, events, a command. */
async function run(fault: Fault): Promise<void> {
  const of = new Case();
  const connects = fault.call.includes('"at":"connect"') || fault.what.startsWith("a subscribe ");
  try {
    if (connects) await of.cause(fault.call);
    of.listen();
    if (!connects) {
      await until(() => of.room.state === "live", "it is live");
      await of.publish(1);
      await until(() => of.seen.length === 1, "the first event");
      const { count } = await of.cause(fault.call);
      if (fault.call.startsWith('{"on"')) expect(count).toBe(1);
      if (fault.what.startsWith("it comes back, and")) await of.cause('{"on":{"user":"ada"},"action":{"do":"reset"}}');
      if (fault.what.startsWith("a refresh")) await of.cause('{"on":{"user":"ada"},"action":{"do":"expire","warn":true}}');
      if (!/closes|publish|subscription|token ends now/.test(fault.what)) await of.publish(2, 3, 4);
    }
    if (fault.what.startsWith("a publish")) await checkPublish(of, fault.does);
    else await check(of, fault.does);
    if (fault.does === "waits") await until(() => of.room.state === "live", "it is open");
    if (fault.does.includes("tries again")) await until(() => of.room.state === "live", "it is subscribed in the end");
  } finally {
    of.client.close();
  }
}

async function checkPublish(of: Case, does: string): Promise<void> {
  const code = /rejects with `(\w+)`/.exec(does)?.[1];
  const published = of.room.publish("notification", { message: "2" }, { eventId: "e-1" });
  if (code) await expect(published).rejects.toMatchObject({ code });
  else await expect(published).resolves.toBeTruthy();
  expect(of.client.state).toBe("open");
  if (does.includes("there is one event")) {
    await of.publish(3);
    await until(() => of.seen.includes(3), "a later event");
    expect(of.seen).toEqual([1, 2, 3]);
  }
}

describe.skipIf(!hasBinary)("each fault of docs/testing.md", () => {
  test("the page has its tables", () => {
    expect(faults().length).toBeGreaterThan(90);
  });

  test.concurrent.each(faults())("$what $call", async (fault) => run(fault));
});
