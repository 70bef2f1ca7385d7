import { afterEach, describe, expect, test, vi } from "vitest";
import { createLeader } from "../src/tabs-leader.js";
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
  const told: Record<string, Record<string, unknown>[]> = { a: [], b: [] };
  const gone: Record<string, () => void> = {};
  const leader = createLeader(
    env.WebSocket,
    (to, what) => void told[to]!.push(typeof what === "string" ? JSON.parse(what) : what),
    (tab, run) => void (gone[tab] = run),
  );
  for (const socket of ["a", "b"]) leader.receive(socket, `tab-${socket}`, ["ws://test", []]);
  const connection = sockets[0]!;
  connection.open();
  const send = (socket: string, type: string, data: object = {}) =>
    leader.receive(socket, `tab-${socket}`, JSON.stringify({ type, id: 1, data: { channel: "room:1", ...data } }));
  const answer = (type: string, frame: object) => connection.say({ channel: "room:1", ...frame, id: connection.commands.findLast((sent) => sent.type === type)!.id });
  const subscribed = (offset: number) => answer("subscribe", { type: "subscribed", data: { epoch: "e1", offset, id: `i${offset}`, recovered: false } });
  const event = (offset: number) => ({ type: "x", channel: "room:1", id: `i${offset}`, offset });
  const page = (...offsets: number[]) => answer("history", { type: "history", data: { epoch: "e1", events: offsets.map(event) } });
  const sent = () => connection.commands.map(({ type }) => type);
  return { leader, sockets, connection, told, gone, send, subscribed, event, page, sent };
}

describe("the leader of the tabs", () => {
  test("opens one connection and sends one subscribe for all of them", () => {
    const { sockets, connection, told, send, subscribed, event, sent } = start();
    for (const socket of ["a", "b"]) send(socket, "subscribe");
    subscribed(4);
    connection.say(event(5));
    expect([sockets.length, sent()]).toEqual([1, ["subscribe"]]);
    for (const frames of Object.values(told)) expect(frames).toMatchObject([{ type: "subscribed", id: 1, data: { offset: 4 } }, { offset: 5 }]);
  });

  test("tells a later tab what it missed, then what came meanwhile", () => {
    const { connection, told, send, subscribed, event, page } = start();
    send("a", "subscribe");
    subscribed(4);
    send("b", "subscribe", { since: { epoch: "e1", offset: 2 } });
    connection.say(event(5));
    page(3, 4, 5);
    connection.say(event(6));
    expect(told.b).toMatchObject([{ type: "subscribed", data: { epoch: "e1", offset: 2, recovered: true } }, { offset: 3 }, { offset: 4 }, { offset: 5 }, { offset: 6 }]);
  });

  test("says so if the missed events are not kept any more", () => {
    const { told, send, subscribed, page } = start();
    send("a", "subscribe");
    subscribed(4);
    send("b", "subscribe", { since: { epoch: "e1", offset: 1 } });
    page(4);
    send("b", "subscribe", { since: { epoch: "e0", offset: 1 } });
    expect(told.b).toMatchObject([{ data: { offset: 4, recovered: false } }, { data: { offset: 4, recovered: false } }]);
  });

  test("loses no event that comes while a tab asks for the newest ones of an empty channel", () => {
    const { connection, told, send, subscribed, event, page } = start();
    send("a", "subscribe");
    subscribed(0);
    send("b", "subscribe", { last: 5 });
    connection.say(event(1));
    page(1);
    expect(told.b).toMatchObject([{ type: "subscribed", data: { offset: 0 } }, { offset: 1 }]);
  });

  test("leaves a channel with its last tab, and hangs up with the last of all", () => {
    const { connection, gone, send, sent } = start();
    send("a", "subscribe"); // not answered yet
    gone["tab-a"]!();
    expect(sent()).toEqual(["subscribe", "unsubscribe"]);
    gone["tab-b"]!();
    expect(connection.readyState).toBeGreaterThan(1);
  });

  test("tells all tabs the end of the connection, and makes another one for the next", () => {
    const { leader, sockets, connection, told } = start();
    connection.end(1012, "going_away");
    expect(told).toEqual({ a: [{ code: 1012, reason: "going_away" }], b: [{ code: 1012, reason: "going_away" }] });
    leader.receive("a", "tab-a", ["ws://test", []]);
    expect(sockets).toHaveLength(2);
  });
});
