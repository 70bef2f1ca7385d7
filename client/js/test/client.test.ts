import { describe, expect, test } from "vitest";
import { Unauthorized } from "../src/errors.js";
import { event, setUp } from "./server.js";
import { settle } from "./world.js";

describe("complaint: an expired token loops for ever, or leaves a dead socket. An expired token", () => {
  test("is asked for once more at once, then with growing delays, and never sent twice", async () => {
    const { client, world, asked, socket } = setUp({}, () => 0.999);
    client.connect();
    await settle();
    for (const delay of [0, 1500, 2250, 3375]) {
      await world.pass(delay);
      expect(socket().protocols[1]).toBe(`token-${world.sockets.length}`);
      socket().open();
      socket().end(1008, "token_expired");
    }
    expect(asked.map(({ why }) => why)).toEqual(["connect", "refused", "refused", "refused"]);
    expect(asked[1]!.refusal).toMatchObject({ code: 1008, reason: "token_expired" });
    await world.pass(100);
    expect(world.sockets).toHaveLength(4);
    client.close();
  });

  test("is not sent again when getToken gives the same one", async () => {
    const { client, world, errors } = setUp({ getToken: () => "the same" });
    client.connect();
    await settle();
    world.sockets[0]!.end(1008, "token_expired");
    await world.pass(120_000);
    expect(world.sockets).toHaveLength(1);
    expect(String(errors[0])).toMatch("refused");
    client.close();
  });

  test("is refreshed once, at 80 % of its lifetime", async () => {
    const { client, world, asked, accept, answer, socket } = setUp();
    client.connect();
    await accept({ expiresIn: 100_000, pingInterval: 0 });
    socket().say({ type: "warning", data: { code: "of_a_later_version", message: "" } });
    await world.pass(79_000);
    expect(asked).toHaveLength(1);
    socket().say({ type: "warning", data: { code: "token_expiring", message: "soon" } });
    socket().say({ type: "warning", data: { code: "token_expiring", message: "soon" } });
    await world.pass(1500);
    expect(asked.map(({ why }) => why)).toEqual(["connect", "refresh"]);
    expect(socket().commands.filter(({ type }) => type === "refresh")).toMatchObject([{ data: { token: "token-2" } }]);
    await answer("refresh", { type: "refreshed", data: { expires_at: new Date(world.now + 100_000).toISOString() } });
    await world.pass(81_000);
    expect(asked).toHaveLength(3);
    expect(world.sockets).toHaveLength(1);
    client.close();
  });

  test("ends the client when getToken says that the user is signed out", async () => {
    const { client, world, errors } = setUp({
      getToken: () => {
        throw new Unauthorized();
      },
    });
    const changes: unknown[] = [];
    client.onStateChange.subscribe((state, { reason }) => changes.push([state, reason]));
    client.connect();
    await world.pass(60_000);
    expect(changes).toEqual([
      ["connecting", undefined],
      ["closing", "signed_out"],
      ["closed", "signed_out"],
    ]);
    expect(errors).toHaveLength(1);
    expect([world.sockets.length, world.timers, world.watchers]).toEqual([0, 0, 0]);
  });

  test("that cannot be had now is asked for later", async () => {
    let calls = 0;
    const { client, world, accept } = setUp({
      getToken: () => {
        if (++calls < 3) throw new Error("the login service is away");
        return "token";
      },
    });
    client.connect();
    await world.pass(10_000);
    await accept();
    expect([calls, client.state]).toEqual([3, "open"]);
    client.close();
  });
});

describe("complaint: a lifecycle that cannot be seen. In the life of a connection", () => {
  test("each change has its code, its reason and its next attempt", async () => {
    const { client, world, accept, socket } = setUp();
    const changes: object[] = [];
    client.onStateChange.subscribe((_, change) => changes.push(change));
    client.connect();
    await accept();
    socket().end(1013, "slow_consumer");
    await world.pass(600);
    await accept();
    expect(changes).toEqual([
      { state: "connecting", previous: "idle" },
      { state: "open", previous: "connecting" },
      { state: "reconnecting", previous: "open", code: 1013, reason: "slow_consumer", attempt: 1, retryInMs: 500 },
      { state: "open", previous: "reconnecting" },
    ]);
    client.close();
  });

  test("final refusals end it", async () => {
    for (const [code, reason] of [[1008, "origin_denied"], [1008, "scope_missing"], [1008, "bad_messages"], [1002, ""], [1009, "message_too_big"]] as const) {
      const { client, world, accept } = setUp();
      client.connect();
      (await accept()).end(code, reason);
      await world.pass(60_000);
      expect([client.state, world.sockets.length, world.timers]).toEqual(["closed", 1, 0]);
    }
  });
});

describe("complaint: silent death after a sleep or a network change. A dead line", () => {
  test("is found by a ping after silence, and left after 3 seconds", async () => {
    const { client, world, accept, socket } = setUp();
    client.connect();
    await accept({ pingInterval: 25 });
    await world.pass(34_900);
    expect(socket().sent).toEqual([]);
    await world.pass(200);
    expect(socket().commands.map(({ type }) => type)).toEqual(["ping"]);
    await world.pass(3000);
    expect(client.state).toBe("reconnecting");
    client.close();
  });

  test("is not suspected when the answer comes within the same millisecond", async () => {
    const { client, world, accept, answer, socket } = setUp();
    client.connect();
    await accept({ pingInterval: 25 });
    for (let pings = 1; pings <= 3; pings++) {
      await world.pass(35_000);
      expect(socket().commands.length).toBe(pings);
      await answer("ping", { type: "pong" });
    }
    expect([client.state, world.sockets.length]).toEqual(["open", 1]);
    client.close();
  });

  test("is not suspected while frames come", async () => {
    const { client, world, accept, socket } = setUp();
    client.connect();
    await accept({ pingInterval: 25 });
    for (let i = 0; i < 20; i++) {
      await world.pass(20_000);
      socket().say(event(undefined));
    }
    expect(socket().sent).toEqual([]);
    client.close();
  });

  test("is looked for at once after a sleep", async () => {
    const { client, world, accept, socket } = setUp();
    client.connect();
    await accept();
    world.wake();
    expect(socket().commands.map(({ type }) => type)).toEqual(["ping"]);
    await world.pass(3100);
    expect(client.state).toBe("reconnecting");
    client.close();
  });

  test("offline: nothing is dialled until the network is back, then at once", async () => {
    const { client, world, accept } = setUp();
    client.connect();
    await accept();
    world.setOnline(false);
    expect(client.state).toBe("reconnecting");
    await world.pass(600_000);
    expect(world.sockets).toHaveLength(1);
    world.setOnline(true);
    await world.pass(0);
    expect(world.sockets).toHaveLength(2);
    client.close();
  });
});

test("a server that drains moves its clients without a delay of their own", async () => {
  const { client, world, accept, socket } = setUp({}, () => 0.999);
  client.connect();
  (await accept()).say({ type: "reconnect", data: { reason: "draining", after_ms: 4000 } });
  await world.pass(3900);
  expect(world.sockets).toHaveLength(1);
  await world.pass(200);
  expect(world.sockets).toHaveLength(2);
  expect(socket().protocols[1]).toBe("token-1");
  client.close();
});

test("clients of a server that restarts do not come back at the same moment", async () => {
  const delays = new Set<number>();
  for (let i = 0; i < 100; i++) {
    const { client, accept } = setUp({}, () => i / 100);
    client.onStateChange.subscribe((_, { retryInMs }) => retryInMs !== undefined && delays.add(retryInMs));
    client.connect();
    (await accept()).end(1006);
    client.close();
  }
  expect(delays.size).toBe(100);
  expect(Math.max(...delays) - Math.min(...delays)).toBeGreaterThan(900);
});

test("complaint: state that survives logout. signOut leaves nothing of the user", async () => {
  const { client, world, accept, subscribe, socket } = setUp({ outbox: "queue" });
  const room = client.channel("room:1");
  const seen: unknown[] = [];
  room.on("*", (e) => seen.push(e));
  await accept();
  await subscribe();
  const open = socket();
  const waiting = room.publish("chat_message", { conversation_id: "1", sender_id: "ada", content: "x" });
  client.signOut();
  await expect(waiting).rejects.toMatchObject({ code: "closed", reason: "signed_out" });
  open.say(event(11));
  expect([client.state, client.session, room.state, room.position, seen, world.timers, world.watchers]).toEqual(["closed", null, "idle", null, [], 0, 0]);
});

test("complaint: state that survives logout. After signOut nothing asks for a token, dials, or is told; after close only connect does", async () => {
  const { client, world, asked, accept, subscribe, answer, socket } = setUp();
  const room = client.channel("room:1");
  const told: unknown[] = [];
  room.on("*", () => told.push("event"));
  room.presence().onChange.subscribe(() => told.push("members"));
  await accept();
  await subscribe();
  await answer("presence", { type: "presence", data: { members: [{ user: "ada" }], next: null } });
  client.close();
  client.channel("room:2").on("*", () => {});
  await expect(room.publish("notification", { message: "x" })).rejects.toMatchObject({ code: "closed", reason: "closed" });
  await expect(room.history()).rejects.toMatchObject({ code: "closed" });
  await world.pass(60_000);
  expect([client.state, asked.length, world.sockets.length]).toEqual(["closed", 1, 1]);
  client.connect();
  await accept();
  expect(socket().commands.map(({ data }) => data.channel)).toEqual(["room:1", "room:2"]);
  client.signOut();
  told.length = 0;
  client.connect();
  room.on("*", () => {});
  room.presence().onChange.subscribe(() => {});
  await expect(room.publish("notification", { message: "x" })).rejects.toMatchObject({ code: "closed", reason: "signed_out" });
  await world.pass(60_000);
  expect([client.state, asked.length, world.sockets.length, told, world.timers, world.watchers]).toEqual(["closed", 2, 2, [], 0, 0]);
});

test("a token that is shorter than the server's warning is refreshed at 80 % of its lifetime, and not at once too", async () => {
  const { client, world, asked, accept, socket } = setUp();
  client.connect();
  await accept({ expiresIn: 20_000, pingInterval: 0 });
  socket().say({ type: "warning", data: { code: "token_expiring", message: "soon" } });
  await world.pass(15_900);
  expect(asked).toHaveLength(1);
  await world.pass(200);
  expect(asked.map(({ why }) => why)).toEqual(["connect", "refresh"]);
  client.close();
});

test("each error of onError is a CarillonError: what getToken throws is its cause", async () => {
  const { client, errors, socket, accept } = setUp({
    getToken: () => {
      if (!errors.length) throw new TypeError("fetch failed");
      return "token";
    },
  });
  client.connect();
  await settle();
  expect(errors).toMatchObject([{ name: "CarillonError", code: "no_credential", retryable: true, message: "TypeError: fetch failed", cause: { name: "TypeError" } }]);
  client.close();
  client.connect();
  await accept();
  socket().say("no JSON");
  expect(errors[1]).toMatchObject({ name: "CarillonError", code: "invalid_answer" });
  client.close();
});
