import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { Unauthorized, type Carillon, type Continuity, type Env, type ListenOptions } from "../../dist/index.js";
import { createClient, env, handles, hasBinary, startNode, startRedis, token, until, type Events, type Node } from "./harness.js";
import { startLine, type Line } from "./line.js";

/** Ends what a test has started, the last first. */
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function node(config?: object): Promise<Node> {
  const started = await startNode(config);
  ends.push(() => started.process.exitCode === null && started.process.signalCode === null && started.end());
  return started;
}

function client(url: string, more: Parameters<typeof createClient>[1] = {}): Carillon<Events> {
  const created = createClient(url, more);
  created.onError.subscribe(() => {});
  ends.push(() => created.close());
  return created;
}

/** Listens, and gathers what comes. */
function listen(of: Carillon<Events>, name: string) {
  const room = of.channel(name);
  const seen: number[] = [];
  const continuity: Continuity[] = [];
  room.onContinuity.subscribe((told) => continuity.push(told));
  room.on("app.thing", ({ data }) => seen.push(data.n));
  return { room, seen, continuity };
}

async function balancer(nodes: Node[]): Promise<Line> {
  const line = await startLine(nodes);
  ends.push(() => line.end());
  return line;
}

describe.skipIf(!hasBinary)("against a server, in Node", () => {
  test("a line that is cut: every event comes once, in order", async () => {
    const server = await node();
    const line = await balancer([server]);
    const { room, seen, continuity } = listen(client(line.url), "room:1");
    await until(() => room.state === "live", "live");
    for (let n = 1; n <= 200; n++) {
      await server.publish("room:1", { n });
      if (n % 50 === 25) line.cut();
      if (n % 50 === 0) await until(() => continuity.length === n / 50, "live again");
    }
    await until(() => seen.length >= 200, "all events");
    expect(seen).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
    expect(continuity.map(({ recovered }) => recovered)).toEqual([true, true, true, true]);
  });

  test.each([
    ["in the same moment", () => Promise.resolve()],
    ["while its subscribe is on its way", () => Promise.resolve().then(() => {})],
    ["while it is live", (live: () => Promise<unknown>) => live()],
  ])("presence before a listener with `last`, %s: the newest events come, and those of meanwhile, once", async (_, moment) => {
    const server = await node();
    for (let n = 1; n <= 5; n++) await server.publish("room:1", { n });
    const carillon = client(server.url);
    const room = carillon.channel("room:1");
    carillon.connect();
    await until(() => carillon.state === "open", "open");
    const seen: number[] = [];
    room.presence().onChange.subscribe(() => {});
    await moment(() => until(() => room.state === "live", "live"));
    room.on("app.thing", ({ data }) => seen.push(data.n), { last: 3 });
    for (let n = 6; n <= 8; n++) await server.publish("room:1", { n });
    await until(() => seen.at(-1) === 8, "all events");
    expect(seen.slice(-6)).toEqual([3, 4, 5, 6, 7, 8].slice(-seen.length));
    expect(seen.length).toBeGreaterThanOrEqual(3); // events that are published before the server reads are among the newest
    expect(new Set(seen).size).toBe(seen.length);
  });

  test("listeners that come later get the events that each asks for, then the live ones, in order, each once", async () => {
    // 1,000 events of some 600 bytes are more than the 256 KiB of a page.
    const server = await node({ channels: [{ match: "*", allow: ["subscribe", "history"], history: { size: 2000, ttl: "10m" } }] });
    const carillon = client(server.url);
    const room = carillon.channel("room:1");
    const listen = (options: ListenOptions, seen: number[] = []) => (room.on("app.thing", ({ data }) => seen.push(data.n), options), seen);
    const first = listen({ last: 3 });
    await until(() => room.state === "live", "live");
    const begin = room.position!;
    const pad = "x".repeat(600);
    const publish = async (from: number, to: number) => {
      for (let n = from; n <= to; n++) await server.publish("room:1", { n, pad });
    };
    await publish(1, 1000);
    await until(() => first.length === 1000, "all events");
    const [three, most, all] = [listen({ last: 3 }), listen({ last: 900 }), listen({ since: begin })];
    await publish(1001, 1010);
    await until(() => [first, three, most, all].every((seen) => seen.at(-1) === 1010), "the live events");
    const from = (n: number) => Array.from({ length: 1011 - n }, (_, i) => n + i);
    expect(first).toEqual(from(1));
    expect(all).toEqual(from(1));
    // What is published before the server reads is among the newest.
    for (const [seen, last] of [[three, 3], [most, 900]] as const) {
      expect(seen[0]).toBeGreaterThanOrEqual(1001 - last);
      expect(seen.length).toBeGreaterThanOrEqual(last);
      expect(seen).toEqual(from(seen[0]!));
    }
  });

  test("what a listener throws keeps nothing from the others, is shown, and ends the process", async () => {
    const server = await node();
    const program = `
      import { Carillon } from ${JSON.stringify(new URL("../../dist/index.js", import.meta.url).href)};
      import { WebSocket } from ${JSON.stringify(new URL("../../node_modules/ws/wrapper.mjs", import.meta.url).href)};
      const room = new Carillon({ url: ${JSON.stringify(server.url)}, getToken: () => ${JSON.stringify(token())}, env: { WebSocket } }).channel("room:1");
      room.onStateChange.subscribe((state) => { if (state === "live") throw new Error("thrown by a listener"); });
      room.onStateChange.subscribe((state) => console.log(state));
      room.on("*", () => {});`;
    const ended = promisify(execFile)(process.execPath, ["--input-type=module", "-e", program]);
    await expect(ended).rejects.toMatchObject({ code: 1, stdout: "subscribing\nlive\n", stderr: expect.stringContaining("Error: thrown by a listener\n    at ") });
  });

  test("kill -9 of one of two nodes on Redis: nothing is lost", async ({ skip }) => {
    const redis = await startRedis();
    if (!redis) return skip();
    ends.push(() => redis.end());
    const config = { redis: { url: redis.url } };
    const [first, second] = [await node(config), await node(config)];
    const line = await balancer([first, second]);
    const { room, seen, continuity } = listen(client(line.url), "room:1");
    await until(() => room.state === "live", "live");
    for (let n = 1; n <= 100; n++) {
      if (n === 50) await first.end("SIGKILL");
      await second.publish("room:1", { n });
    }
    await until(() => seen.length >= 100, "all events");
    expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
    expect(continuity).toMatchObject([{ recovered: true }]);
  });

  test("a restart of a node that keeps events in memory is told: recovered is false", async () => {
    const before = await node();
    const { room, continuity, seen } = listen(client(before.url), "room:1");
    await until(() => room.state === "live", "live");
    await before.publish("room:1", { n: 1 });
    await until(() => seen.length === 1, "the event");
    await before.end("SIGKILL");
    const after = await node({ port: before.port });
    await until(() => continuity.length > 0, "continuity");
    expect(continuity).toMatchObject([{ recovered: false, reason: "not_recovered" }]);
    await after.publish("room:1", { n: 2 });
    await until(() => seen.length === 2, "an event of the new history");
  });

  test("a token is refreshed before its end: the connection stays", async () => {
    const server = await node(); // it warns 30 s before the end of a token
    const asked: string[] = [];
    const one = client(server.url, { getToken: ({ why }) => (asked.push(why), token("ada", asked.length === 1 ? 32 : 600)) });
    const sessions: (string | undefined)[] = [];
    one.onStateChange.subscribe((state) => state === "open" && sessions.push(one.session?.id));
    one.connect();
    await until(() => (one.session?.expiresAt ?? 0) > Date.now() + 60_000, "the new end");
    expect([asked, sessions]).toEqual([["connect", "refresh"], [one.session!.id]]);
  });

  test("an expired token at the start is replaced, and a revoked one too", async () => {
    const server = await node();
    const asked: unknown[] = [];
    const one = client(server.url, {
      getToken: ({ why, refusal }) => {
        asked.push([why, refusal?.status ?? refusal?.reason]);
        return asked.length === 1 ? token("ada", -600) : token("ada", 600, { jti: `t${asked.length}` });
      },
    });
    one.connect();
    await until(() => one.state === "open", "open");
    await server.api("revoke", { jti: "t2" });
    await until(() => asked.length === 3 && one.state === "open", "open with another token");
    expect(asked).toEqual([["connect", undefined], ["refused", 401], ["refused", "token_revoked"]]);
  });

  test("a refused upgrade has its reason: a missing scope ends the client, a revoked token is replaced", async () => {
    const server = await node({ endpoints: [{ path: "/ws", require_scopes: ["chat"] }] });
    const one = client(server.url, { getToken: () => token("ada", 600, { scope: "other" }) });
    const last = () => new Promise((resolve) => one.onStateChange.subscribe((state, change) => state === "closed" && resolve(change)));
    const ended = last();
    one.connect();
    expect(await ended).toMatchObject({ code: 1006, reason: "scope_missing", status: 403 });

    const other = await node();
    await other.api("revoke", { jti: "first" });
    const refusals: unknown[] = [];
    const two = client(other.url, { getToken: ({ refusal }) => (refusals.push(refusal), token("ada", 600, refusals.length === 1 ? { jti: "first" } : {})) });
    two.connect();
    await until(() => two.state === "open", "open");
    expect(refusals).toEqual([undefined, { code: 1006, reason: "token_revoked", status: 401 }]);
  });

  test("a user who is signed out is not connected again", async () => {
    const server = await node();
    let signedOut = false;
    const one = client(server.url, {
      getToken: () => {
        if (signedOut) throw new Unauthorized();
        return token("eve", 600, { jti: "only" });
      },
    });
    one.connect();
    await until(() => one.state === "open", "open");
    signedOut = true;
    await server.api("revoke", { jti: "only" });
    await until(() => one.state === "closed", "closed");
  });

  test("managed sockets connect by the ticket route, with a fresh ticket for each attempt", async () => {
    const server = await node({
      tickets: { path: "/websocket/ticket" },
      endpoints: [
        { path: "/ws" },
        { path: "/ai-chat/{thread}/transcript", preset: "ticket-sockets", ticket: { purpose: "chat", resource: "{thread}" }, subscribe: ["chat:{thread}"] },
      ],
    });
    const line = await balancer([server]);
    const one = client(line.url);
    const socket = await one.websocket.connectToChat("t1", { reconnectDelay: 100 });
    const seen: string[] = [];
    const attempts: number[] = [];
    socket.onMessage.subscribe(({ data }) => seen.push(String(data)));
    socket.onReconnecting.subscribe((attempt) => attempts.push(attempt));
    await until(() => socket.isOpen, "open");
    // The session is subscribed just after it is open.
    const message = (n: number) => until(() => seen.includes(`{"n":${n}}`) || void server.publish("chat:t1", { n }), "a message");
    await message(1);
    line.cut();
    await until(() => attempts.length > 0 && socket.isOpen, "open again");
    await message(2);
    expect(one.websocket.connectionCount).toBe(1);
    one.websocket.closeAll();
    expect([socket.state, one.websocket.connectionCount]).toEqual(["closed", 0]);
  });

  test("publish, presence and history", async () => {
    const server = await node();
    const [one, two] = [client(server.url), client(server.url, { getToken: () => token("bob") })];
    const room = one.channel("room:1");
    const people = room.presence();
    people.onChange.subscribe(() => {});
    const { seen } = listen(two, "room:1");
    await until(() => people.members.length === 2, "both");
    expect(people.members.map(({ user }) => user)).toEqual(["ada", "bob"]);
    const first = await room.publish("app.thing", { n: 1 }, { eventId: "e-1" });
    const second = await room.publish("app.thing", { n: 1 }, { eventId: "e-1" });
    expect([first.duplicate, second.duplicate, second.id === first.id]).toEqual([false, true, true]);
    expect((await room.history({ limit: 10 })).events).toHaveLength(1);
    await until(() => seen.length === 1, "the event");
    two.close();
    await until(() => people.members.length === 1, "bob to leave");
  });

  test.each(["reject", "queue"] as const)("the largest event that the server takes is published; a larger one fails alone. Outbox: %s", async (outbox) => {
    const server = await node();
    const one = client(server.url, { outbox });
    one.connect();
    await until(() => one.state === "open", "open");
    const most = one.session!.limits.message_bytes;
    const room = one.channel("room:1");
    const publish = (bytes: number) => room.publish("app.thing", { n: 1, text: "x".repeat(bytes) } as never, { eventId: "e" });
    const more = JSON.stringify({ type: "publish", id: 1, data: { channel: "room:1", type: "app.thing", data: { n: 1, text: "" }, event_id: "e" } }).length;
    expect(await publish(most - more)).toMatchObject({ offset: 1 });
    await expect(publish(most - more + 1)).rejects.toMatchObject({ code: "too_large", retryable: false });
    expect(await room.publish("app.thing", { n: 2 })).toMatchObject({ offset: 2 });
    expect(one.state).toBe("open");
  });

  test("close and signOut leave no socket and no timer", async () => {
    const server = await node();
    const before = handles().sort();
    const one = client(server.url, { outbox: "queue" });
    const { room } = listen(one, "room:1");
    room.presence().onChange.subscribe(() => {});
    await until(() => room.state === "live", "live");
    const two = client("http://127.0.0.1:9", {}); // nobody is there
    two.connect();
    await until(() => two.state === "reconnecting", "reconnecting");
    room.on("*", () => {})();
    one.signOut();
    two.close();
    await until(() => handles().length <= before.length, `no more than ${before}`);
    expect(one.channel("room:1").position).toBeNull();
  });

  test.each(["close", "signOut"] as const)("%s leaves no socket and no timer where the server does not answer any more", async (end) => {
    const server = await node();
    const before = handles().length;
    const one = client(server.url, { env: { ...env, WebSocket: WebSocket as unknown as Env["WebSocket"] } });
    one.connect();
    await until(() => one.state === "open", "open");
    server.process.kill("SIGSTOP");
    ends.push(() => server.process.kill("SIGCONT"));
    const began = performance.now();
    one[end]();
    expect(one.state).toBe("closed");
    await until(() => handles().length <= before, "nothing to be left");
    expect(performance.now() - began).toBeLessThan(20_000); // `ws` itself waits for 30 s
  });
});
