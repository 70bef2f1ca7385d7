import { describe, expect, test } from "vitest";
import type { Continuity, ListenOptions } from "../src/channel-api.js";
import { storageStore } from "../src/store.js";
import { event, setUp } from "./server.js";
import { settle } from "./world.js";

const types = (sent: { type: string }[]) => sent.map(({ type }) => type);

describe("a subscription", () => {
  test("complaint: already subscribed. It begins with the first listener, for all listeners together", async () => {
    const { client, accept, subscribe, socket } = setUp();
    expect(client.channel("room:1")).toBe(client.channel("room:1"));
    const seen: string[] = [];
    client.channel("room:1").on("chat_message", ({ data }) => seen.push(`a ${data.content}`));
    client.channel("room:1").on("*", ({ type }) => seen.push(`b ${type}`));
    await accept();
    await subscribe();
    socket().say(event(11));
    expect(types(socket().commands)).toEqual(["subscribe"]);
    expect(seen).toEqual(["a message 11", "b chat_message"]);
    client.close();
  });

  test("complaint: React StrictMode subscribes twice. On, off, on is one subscribe", async () => {
    const { client, world, accept, subscribe, socket } = setUp();
    const room = client.channel("room:1");
    const off = room.on("*", () => {});
    await accept();
    await subscribe();
    off();
    await world.pass(1000);
    const second = room.on("*", () => {});
    await world.pass(10_000);
    expect(types(socket().commands)).toEqual(["subscribe"]);
    second();
    second();
    await world.pass(2000);
    expect(types(socket().commands)).toEqual(["subscribe", "unsubscribe"]);
    expect(room.state).toBe("idle");
    client.close();
  });

  test("ends with the signal of its listener", async () => {
    const { client, world, accept, socket } = setUp();
    const abort = new AbortController();
    client.channel("room:1").on("*", () => {}, { signal: abort.signal });
    await accept();
    abort.abort();
    await world.pass(2000);
    expect(types(socket().commands)).toEqual(["subscribe", "unsubscribe"]);
    client.close();
  });

  test("that is refused is told, with the reason, and is not tried again", async () => {
    const { client, world, accept, answer, socket } = setUp();
    const room = client.channel("room:1");
    const states: unknown[] = [];
    room.onStateChange.subscribe((state, error) => states.push([state, error?.code]));
    room.on("*", () => {});
    await accept({ pingInterval: 0 });
    await answer("subscribe", { type: "error", error: { code: "forbidden", message: "no" } });
    await world.pass(60_000);
    expect(states).toEqual([["subscribing", undefined], ["refused", "forbidden"]]);
    expect(types(socket().commands).filter((type) => type === "subscribe")).toHaveLength(1);
    client.close();
  });

  test("that the server cannot serve now is tried again", async () => {
    const { client, world, accept, answer, subscribe } = setUp();
    client.channel("room:1").on("*", () => {});
    await accept();
    await answer("subscribe", { type: "error", error: { code: "unavailable", message: "later" } });
    await world.pass(2000);
    await subscribe();
    expect(client.channel("room:1").state).toBe("live");
    client.close();
  });
});

describe("recovery", () => {
  test("goes on from the last event, drops what is known, and says so", async () => {
    const { client, world, accept, subscribe, socket } = setUp();
    const room = client.channel("room:1");
    const seen: unknown[] = [];
    const continuity: Continuity[] = [];
    room.on("*", (e) => seen.push(e.offset));
    room.onContinuity.subscribe((c) => continuity.push(c));
    await accept();
    await subscribe();
    socket().say(event(11));
    socket().end(1006);
    expect(room.state).toBe("lost");
    await world.pass(1000);
    await accept();
    expect(socket().commands[0]!.data).toEqual({ channel: "room:1", since: { epoch: "e1", offset: 11, id: "i11" } });
    await subscribe({ epoch: "e1", offset: 11, id: "i11", recovered: true });
    for (const offset of [11, 12, 12, 13]) socket().say(event(offset));
    expect(seen).toEqual([11, 12, 13]);
    expect(continuity).toEqual([{ recovered: true, missed: 0, position: { epoch: "e1", offset: 11, id: "i11" } }]);
    client.close();
  });

  test("that is not possible is told, and so is a gap", async () => {
    const { client, world, accept, subscribe, socket } = setUp();
    const room = client.channel("room:1");
    const continuity: Continuity[] = [];
    const seen: unknown[] = [];
    room.on("*", (e) => seen.push(e.offset));
    room.onContinuity.subscribe((c) => continuity.push(c));
    await accept();
    await subscribe();
    socket().end(1006);
    await world.pass(1000);
    await accept();
    await subscribe({ epoch: "e2", offset: 3, recovered: false });
    socket().say({ type: "gap", channel: "room:1", data: { reason: "history_too_short", epoch: "e2", offset: 9, id: "i9" } });
    socket().say(event(9));
    socket().say(event(10));
    expect(continuity).toEqual([
      { recovered: false, reason: "not_recovered", position: { epoch: "e2", offset: 3 } },
      { recovered: false, reason: "history_too_short", missed: 6, position: { epoch: "e2", offset: 9, id: "i9" } },
    ]);
    expect(seen).toEqual([10]);
    client.close();
  });

  test("that a first listener asks for by its own position, and that is not possible, is told with how many are missing", async () => {
    for (const [epoch, missed] of [["e1", 6], ["e2", undefined]] as const) {
      const { client, accept, subscribe } = setUp();
      const room = client.channel("room:1");
      const continuity: Continuity[] = [];
      room.onContinuity.subscribe((told) => continuity.push(told));
      room.on("*", () => {}, { since: { epoch: "e1", offset: 4 } });
      await accept();
      await subscribe({ epoch, offset: 10, recovered: false });
      expect(continuity).toEqual([{ recovered: false, reason: "not_recovered", missed, position: { epoch, offset: 10 } }]);
      client.close();
    }
  });

  test("works across the reload of a page with a store", async () => {
    const kept = new Map<string, string>();
    const storage = {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => void kept.set(key, value),
      removeItem: (key: string) => void kept.delete(key),
    };
    const before = setUp({ store: storageStore(storage) });
    before.client.channel("room:1").on("*", () => {});
    await before.accept();
    await before.subscribe();
    before.socket().say(event(11));
    const after = setUp({ store: storageStore(storage) });
    after.client.channel("room:1").on("*", () => {}, { last: 5 });
    await after.accept();
    expect(after.socket().commands[0]!.data.since).toEqual({ epoch: "e1", offset: 11, id: "i11" });
    before.client.close();
    after.client.signOut();
    expect(kept.size).toBe(0);
  });
});

describe("a first listener that asks for earlier events", () => {
  const page = (from: number, to: number) => ({
    type: "history",
    data: { epoch: "e1", offset: to, more: false, events: Array.from({ length: to - from + 1 }, (_, i) => event(from + i)) as { offset?: number }[] },
  });

  /** An open connection, and a channel that is subscribed for its presence alone. */
  async function present(live = true) {
    const all = setUp();
    const room = all.client.channel("room:1");
    const seen: unknown[] = [];
    const listen = (options: ListenOptions) => room.on("chat_message", ({ offset }) => void seen.push(offset), options);
    all.client.connect();
    await all.accept();
    room.presence().onChange.subscribe(() => {});
    await settle();
    if (live) await all.subscribe();
    return { ...all, room, seen, listen };
  }

  test("in the moment in which presence is asked for gets them by the subscribe", async () => {
    const { client, accept, socket } = setUp();
    client.connect();
    await accept();
    client.channel("room:1").presence().onChange.subscribe(() => {});
    client.channel("room:1").on("*", () => {}, { last: 5 });
    await settle();
    expect(socket().commands.map(({ type, data }) => [type, data])).toEqual([["subscribe", { channel: "room:1", last: 5 }]]);
    client.close();
  });

  test.each([false, true])("after presence was subscribed gets them by history, in order and once. Answered before: %s", async (live) => {
    const { client, seen, listen, subscribe, answer, socket } = await present(live);
    listen({ last: 3 });
    if (!live) await subscribe();
    for (const offset of [11, 12]) socket().say(event(offset));
    await answer("history", page(9, 11));
    socket().say(event(13));
    expect(seen).toEqual([9, 10, 11, 12, 13]);
    expect(socket().commands.find(({ type }) => type === "history")!.data).toEqual({ channel: "room:1", limit: 3 });
    client.close();
  });

  test("gets those after its position", async () => {
    const { client, seen, listen, answer, socket } = await present();
    const since = { epoch: "e1", offset: 7 };
    listen({ since });
    socket().say(event(11));
    expect(socket().commands.at(-1)!.data).toEqual({ channel: "room:1", since, limit: 1000 });
    await answer("history", page(8, 12));
    socket().say(event(12));
    expect(seen).toEqual([8, 9, 10, 11, 12]);
    client.close();
  });

  test("gets them after a connection that broke meanwhile, with what was missed", async () => {
    const { client, world, seen, listen, accept, subscribe, answer, socket } = await present();
    listen({ last: 2 });
    socket().say(event(11));
    socket().end(1006);
    await world.pass(1000);
    await accept();
    expect(socket().commands.at(-1)!.data.since).toEqual({ epoch: "e1", offset: 11, id: "i11" });
    await subscribe({ epoch: "e1", offset: 11, id: "i11", recovered: true });
    socket().say(event(12));
    await answer("history", page(10, 11));
    socket().say(event(13));
    expect(seen).toEqual([10, 11, 12, 13]);
    client.close();
  });

  test("gets the later ones where it may not read the history, and is told why", async () => {
    const { client, errors, seen, listen, answer, socket } = await present();
    listen({ last: 2 });
    socket().say(event(11));
    await answer("history", { type: "error", error: { code: "forbidden", message: "no" } });
    expect([seen, errors]).toMatchObject([[11], [{ code: "forbidden" }]]);
    client.close();
  });

  test("gets the later ones of a channel without history, which is asked for none", async () => {
    const { client, errors, seen, listen, subscribe, socket } = await present(false);
    await subscribe({ recovered: false });
    listen({ last: 2 });
    socket().say(event(undefined));
    expect([seen, errors, socket().commands.map(({ type }) => type)]).toEqual([[undefined], [], ["subscribe", "presence"]]);
    client.close();
  });

  test("twice, as React StrictMode does it, gets them once", async () => {
    const { client, seen, listen, answer, socket } = await present();
    listen({ last: 2 })();
    listen({ last: 2 });
    socket().say(event(11));
    const [first, second] = socket().commands.filter(({ type }) => type === "history");
    socket().say({ channel: "room:1", ...page(9, 10), id: first!.id });
    await settle();
    expect([seen, second!.data]).toEqual([[], { channel: "room:1", limit: 2 }]);
    await answer("history", page(9, 10));
    expect(seen).toEqual([9, 10, 11]);
    client.close();
  });

  test("and goes before they come is told nothing", async () => {
    const { client, seen, listen, answer } = await present();
    listen({ last: 2 })();
    await answer("history", page(9, 10));
    expect(seen).toEqual([]);
    client.close();
  });
});

test.each([true, false])("the first listener of all that has a position is told whether all after it comes: %s", async (recovered) => {
  const { client, accept, subscribe } = setUp();
  const room = client.channel("room:1");
  const told: unknown[] = [];
  room.onContinuity.subscribe(({ recovered, reason }) => told.push([recovered, reason]));
  room.on("*", () => {}, { since: { epoch: "e1", offset: 7 } });
  await accept();
  await subscribe({ epoch: "e1", offset: recovered ? 7 : 10, recovered });
  expect(told).toEqual([[recovered, recovered ? undefined : "not_recovered"]]);
  client.close();
});

describe("a further listener that asks for earlier events", () => {
  const page = (from: number, to: number, more = false, epoch = "e1") => ({
    type: "history",
    data: { epoch, offset: to, more, events: Array.from({ length: to - from + 1 }, (_, i) => event(from + i)) as { offset?: number }[] },
  });
  const from = (offset: number) => ({ epoch: "e1", offset });

  /** A live channel with a listener that has asked for nothing. */
  async function live(first: ListenOptions = {}) {
    const all = setUp();
    const room = all.client.channel("room:1");
    const listen = (options: ListenOptions, seen: unknown[] = []) => (room.on("*", ({ offset }) => void seen.push(offset), options), seen);
    const before = listen(first);
    await all.accept();
    await all.subscribe();
    const asked = () => all.socket().commands.filter(({ type }) => type === "history").map(({ data: { channel, ...data } }) => data);
    return { ...all, room, listen, before, asked };
  }

  test("gets the last ones and then the live ones, each once. The others get live ones alone, and at once", async () => {
    const { client, before, listen, asked, answer, socket } = await live();
    const seen = listen({ last: 3 });
    for (const offset of [11, 12]) socket().say(event(offset));
    expect([before, seen]).toEqual([[11, 12], []]);
    await answer("history", page(10, 13)); // the server has another one already
    for (const offset of [13, 14]) socket().say(event(offset));
    expect([before, seen, asked()]).toEqual([[11, 12, 13, 14], [10, 11, 12, 13, 14], [{ limit: 3 }]]);
    client.close();
  });

  test("of several each gets its own number, also of those that come before the channel is live", async () => {
    const all = setUp();
    const room = all.client.channel("room:1");
    const listen = (options: ListenOptions, seen: unknown[] = []) => (room.on("*", ({ offset }) => void seen.push(offset), options), seen);
    const [two, same, three] = [listen({ last: 2 }), listen({ last: 2 }), listen({ last: 3 })];
    await all.accept();
    await all.subscribe({ epoch: "e1", offset: 8, recovered: false });
    for (const offset of [9, 10]) all.socket().say(event(offset));
    await all.answer("history", page(8, 10));
    all.socket().say(event(11));
    expect(all.socket().commands.map(({ type, data }) => [type, data.last ?? data.limit])).toEqual([["subscribe", 2], ["history", 3]]);
    expect([two, same, three]).toEqual([[9, 10, 11], [9, 10, 11], [8, 9, 10, 11]]);
    all.client.close();
  });

  test("gets the last ones of pages that end early because their events are large", async () => {
    const { client, listen, asked, answer } = await live();
    const seen = listen({ last: 5 });
    await answer("history", page(9, 10, true));
    await answer("history", page(7, 8, true));
    await answer("history", page(6, 6, true));
    expect([seen, asked()]).toEqual([[6, 7, 8, 9, 10], [{ limit: 5 }, { limit: 3, before: from(9) }, { limit: 1, before: from(7) }]]);
    client.close();
  });

  test("gets all pages after its position, until the live ones", async () => {
    const { client, errors, listen, asked, answer, socket } = await live();
    const seen = listen({ since: from(3) });
    await answer("history", page(4, 6, true));
    socket().say(event(11));
    await answer("history", page(7, 9, true));
    await answer("history", page(10, 11, true)); // events are published faster than they are read
    socket().say(event(12));
    expect([seen, asked().map(({ since }) => since), errors]).toEqual([[4, 5, 6, 7, 8, 9, 10, 11, 12], [from(3), from(6), from(9)], []]);
    client.close();
  });

  test.each([
    ["some", page(6, 10)],
    ["all", { type: "history", data: { epoch: "e1", offset: 10, more: false, events: [] } }],
  ])("is told by an error that the history does not reach back to its position: %s are gone", async (_, pages) => {
    const { client, errors, listen, answer, socket } = await live();
    const seen = listen({ since: from(4) });
    await answer("history", pages);
    socket().say(event(11));
    expect([seen, errors]).toMatchObject([[...pages.data.events.map(({ offset }: { offset?: number }) => offset), 11], [{ code: "history_too_short" }]]);
    client.close();
  });

  test("gets them although the server has no time for a page, and all pages again after a broken connection", async () => {
    const { client, world, errors, listen, accept, subscribe, asked, answer, socket } = await live();
    const seen = listen({ since: from(6) });
    await answer("history", page(7, 8, true));
    await answer("history", { type: "error", error: { code: "rate_limited", message: "later" } });
    await world.pass(1000);
    expect(asked()).toHaveLength(3);
    socket().end(1006);
    await world.pass(1000);
    await accept();
    await subscribe({ epoch: "e1", offset: 10, id: "i10", recovered: true });
    await answer("history", page(7, 10));
    socket().say(event(11));
    expect([seen, errors]).toEqual([[7, 8, 9, 10, 11], []]);
    client.close();
  });

  test("gets the live ones alone where the server does not give a page at all, and leaves no timer", async () => {
    const { client, world, errors, listen, asked, answer, socket } = await live();
    const seen = listen({ last: 2 });
    const busy = () => answer("history", { type: "error", error: { code: "unavailable", message: "later" } });
    for (let i = 0; i < 5; i++) {
      await busy();
      await world.pass(4000);
    }
    socket().say(event(11));
    expect([seen, asked().length, errors]).toMatchObject([[11], 5, [{ code: "unavailable" }]]);
    listen({ last: 2 });
    await busy();
    client.close();
    expect(world.timers).toBe(0);
  });

  test("gets those of the history that began anew meanwhile", async () => {
    const { client, listen, answer, socket } = await live();
    const seen = listen({ last: 2 });
    socket().say(event(11));
    socket().say({ type: "gap", channel: "room:1", data: { reason: "epoch_changed", epoch: "e2", offset: 1 } });
    await answer("history", page(1, 1, false, "e2"));
    socket().say(event(2));
    expect(seen).toEqual([1, 2]);
    client.close();
  });

  test("and goes amid them is told no more", async () => {
    const { client, room, answer } = await live();
    const seen: unknown[] = [];
    const off = room.on("*", ({ offset }) => {
      if (seen.push(offset) === 2) off();
    }, { last: 3 });
    await answer("history", page(8, 10));
    expect(seen).toEqual([8, 9]);
    client.close();
  });
});

test("a listener of before signOut that is removed later takes nothing from those of the next user", async () => {
  const { client, world, accept } = setUp();
  const room = client.channel("room:1");
  const off = room.on("*", () => {});
  await accept();
  client.signOut();
  off();
  room.on("*", () => {});
  off();
  await world.pass(5000);
  expect([room.state, world.sockets.length]).toEqual(["subscribing", 1]);
  client.close();
});

describe("presence", () => {
  const page = (members: object[], next: string | null = null) => ({ type: "presence", data: { users: 0, connections: 0, members, next } });

  test("applies joins and leaves that come before the answer, and asks again after a gap", async () => {
    const { client, accept, subscribe, answer, socket } = setUp();
    const people = client.channel("room:1").presence();
    const told: string[] = [];
    people.onChange.subscribe((members) => told.push(members.map(({ user }) => user).join(",")));
    await accept();
    await subscribe();
    socket().say({ type: "join", channel: "room:1", data: { user: "cid" } });
    socket().say({ type: "leave", channel: "room:1", data: { user: "ann" } });
    await answer("presence", page([{ user: "ann" }], "ann"));
    await answer("presence", page([{ user: "bob" }]));
    socket().say({ type: "join", channel: "room:1", data: { user: "ada" } });
    expect(told).toEqual(["bob,cid", "ada,bob,cid"]);
    socket().say({ type: "gap", channel: "room:1", data: { reason: "connection_lost", epoch: "e1", offset: 10 } });
    await answer("presence", page([{ user: "eve" }]));
    expect(people.members).toEqual([{ user: "eve" }]);
    client.close();
  });

  test("is kept current for a channel that has listeners of events alone, and told to a new listener at once", async () => {
    const { client, accept, subscribe, answer, socket } = setUp();
    const room = client.channel("room:1");
    room.on("*", () => {});
    await accept();
    await subscribe();
    const people = room.presence();
    await answer("presence", page([{ user: "ada" }]));
    socket().say({ type: "join", channel: "room:1", data: { user: "bob" } });
    expect(people.members).toEqual([{ user: "ada" }, { user: "bob" }]);
    const told: number[] = [];
    people.onChange.subscribe((members) => told.push(members.length));
    people.onChange.subscribe((members) => told.push(-members.length))();
    await settle();
    expect([told, types(socket().commands)]).toEqual([[2], ["subscribe", "presence"]]);
    client.signOut();
    await settle();
    expect([told, people.members]).toEqual([[2], []]);
    client.close();
  });
});

describe("complaint: sends while offline are lost or doubled. A publish", () => {
  const data = { conversation_id: "1", sender_id: "ada", content: "x" };

  test("waits for the first connection, and fails by default once one was lost", async () => {
    const { client, world, accept, answer, socket } = setUp();
    const room = client.channel("room:1");
    room.on("*", () => {});
    const [published, read] = [room.publish("chat_message", data), room.history()];
    await settle();
    socket().end(1006); // the first attempt fails
    await world.pass(1000);
    await accept();
    expect(types(socket().commands)).toEqual(["subscribe", "publish", "history"]);
    await answer("publish", { type: "published", data: { id: "i1" } });
    await answer("history", { type: "history", data: { events: [], more: false } });
    expect([await published, await read]).toEqual([{ id: "i1", duplicate: false }, { events: [], more: false }]);
    const lost = room.publish("chat_message", data);
    socket().end(1006);
    await expect(lost).rejects.toMatchObject({ code: "offline", retryable: true });
    await expect(room.publish("chat_message", data)).rejects.toMatchObject({ code: "offline", retryable: true });
    await expect(room.history()).rejects.toMatchObject({ code: "offline" });
    client.close();
    expect(world.timers).toBe(0);
  });

  test("or a history of a fresh client connects, and does not wait for longer than its time", async () => {
    for (const call of ["publish", "history"] as const) {
      const { client, world } = setUp();
      const room = client.channel("room:1");
      const done = call === "publish" ? room.publish("chat_message", data, { timeoutMs: 500 }) : room.history({ timeoutMs: 500 });
      await settle();
      expect(world.sockets).toHaveLength(1);
      const rejected = expect(done).rejects.toMatchObject({ code: "timeout" });
      await world.pass(500);
      await rejected;
      client.close();
    }
  });

  test("that is too large is not sent, ends nothing, and does not keep later ones back", async () => {
    for (const outbox of ["reject", "queue"] as const) {
      const { client, accept, answer, socket } = setUp({ outbox });
      const room = client.channel("room:1");
      const frame = { type: "publish", id: 1, data: { channel: "room:1", type: "chat_message", data: { ...data, content: "" }, event_id: "e" } };
      const space = 65_536 - JSON.stringify(frame).length;
      // An umlaut has two bytes.
      const [fits, large, wide] = ["x".repeat(space), "x".repeat(space + 1), "ü".repeat(space / 2 + 1)].map((content) => room.publish("chat_message", { ...data, content }, { eventId: "e" }));
      await accept();
      await expect(large).rejects.toMatchObject({ code: "too_large", retryable: false });
      await expect(wide).rejects.toMatchObject({ code: "too_large" });
      expect(socket().sent.map((text) => text.length)).toEqual([65_536]);
      await answer("publish", { type: "published", data: { id: "i1" } });
      expect(await fits).toMatchObject({ id: "i1" });
      expect(client.state).toBe("open");
      client.close();
    }
  });

  test("that is under way or waits when the connection ends for good fails with that end, and is not sent again", async () => {
    const { client, world, accept, socket } = setUp({ outbox: "queue" });
    const room = client.channel("room:1");
    const sent = room.publish("chat_message", data);
    (await accept()).end(1009, "message_too_big");
    await expect(sent).rejects.toMatchObject({ code: "closed", reason: "message_too_big", retryable: false, eventId: expect.any(String) });
    await expect(room.publish("chat_message", data)).rejects.toMatchObject({ code: "closed", reason: "message_too_big" });
    await world.pass(60_000);
    expect([world.sockets.length, world.timers]).toEqual([1, 0]);
    client.connect();
    await accept();
    expect(socket().sent).toEqual([]);
    client.close();
  });

  test("that waits in the outbox fails after its time, and when the client is closed", async () => {
    const { client, world } = setUp({ outbox: "queue" });
    const room = client.channel("room:1");
    const short = expect(room.publish("chat_message", data, { timeoutMs: 500 })).rejects.toMatchObject({ code: "timeout", retryable: true, eventId: expect.any(String) });
    const long = expect(room.publish("chat_message", data)).rejects.toMatchObject({ code: "closed", reason: "closed" });
    await world.pass(500);
    await short;
    await world.pass(60_000); // without a time of its own it waits for the connection
    client.close();
    await long;
    expect(world.timers).toBe(0);
  });

  test("that was sent before the connection was lost waits for the next one for as long as it takes", async () => {
    const { client, world, accept, answer } = setUp({ outbox: "queue" });
    const result = client.channel("room:1").publish("chat_message", data);
    await accept();
    world.setOnline(false);
    await world.pass(60_000);
    world.setOnline(true);
    await world.pass(0);
    await accept();
    await answer("publish", { type: "published", data: { id: "i1" } });
    expect(await result).toMatchObject({ id: "i1" });
    client.close();
  });

  test("whose answer was lost keeps later ones not back, and its error has the id to send it again with", async () => {
    const { client, world, accept, socket } = setUp({ outbox: "queue" });
    const room = client.channel("room:1");
    client.connect();
    await accept({ pingInterval: 0 });
    const publish = (content: string) => room.publish("chat_message", { ...data, content });
    const lost = publish("lost");
    lost.catch(() => {});
    for (let n = 0; n < 20; n++) {
      const next = publish(`${n}`);
      await settle();
      const { id } = socket().commands.at(-1)!;
      socket().say({ type: "published", id, data: { id: `i${n}` } });
      expect((await next).id).toBe(`i${n}`);
    }
    await world.pass(15_000);
    const sent = socket().commands[0]!.data.event_id;
    await expect(lost).rejects.toMatchObject({ code: "timeout", eventId: sent });
    client.close();
  });

  test("of a long outbox does not come with all the others at once: the server has a rate", async () => {
    const { client, accept, socket } = setUp({ outbox: "queue" });
    const all = Array.from({ length: 100 }, (_, n) => client.channel("room:1").publish("chat_message", { ...data, content: `${n}` }));
    await expect(client.channel("room:1").publish("chat_message", data)).rejects.toMatchObject({ code: "outbox_full" });
    await accept();
    expect(socket().commands).toHaveLength(8);
    for (let n = 0; n < 100; n++) {
      const { id, data: sent } = socket().commands[n]!;
      expect((sent.data as { content: string }).content).toBe(`${n}`);
      socket().say({ type: "published", id, data: { id: `i${n}` } });
    }
    expect((await Promise.all(all)).map(({ id }) => id)).toEqual(all.map((_, n) => `i${n}`));
    client.close();
  });

  test("that waits is sent once the connection is open; after a lost answer again, with the same event_id", async () => {
    const { client, world, accept, answer, socket } = setUp({ outbox: "queue" });
    const result = client.channel("room:1").publish("chat_message", data);
    await accept();
    const first = socket().commands.find(({ type }) => type === "publish")!;
    socket().end(1006);
    await world.pass(1000);
    await accept();
    const second = socket().commands.find(({ type }) => type === "publish")!;
    expect(second.data.event_id).toBe(first.data.event_id);
    await answer("publish", { type: "published", data: { id: "i1", duplicate: true } });
    expect(await result).toEqual({ id: "i1", duplicate: true });
    client.close();
  });

  test("takes the place of an older one in the outbox `latest`", async () => {
    const { client, accept, socket } = setUp({ outbox: "latest" });
    const room = client.channel("room:1");
    const older = room.publish("chat_message", { ...data, content: "old" });
    void room.publish("chat_message", { ...data, content: "new" }).catch(() => {});
    await expect(older).rejects.toMatchObject({ code: "superseded" });
    await accept();
    expect(socket().commands.filter(({ type }) => type === "publish")).toHaveLength(1);
    client.signOut();
  });

  test("can be aborted, and does not wait for ever", async () => {
    const { client, world, accept } = setUp();
    client.connect();
    await accept();
    const abort = new AbortController();
    const aborted = client.channel("room:1").publish("chat_message", data, { signal: abort.signal });
    abort.abort();
    await expect(aborted).rejects.toMatchObject({ name: "CarillonError", code: "aborted", retryable: false, cause: { name: "AbortError" } });
    const late = client.channel("room:1").publish("chat_message", data, { timeoutMs: 2000 });
    late.catch(() => {});
    await world.pass(2000);
    await expect(late).rejects.toMatchObject({ code: "timeout" });
    client.close();
  });
});

test("events can be read in a loop, which leaves the channel at its end", async () => {
  const { client, world, accept, subscribe, socket } = setUp();
  const seen: unknown[] = [];
  const loop = (async () => {
    for await (const { offset } of client.channel("room:1")) if (seen.push(offset) === 2) break;
  })();
  await accept();
  await subscribe();
  for (const offset of [11, 12, 13]) socket().say(event(offset));
  await loop;
  await world.pass(2000);
  await settle();
  expect(seen).toEqual([11, 12]);
  expect(client.channel("room:1").state).toBe("idle");
  client.close();
});
