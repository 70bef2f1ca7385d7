import fc from "fast-check";
import { expect, test } from "vitest";
import { event, setUp } from "./server.js";
import { settle, type FakeSocket } from "./world.js";

const happenings = fc.oneof(
  { weight: 6, arbitrary: fc.record({ what: fc.constant("publish" as const) }) },
  { weight: 4, arbitrary: fc.record({ what: fc.constant("accept" as const) }) },
  { weight: 6, arbitrary: fc.record({ what: fc.constant("serve" as const) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("pass" as const), ms: fc.constantFrom(0, 900, 3000, 40_000) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("cut" as const), unseen: fc.integer({ min: 0, max: 3 }) }) },
  fc.record({ what: fc.constant("end" as const), code: fc.constantFrom(1001, 1008, 1012), reason: fc.constantFrom("going_away", "token_expired", "") }),
  fc.record({ what: fc.constant("trim" as const) }),
  fc.record({ what: fc.constant("new_epoch" as const) }),
  fc.record({ what: fc.constant("gap" as const), unseen: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ what: fc.constant("network" as const), online: fc.boolean() }),
  fc.record({ what: fc.constant("sleep" as const), ms: fc.constantFrom(5000, 60_000, 3600_000) }),
  fc.record({ what: fc.constant("other_listener" as const) }),
  { weight: 3, arbitrary: fc.record({ what: fc.constant("late_listener" as const), back: fc.integer({ min: 1, max: 6 }), since: fc.boolean() }) },
  fc.record({ what: fc.constant("close" as const) }),
);
type Happening = typeof happenings extends fc.Arbitrary<infer T> ? T : never;

/** A server with one channel and its history, and a client that listens to it. */
function start() {
  const { client, world, accept, errors } = setUp();
  let epoch = 1;
  let newest = 0;
  let trimmed = 0; // events up to this offset are forgotten
  const served = new Map<FakeSocket, { commands: number; subscribed: boolean }>();
  const live = () => world.sockets.find((socket) => socket.readyState === 1 && served.has(socket));
  const position = () => ({ epoch: `e${epoch}`, offset: newest, id: `i${newest}` });
  const faults: string[] = [];
  let seen: number | null = null; // offset of the last event
  let mayJump = true; // the client has said that events may be missing

  const room = client.channel("room:1");
  room.on("*", ({ offset }) => {
    if (seen !== null && !mayJump && offset !== seen + 1) faults.push(`after ${seen} came ${offset}`);
    seen = offset!;
    mayJump = false;
  });
  room.onContinuity.subscribe(({ recovered, position }) => {
    if (recovered && seen !== null && !mayJump && position?.offset !== seen) faults.push(`recovered from ${position?.offset}, not ${seen}`);
    if (!recovered) [seen, mayJump] = [position?.offset ?? null, false];
  });

  /** Listeners that ask for earlier events: the last offset that each has seen. */
  const late: (() => number | null)[] = [];

  function listenLate(back: number, since: boolean): void {
    let last: number | null = null;
    let told = true; // what may be missing before the next event has been told, here or as an error
    const known = errors.length;
    room.onContinuity.subscribe(({ recovered }) => (told ||= !recovered));
    room.on(
      "*",
      ({ offset }) => {
        if (last !== null && offset !== last + 1 && !told && known === errors.length) faults.push(`a late one: after ${last} came ${offset}`);
        [last, told] = [offset!, false];
      },
      since ? { since: { epoch: `e${epoch}`, offset: Math.max(0, newest - back) } } : { last: back },
    );
    late.push(() => last);
  }

  /** A page of three events at most. */
  function page(id: number, { before, since, limit }: { before?: { epoch: string; offset: number }; since?: { epoch: string; offset: number }; limit: number }): object {
    const of = before ?? since;
    if (of && of.epoch !== `e${epoch}`) return { type: "error", id, error: { code: "conflict", message: "another epoch" } };
    const end = before ? before.offset - 1 : newest;
    const all = Array.from({ length: Math.max(0, end - trimmed) }, (_, i) => trimmed + 1 + i).filter((offset) => offset > (since?.offset ?? 0));
    const size = Math.min(3, limit);
    const events = (since ? all.slice(0, size) : all.slice(-size)).map((offset) => event(offset));
    return { type: "history", id, channel: "room:1", data: { epoch: `e${epoch}`, offset: newest, events, more: all.length > size } };
  }

  function publish(told: boolean): void {
    newest++;
    const socket = live();
    if (told && socket && served.get(socket)!.subscribed) socket.say(event(newest));
  }

  function serve(): void {
    const socket = live();
    if (!socket) return;
    const state = served.get(socket)!;
    const fresh = socket.commands.slice(state.commands);
    state.commands += fresh.length;
    for (const { type, id, data } of fresh) {
      if (type === "ping") socket.say({ type: "pong", id });
      if (type === "history") socket.say(page(id, data as never));
      if (type === "unsubscribe") state.subscribed = false;
      if (type !== "subscribe") continue;
      const since = data.since as { epoch: string; offset: number } | undefined;
      // `since` counts in the first subscribe of a connection.
      const recovered = !state.subscribed && since !== undefined && since.epoch === `e${epoch}` && since.offset >= trimmed && since.offset <= newest;
      state.subscribed = true;
      socket.say({ type: "subscribed", id, channel: "room:1", data: { ...(recovered ? since : position()), recovered } });
      // Another node may send the last events twice.
      if (recovered) for (let offset = Math.max(1, since.offset - (id % 3) + 1); offset <= newest; offset++) socket.say(event(offset));
    }
  }

  async function act(happening: Happening): Promise<void> {
    const socket = live();
    switch (happening.what) {
      case "publish":
        publish(true);
        break;
      case "accept":
        if (world.sockets.at(-1)?.readyState === 0) served.set(await accept(), { commands: 0, subscribed: false });
        break;
      case "serve":
        serve();
        break;
      case "pass":
        await world.pass(happening.ms);
        break;
      case "cut": // as events were on their way
        if (!socket) break;
        for (let i = 0; i < happening.unseen; i++) publish(false);
        socket.end(1006);
        break;
      case "end":
        socket?.end(happening.code, happening.reason);
        break;
      case "trim":
        trimmed = newest;
        break;
      case "new_epoch":
        [epoch, newest, trimmed] = [epoch + 1, 0, 0];
        if (socket && served.get(socket)!.subscribed) socket.say({ type: "gap", channel: "room:1", data: { reason: "epoch_changed", epoch: `e${epoch}`, offset: 0 } });
        break;
      case "gap":
        if (!socket || !served.get(socket)!.subscribed) break;
        for (let i = 0; i < happening.unseen; i++) publish(false);
        socket.say({ type: "gap", channel: "room:1", data: { reason: "history_too_short", ...position() } });
        break;
      case "network":
        world.setOnline(happening.online);
        break;
      case "sleep":
        world.sleep(happening.ms);
        world.wake();
        await world.pass(0);
        break;
      case "other_listener":
        room.on("chat_message", () => {})();
        break;
      case "late_listener":
        listenLate(happening.back, happening.since);
        break;
      case "close":
        client.close();
        client.connect();
        break;
    }
    await settle();
  }

  async function finish(): Promise<void> {
    world.setOnline(true);
    for (let i = 0; i < 30 && room.state !== "live"; i++) {
      await world.pass(3000);
      await act({ what: "accept" });
      await act({ what: "serve" });
    }
    for (let i = 0; i < 80; i++) {
      await world.pass(500); // a page that was not answered in time is asked for again
      await act({ what: "serve" });
    }
    await act({ what: "publish" });
  }
  return { client, world, room, faults, act, finish, late, newest: () => newest, seen: () => seen };
}

test("no event of a channel is lost or comes twice, unless the client says so", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(happenings, { maxLength: 60, size: "max" }), async (all) => {
      const { client, world, room, faults, act, finish, late, newest, seen } = start();
      for (const happening of all) {
        await act(happening);
        expect(faults).toEqual([]);
      }
      await finish();
      expect([room.state, faults, seen(), room.position?.offset]).toEqual(["live", [], newest(), newest()]);
      expect(late.map((last) => last())).toEqual(late.map(newest));
      client.signOut();
      expect([world.timers, world.watchers]).toEqual([0, 0]);
    }),
    { numRuns: 1500 },
  );
});
