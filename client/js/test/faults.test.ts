import { describe, expect, test, vi } from "vitest";
import { createSockets } from "../src/managed.js";
import { event, setUp } from "./server.js";
import { createWorld, settle } from "./world.js";

const presencePage = (...users: string[]) => ({ type: "presence", data: { users: 0, connections: 0, members: users.map((user) => ({ user })), next: null } });

describe("complaint: an expired token loops for ever. A loop without end", () => {
  test("does not come of a server that accepts and closes at once: the delays grow", async () => {
    const { client, world, accept } = setUp({}, () => 0.999);
    const delays: unknown[] = [];
    client.onStateChange.subscribe((state, { retryInMs }) => state === "reconnecting" && delays.push(retryInMs));
    client.connect();
    for (let i = 0; i < 4; i++) {
      (await accept()).end(1011, "server_error");
      await world.pass(Number(delays.at(-1)));
    }
    await accept();
    await world.pass(5000);
    world.sockets.at(-1)!.end(1011, "server_error"); // this one was open for a while
    expect(delays).toEqual([999, 1499, 2248, 3372, 999]);
    client.close();
  });

  test("does not come of tickets that are refused by a close code", async () => {
    const world = createWorld(() => 0.999);
    let tickets = 0;
    const sockets = createSockets({ url: "https://rt.example.com", getTicket: () => `t${++tickets}`, env: world.env });
    const socket = await sockets.connect("/notifications", {}, "notifications", { maxReconnectAttempts: 0 });
    for (let i = 0; i < 60; i++) {
      const newest = world.sockets.at(-1)!;
      if (newest.readyState === 0) newest.open();
      if (newest.readyState === 1) newest.end(1008, "ticket_invalid");
      await world.pass(1000);
    }
    expect(tickets).toBeLessThan(10);
    socket.close();
  });

  test("does not come of two refused tokens that take turns", async () => {
    let calls = 0;
    const { client, world, socket } = setUp({ getToken: () => `token-${++calls % 2}` });
    client.connect();
    for (let i = 0; i < 100; i++) {
      await world.pass(1000);
      if (socket().readyState === 0) socket().end(1008, "token_invalid");
    }
    expect(world.sockets.map(({ protocols }) => protocols[1])).toEqual(["token-1", "token-0"]);
    client.close();
  });

  test("does not come of a token that getToken gives again shortly before its end", async () => {
    const { client, world, asked, accept, answer } = setUp();
    client.connect();
    await accept({ expiresIn: 10_000, pingInterval: 0 });
    const end = world.now + 10_000;
    for (let i = 0; i < 100 && world.now < end; i++) {
      const before = asked.length;
      await world.pass(100);
      if (asked.length > before) await answer("refresh", { type: "refreshed", data: { expires_at: new Date(end).toISOString() } });
    }
    expect(asked.length).toBeLessThan(6);
    client.close();
  });

  test("does not come of refreshes that are refused while the connection stays open", async () => {
    const { client, world, asked, accept, socket } = setUp({}, () => 0.5);
    client.connect();
    await accept({ expiresIn: 3600_000, pingInterval: 0 });
    await world.pass(10_000);
    socket().say({ type: "warning", data: { code: "token_expiring", message: "" } });
    for (let i = 0, answered = 0; i < 60; i++) {
      await settle();
      for (const { id } of socket().commands.slice(answered)) socket().say({ type: "error", id, error: { code: "unauthorized", reason: "token_invalid", message: "no" } });
      answered = socket().commands.length;
      await world.pass(1000);
    }
    expect(asked.length).toBeLessThan(14);
    client.close();
  });
});

describe("a credential", () => {
  test("with which the connection is being continued is kept when the old one ends first", async () => {
    const { client, world, asked, accept, socket } = setUp();
    client.connect();
    await accept({ pingInterval: 0 });
    socket().say({ type: "warning", data: { code: "token_expiring", message: "" } });
    await settle();
    socket().end(1008, "token_expired");
    await world.pass(0);
    expect([socket().protocols[1], asked.length]).toEqual(["token-2", 2]);
    client.close();
  });

  test("that getToken never gives is asked for again", async () => {
    const signals: AbortSignal[] = [];
    const { client, world } = setUp({ getToken: ({ signal }) => (signals.push(signal), new Promise<string>(() => {})) });
    client.connect();
    await world.pass(70_000);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    client.close();
    expect(signals[1]!.aborted).toBe(true);
  });

  test("is refreshed by the server's clock where the page's clock is wrong", async () => {
    const { client, world, asked, accept, answer, socket } = setUp();
    client.connect();
    await accept({ expiresIn: 100_000, pingInterval: 0 });
    const hour = 3600_000;
    socket().say({
      type: "session_init",
      session_id: "s",
      timestamp: new Date(world.now + hour).toISOString(),
      data: { user: "ada", expires_at: new Date(world.now + hour + 100_000).toISOString(), ping_interval_s: 0, limits: { message_bytes: 65_536, channels: 1 } },
    });
    await world.pass(80_000);
    await answer("refresh", { type: "refreshed", data: { expires_at: new Date(world.now + hour + 100_000).toISOString() } });
    await world.pass(79_000);
    expect(asked).toHaveLength(2);
    await world.pass(2000);
    expect(asked).toHaveLength(3);
    client.close();
  });

  test("that the ticket route has refused is not posted again", async () => {
    const posted: string[] = [];
    const fetch = vi.fn(async (_: unknown, { headers }: { headers: Record<string, string> }) => {
      posted.push(headers.Authorization!);
      return new Response("{}", { status: 401 });
    });
    const world = createWorld();
    const sockets = createSockets({ url: "http://x", getToken: () => "stale", env: { ...world.env, fetch: fetch as never } });
    const opened = sockets.connectToChat("7", { maxReconnectAttempts: 3 });
    opened.catch(() => {});
    await world.pass(60_000);
    await expect(opened).rejects.toMatchObject({ code: "unauthorized" });
    expect([posted, sockets.connectionCount, world.timers]).toEqual([["Bearer stale"], 0, 0]);
  });
});

describe("the end", () => {
  test("is told once, however often close is called", async () => {
    const { client, accept } = setUp();
    const states: string[] = [];
    client.connect();
    await accept();
    client.onStateChange.subscribe((state) => states.push(state));
    client.close();
    client.close();
    expect(states).toEqual(["closing", "closed"]);
  });

  test("while offline does not keep the client from connecting later", async () => {
    const { client, world, accept } = setUp();
    client.connect();
    await accept();
    world.setOnline(false);
    client.close();
    client.connect();
    await accept();
    expect(client.state).toBe("open");
    client.close();
  });

  test("leaves no timer of a channel whose last listener has just gone, nor of one that goes later", async () => {
    const { client, world, accept, subscribe } = setUp();
    const first = client.channel("room:1").on("*", () => {});
    const second = client.channel("room:2").on("*", () => {});
    await accept();
    await subscribe();
    first();
    client.close();
    second();
    expect([world.timers, client.channel("room:1").state, client.channel("room:2").state]).toEqual([0, "idle", "idle"]);
  });

  test("by signOut ends loops over channels", async () => {
    const { client, accept, subscribe, socket } = setUp();
    const seen: unknown[] = [];
    const loop = (async () => {
      for await (const { offset } of client.channel("room:1")) seen.push(offset);
    })();
    await accept();
    await subscribe();
    socket().say(event(11));
    await settle();
    client.signOut();
    await loop;
    expect(seen).toEqual([11]);
  });
});

test("an answer to an earlier subscribe says nothing about a later one", async () => {
  const { client, world, accept, socket } = setUp();
  const room = client.channel("room:1");
  const told: unknown[] = [];
  room.onContinuity.subscribe((continuity) => told.push(continuity));
  const off = room.on("*", () => {});
  await accept();
  off();
  await world.pass(2000); // unsubscribed before the answer to subscribe
  room.on("*", () => {});
  await settle();
  const [first, , second] = socket().commands.filter(({ type }) => type !== "ping");
  socket().say({ type: "subscribed", id: first!.id, channel: "room:1", data: { epoch: "e1", offset: 3, recovered: false } });
  expect(room.state).toBe("subscribing");
  socket().say({ type: "subscribed", id: second!.id, channel: "room:1", data: { epoch: "e1", offset: 5, recovered: false } });
  expect([room.state, room.position?.offset, told]).toEqual(["live", 5, []]);
  client.close();
});

test("presence that the server cannot give now is asked for again, and changes meanwhile count once", async () => {
  const { client, world, accept, subscribe, answer, socket } = setUp();
  const people = client.channel("room:1").presence();
  people.onChange.subscribe(() => {});
  await accept();
  await subscribe();
  await answer("presence", { type: "error", error: { code: "unavailable", message: "later" } });
  socket().say({ type: "join", channel: "room:1", data: { user: "ada" } });
  await world.pass(4000);
  await answer("presence", presencePage("ada", "bob"));
  expect(people.members.map(({ user }) => user)).toEqual(["ada", "bob"]);
  client.close();
});

test("ids of events are made where there is no crypto.randomUUID: pages without TLS, React Native", async () => {
  vi.stubGlobal("crypto", {});
  const { client, accept, socket } = setUp({ outbox: "queue" });
  void client.channel("room:1").publish("notification", { message: "x" }).catch(() => {});
  await accept();
  expect(socket().commands.find(({ type }) => type === "publish")!.data.event_id).toMatch(/^[a-z0-9]{10,}$/);
  client.signOut();
  vi.unstubAllGlobals();
});
