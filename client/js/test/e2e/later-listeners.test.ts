import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Carillon, ListenOptions } from "../../dist/index.js";
import { BINARY, createClient, hasBinary, startNode, until, type Events, type Node } from "./harness.js";

/** Listeners that come while others listen, and what may happen while they read the history. */

const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const events = (channel: string, from: number, to: number, more: object = {}) => upTo(from, to).map((n) => ({ publish: { channel, type: "app.thing", data: { n, ...more } } }));

function listen(client: Carillon<Events>, name: string, options: ListenOptions = {}, then = (_: number[]) => {}) {
  const seen: number[] = [];
  const off = client.channel(name).on("app.thing", ({ data }) => (seen.push(data.n), then(seen)), options);
  return { seen, off };
}

describe.skipIf(!hasBinary)("against a server with a long history", () => {
  let node: Node;
  let client: Carillon<Events>;
  const errors: string[] = [];
  beforeAll(async () => {
    node = await startNode({ channels: [{ match: "*", allow: ["subscribe", "history"], history: { size: 20_000, ttl: "10m" } }] });
  });
  afterAll(() => node?.end());
  afterEach(() => client.close());

  async function publish(name: string, from: number, to: number) {
    for (let n = from; n <= to; n += 500) await node.api("batch", { commands: events(name, n, Math.min(to, n + 499)) });
  }

  /** A channel with a listener of its own, after so many events. */
  async function start(name: string, count: number) {
    client = createClient(node.url);
    errors.length = 0;
    client.onError.subscribe((error) => errors.push((error as { code: string }).code));
    const { seen } = listen(client, name);
    const room = client.channel(name);
    await until(() => room.state === "live", "live");
    const since = room.position!;
    await publish(name, 1, count);
    await until(() => seen.length === count, "all events");
    return since;
  }

  test("10,000 events come in order, each once, while others are published", async () => {
    const since = await start("long", 10_000);
    const [all, last] = [listen(client, "long", { since }), listen(client, "long", { last: 5000 })];
    await publish("long", 10_001, 10_100);
    await until(() => [all, last].every(({ seen }) => seen.at(-1) === 10_100), "the live events");
    expect(errors).toEqual([]); // first: an error tells why events are missing
    expect(all.seen).toEqual(upTo(1, 10_100));
    expect(last.seen).toEqual(upTo(last.seen[0]!, 10_100));
    expect(last.seen.length).toBeGreaterThanOrEqual(5000);
  });

  test("one that comes while the client reconnects gets them, and one that goes amid them no more", async () => {
    const since = await start("away", 3000);
    await node.api("disconnect", { user: "ada" });
    await until(() => client.state === "reconnecting", "reconnecting");
    const all = listen(client, "away", { since });
    const some = listen(client, "away", { last: 100 }, (seen) => seen.length === 10 && some.off());
    await publish("away", 3001, 3010);
    await until(() => all.seen.at(-1) === 3010 && some.seen.length, "the live events");
    expect(all.seen).toEqual(upTo(1, 3010));
    expect(some.seen).toHaveLength(10);
  });

  test("close() amid them, and in the moment before: connect() brings the rest", async () => {
    const since = await start("closed", 3000);
    const amid = listen(client, "closed", { since }, (seen) => seen.length === 5 && client.close());
    await until(() => client.state === "closed", "closed");
    client.connect();
    const before = listen(client, "closed", { since });
    client.close();
    client.connect();
    await publish("closed", 3001, 3010);
    await until(() => [amid, before].every(({ seen }) => seen.at(-1) === 3010), "the live events");
    expect([amid.seen, before.seen]).toEqual([upTo(1, 3010), upTo(1, 3010)]);
    expect(errors).toEqual([]);
  });
});

describe.skipIf(!hasBinary)("against carillon dev", () => {
  let server: { ws_url: string; api_url: string; api_key: string; token: string };
  let child: ChildProcess;
  const folder = mkdtempSync(path.join(tmpdir(), "carillon-later-"));
  beforeAll(async () => {
    child = spawn(BINARY, ["dev", "--port", "0", "--internal-port", "0", "--json", "--exit-with-parent"], { stdio: ["ignore", "pipe", "ignore"], cwd: folder });
    let told = "";
    child.stdout!.on("data", (text: Buffer) => (told += text));
    await until(() => told.includes("\n"), "the server to be ready");
    server = JSON.parse(told);
  });
  afterAll(() => {
    child?.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  test("a history that is lost while it is read is told, and later events come once", async () => {
    const post = async (route: string, body: object) =>
      expect((await fetch(server.api_url + route, { method: "POST", body: JSON.stringify(body), headers: { "X-API-Key": server.api_key, "Content-Type": "application/json" } })).status).toBe(200);
    const publish = (from: number, to: number, more: object = {}) => post("/api/v1/batch", { commands: events("room:1", from, to, more) });
    const client = createClient(server.ws_url.replace(/\/ws$/, ""), { getToken: () => server.token });
    client.onError.subscribe(() => {}); // `conflict`, where a page is asked for after the loss
    const room = client.channel("room:1");
    const told: unknown[] = [];
    room.onContinuity.subscribe(({ reason }) => told.push(reason));
    const { seen } = listen(client, "room:1");
    await until(() => room.state === "live", "live");
    const since = room.position!;
    for (let n = 1; n <= 100; n += 20) await publish(n, n + 19, { text: "x".repeat(10_000) }); // four pages
    await until(() => seen.length === 100, "all events");
    const later = listen(client, "room:1", { since });
    await post("/dev/v1/do", { on: { channel: "room:1" }, action: { do: "lose_history" } });
    await until(() => told.length, "the gap");
    await publish(101, 103);
    await until(() => later.seen.at(-1) === 103 && seen.at(-1) === 103, "the later events");
    expect(told).toEqual(["epoch_changed"]);
    expect(seen).toEqual(upTo(1, 103));
    expect(later.seen.slice(-3)).toEqual([101, 102, 103]);
    expect(later.seen.slice(0, -3)).toEqual(upTo(1, later.seen.length - 3));
    client.close();
  });
});
