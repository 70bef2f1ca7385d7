import { afterEach, describe, expect, test, vi } from "vitest";
import { createLeader, type Wish, type Word } from "../src/tabs-leader.js";
import { tabs } from "../src/tabs.js";
import { FakeSocket, createWorld } from "./world.js";

afterEach(() => vi.unstubAllGlobals());

test("a surrounding without locks or broadcast channels has one connection for each tab", () => {
  for (const name of ["navigator", "BroadcastChannel"]) {
    vi.stubGlobal("navigator", { locks: {} });
    vi.stubGlobal(name, undefined);
    expect(tabs({ WebSocket: FakeSocket })).toBe(FakeSocket);
  }
});

/** A leader, two sockets of other tabs, and its connection. */
function start() {
  const { env, sockets } = createWorld();
  type Frames = Record<string, unknown>[];
  const told = { a: [] as Frames, b: [] as Frames };
  const gone: Record<string, () => void> = {};
  const ids = { a: 1, b: 2 };
  let receive = (_: { data: Wish }) => {};
  class Line {
    set onmessage(run: typeof receive) {
      receive = run;
    }
    postMessage([to, what]: Word) {
      const frame = typeof what === "string" ? JSON.parse(what) : (what ?? "restart");
      if (to) (to === ids.a ? told.a : told.b).push(frame);
    }
    close() {}
  }
  vi.stubGlobal("BroadcastChannel", Line);
  const resign = createLeader(() => env.WebSocket, "key", (tab, run) => void (gone[tab] = run));
  const say = (...data: Wish) => receive({ data });
  const open = (socket: "a" | "b") => say(ids[socket], "", ids[socket] + 10, "ws://test", []);
  open("a");
  open("b");
  const connection = sockets[0]!;
  connection.open();
  const send = (socket: "a" | "b", type: string, data: object = {}) => say(ids[socket], JSON.stringify({ type, id: 1, data: { channel: "room:1", ...data } }));
  /** Answers the commands of a type that have no answer yet, in their order. */
  const answered = new Set<number>();
  const answer = (type: string, frame: object) => {
    const { id } = connection.commands.find((sent) => sent.type === type && !answered.has(sent.id))!;
    answered.add(id);
    connection.say({ channel: "room:1", ...frame, id });
  };
  const subscribed = (offset: number, more: object = {}) => answer("subscribe", { type: "subscribed", data: { epoch: "e1", offset, id: `i${offset}`, recovered: false, ...more } });
  const event = (offset: number) => ({ type: "x", channel: "room:1", id: `i${offset}`, offset });
  const page = (...offsets: number[]) => answer("history", { type: "history", data: { epoch: "e1", events: offsets.map(event) } });
  const sent = () => connection.commands.map(({ type }) => type);
  const asked = () => connection.commands.filter(({ type }) => type === "history").map(({ data }) => [(data.since as { offset: number }).offset, data.limit]);
  return { resign, sockets, connection, told, gone, open, send, answer, subscribed, event, page, sent, asked };
}

describe("the leader of the tabs", () => {
  test("opens one connection for all of them, and each gets the events of its channels", () => {
    const { sockets, connection, told, send, subscribed, event, sent } = start();
    for (const socket of ["a", "b"] as const) send(socket, "subscribe");
    subscribed(4);
    subscribed(4);
    connection.say(event(5));
    send("b", "unsubscribe");
    connection.say(event(6));
    expect([sockets.length, sent()]).toEqual([1, ["subscribe", "subscribe"]]);
    const both = [{ type: "subscribed", id: 1, data: { offset: 4, id: "i4", recovered: false } }, { offset: 5 }];
    expect(told).toMatchObject({ a: [...both, { offset: 6 }], b: [...both, { type: "unsubscribed", id: 1 }] });
  });

  test("tells a later tab what it missed, then what came meanwhile", () => {
    const { connection, told, send, subscribed, event, page, asked } = start();
    send("a", "subscribe");
    subscribed(4);
    send("b", "subscribe", { since: { epoch: "e1", offset: 2, id: "i2" } });
    connection.say(event(5));
    subscribed(5);
    connection.say(event(6));
    page(3, 4, 5);
    connection.say(event(7));
    expect(asked()).toEqual([[2, 3]]);
    expect(told.b).toMatchObject([{ type: "subscribed", data: { epoch: "e1", offset: 2, id: "i2", recovered: true } }, ...[3, 4, 5, 6, 7].map((offset) => ({ offset }))]);
    expect(told.a).toMatchObject([{ type: "subscribed" }, { offset: 5 }, { offset: 6 }, { offset: 7 }]);
  });

  test("reads page after page for a tab that missed many", () => {
    const { told, send, subscribed, page, asked } = start();
    send("a", "subscribe");
    subscribed(2500);
    send("b", "subscribe", { since: { epoch: "e1", offset: 1 } });
    subscribed(2500);
    const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
    page(...upTo(2, 1001));
    page(...upTo(1002, 1500)); // it ends early where events are large
    page(...upTo(1501, 2500));
    expect(asked()).toEqual([[1, 1000], [1001, 1000], [1500, 1000]]);
    expect(told.b[0]).toMatchObject({ type: "subscribed", data: { offset: 1, recovered: true } });
    expect(told.b.slice(1).map(({ offset }) => offset)).toEqual(upTo(2, 2500));
  });

  test("says so if the missed events are not kept any more, or cannot be read", () => {
    const { told, send, answer, subscribed, page } = start();
    send("a", "subscribe");
    subscribed(4);
    const since = (epoch: string) => {
      send("b", "subscribe", { since: { epoch, offset: 1 } });
      subscribed(4);
    };
    since("e1");
    page(4);
    since("e0");
    since("e1");
    answer("history", { type: "error", error: { code: "forbidden" } });
    since("e1");
    page(2, 3); // and then no more
    page();
    expect(told.b).toHaveLength(4);
    for (const frame of told.b) expect(frame).toMatchObject({ data: { offset: 4, id: "i4", recovered: false } });
  });

  test("gives a later tab the newest events that it asks for, of those that are there", () => {
    const { told, send, subscribed, page, asked } = start();
    send("a", "subscribe");
    subscribed(4);
    send("b", "subscribe", { last: 10 });
    subscribed(4);
    page(3, 4);
    expect(asked()).toEqual([[0, 4]]);
    expect(told.b).toMatchObject([{ data: { epoch: "e1", offset: 0, recovered: false } }, { offset: 3 }, { offset: 4 }]);
  });

  test("loses no event that comes while a tab asks for the newest ones of an empty channel", () => {
    const { connection, told, send, subscribed, event } = start();
    send("a", "subscribe");
    subscribed(0);
    send("b", "subscribe", { last: 5 });
    subscribed(0);
    connection.say(event(1));
    expect(told.b).toMatchObject([{ type: "subscribed", data: { offset: 0 } }, { offset: 1 }]);
  });

  test("lets each tab come back where it was, if the first one is behind", () => {
    const { connection, told, send, subscribed, event, asked } = start();
    send("a", "subscribe", { since: { epoch: "e1", offset: 4 } });
    send("b", "subscribe", { since: { epoch: "e1", offset: 5, id: "i5" } });
    subscribed(4, { recovered: true });
    subscribed(4, { recovered: true });
    for (const offset of [5, 6]) connection.say(event(offset));
    expect([asked(), told.b]).toMatchObject([[], [{ data: { offset: 5, id: "i5", recovered: true } }, { offset: 5 }, { offset: 6 }]]);
  });

  test("a channel without history is live from now on, and tells nobody that it has recovered", () => {
    const { connection, told, send, answer, asked } = start();
    send("a", "subscribe");
    answer("subscribe", { type: "subscribed", data: { recovered: false } });
    send("b", "subscribe", { last: 5 });
    answer("subscribe", { type: "subscribed", data: { recovered: false } });
    connection.say({ type: "x", channel: "room:1", id: "i1" });
    expect([asked(), told.b]).toEqual([[], [{ type: "subscribed", channel: "room:1", id: 1, data: { recovered: false } }, { type: "x", channel: "room:1", id: "i1" }]]);
  });

  test("tells each tab its own refusal", () => {
    const { told, send, answer, subscribed } = start();
    for (const socket of ["a", "b"] as const) send(socket, "subscribe");
    answer("subscribe", { type: "error", error: { code: "rate_limited" } });
    subscribed(4);
    expect(told).toMatchObject({ a: [{ type: "error", id: 1 }], b: [{ type: "subscribed", data: { offset: 4 } }] });
    send("a", "subscribe");
    subscribed(4);
    expect(told.a[1]).toMatchObject({ type: "subscribed", data: { offset: 4 } });
  });

  test("leaves a channel with its last tab, and hangs up with the last of all", () => {
    const { connection, gone, send, sent } = start();
    send("a", "subscribe"); // not answered yet
    gone[11]!();
    expect(sent()).toEqual(["subscribe", "unsubscribe"]);
    gone[12]!();
    expect(connection.readyState).toBeGreaterThan(1);
  });

  test("keeps a channel that a tab has left and wants again", () => {
    const { told, connection, send, answer, subscribed, event, sent } = start();
    send("a", "subscribe");
    send("a", "unsubscribe");
    send("a", "subscribe");
    answer("subscribe", { type: "error", error: { code: "unavailable" } });
    subscribed(4);
    connection.say(event(5));
    expect(sent()).toEqual(["subscribe", "unsubscribe", "subscribe"]);
    expect(told.a).toMatchObject([{ type: "error" }, { type: "subscribed" }, { offset: 5 }]);
  });

  test("tells all tabs the end of the connection, and makes another one for the next", () => {
    const { sockets, connection, told, open } = start();
    connection.end(1012, "going_away");
    expect(told).toEqual({ a: [{ code: 1012, reason: "going_away" }], b: [{ code: 1012, reason: "going_away" }] });
    open("a");
    expect(sockets).toHaveLength(2);
  });

  test("greets a later tab with the server's time of that moment", () => {
    vi.useFakeTimers({ now: 1_700_000_000_000 });
    const { connection, told, open } = start();
    connection.say({ type: "session_init", timestamp: new Date(1_600_000_000_000) });
    vi.advanceTimersByTime(5000);
    open("b");
    vi.useRealTimers();
    expect(told.b.map(({ timestamp }) => Date.parse(timestamp as string))).toEqual([1_600_000_000_000, 1_600_000_005_000]);
  });

  test("sends all tabs to the next leader when it resigns", () => {
    const { resign, connection, told } = start();
    resign();
    expect([told, connection.closedWith]).toEqual([{ a: ["restart"], b: ["restart"] }, 1000]);
  });
});

test("a managed socket is the tab's own", () => {
  vi.stubGlobal("navigator", { locks: { request: () => Promise.resolve() } });
  const Shared = tabs({ WebSocket: FakeSocket });
  expect(Shared).not.toBe(FakeSocket);
  expect(new Shared("ws://test/chat")).toBeInstanceOf(FakeSocket);
});
