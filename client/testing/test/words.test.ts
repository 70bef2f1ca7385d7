import { AssertionError } from "node:assert";
import { Carillon } from "@carillon/client";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { attachCarillon, CarillonError, startCarillon, WaitTimeout, type CarillonServer, type JournalLine } from "../dist/index.js";
import { env, patient, until } from "./support.js";

let s: CarillonServer;
let clients: Carillon[];
beforeAll(async () => {
  s = patient(await startCarillon({ seed: 1, args: ["--pong-timeout", "5m"] }));
});
beforeEach(async () => {
  clients = [];
  await s.reset();
});
afterEach(() => clients.forEach((client) => client.close()));
afterAll(() => s.stop());

/** A client with what has happened to it. */
async function connect(user = "ada", channel = "room:1") {
  const seen: unknown[] = [];
  const told: string[] = [];
  const client = new Carillon({ url: s.origin, getToken: () => s.token(user), reconnectDelay: 50, env });
  clients.push(client);
  const room = client.channel(channel);
  room.onContinuity.subscribe(({ recovered, reason }) => told.push(recovered ? "recovered" : (reason ?? "")));
  room.on("*", ({ data }) => seen.push((data as { message: string }).message));
  const [line] = await s.wait.subscribed(channel, { user });
  return { client, room, seen, told, session: line!.session! };
}

const publish = (message: string, channel = "room:1") => s.publish(channel, "notification", { message });
const failure = async <T extends Error>(call: Promise<unknown>) => (await call.then(() => expect.fail("it has not failed"), (error: T) => error)) as T;

describe("tokens", () => {
  test("have what was wished", async () => {
    const claims = JSON.parse(Buffer.from((await s.token("ada", { channels: ["room:*"], expires: "30s", claims: { org: "acme" } })).split(".")[1]!, "base64url").toString());
    expect(claims).toMatchObject({ sub: "ada", channels: ["room:*"], org: "acme" });
    expect(claims.exp - claims.iat).toBe(30);
  });

  test("are in the URL of a user", async () => {
    const socket = new env.WebSocket!(await s.url("bob", { expires: "1m" }), ["carillon.v1"]);
    expect(await s.wait.connected({ user: "bob" })).toHaveLength(1);
    socket.close();
    await s.wait.closed({ user: "bob" });
  });

  test("are refused when they are wrong", async () => {
    const error = await failure<CarillonError>(s.token("ada", { expires: "soon" }));
    expect(error).toBeInstanceOf(CarillonError);
    expect([error.status, error.code]).toEqual([400, "invalid_request"]);
    expect(error.message).toContain("POST /dev/v1/tokens: 400 expires");
    expect(error.stack).toContain("words.test.ts");
  });
});

describe("waiting", () => {
  test("for each kind of line", async () => {
    const { client, room, session } = await connect();
    await s.wait.connected({ session });
    await publish("hello");
    await s.wait.published("room:1");
    await s.wait.delivered("room:*", { user: "ada", frame: { data: { message: "hello" } } });
    await room.publish("notification", { message: "mine" });
    await s.wait.received({ frame: { type: "publish" } });
    await s.wait.answered({ frame: { type: "published" } });
    expect(await s.wait.for({ kind: ["published", "delivered"], count: 4 })).toHaveLength(4);
    client.close();
    await s.wait.unsubscribed("room:1", { user: "ada" });
    await s.wait.closed({ user: "ada" });
    await s.wait.idle();
    const bad = new env.WebSocket!(`${s.wsUrl}?token=none`, ["carillon.v1"]);
    bad.onerror = () => {};
    expect((await s.wait.refused())[0]!.text).toContain("token");
  });

  test("shows what came near when it has waited in vain", async () => {
    await connect();
    await publish("hello");
    const error = await failure<WaitTimeout>(s.wait.subscribed("room:2", { user: "ada", timeout: "20ms" }));
    expect(error).toBeInstanceOf(WaitTimeout);
    expect(error.message).toMatch(/^waited for \{"user":"ada","kind":"subscribed","channel":"room:2"\}: 0 of 1 such lines came within 20 ms\nnear to it:\n {2}\d+ [\d:.]+ subscribed {2}ada [0-9a-f]{6} {2}room:1$/);
    expect(error.nearest.map(({ channel }) => channel)).toEqual(["room:1"]);
    const some = await failure<WaitTimeout>(s.wait.published("room:1", { count: 2, timeout: "20ms" }));
    expect(some.message).toContain("1 of 2 such lines came within 20 ms\nthese came:\n");
    expect(some.lines).toHaveLength(1);
    expect((await failure(s.wait.refused({ user: "eve", channel: "room:9", timeout: "20ms" }))).message).toContain("nothing came near to it");
  });

  test("is refused when it is wrong", async () => {
    expect((await failure(s.wait.for({ kind: "sold" as "sent" }))).message).toContain('"sold" is none');
  });
});

describe("the journal", () => {
  test("is read by filter, emptied, and waited for", async () => {
    await publish("one");
    await publish("two", "room:2");
    const lines = await s.journal({ kinds: ["published"], channel: "room:*" });
    expect(lines.map(({ channel }) => channel)).toEqual(["room:1", "room:2"]);
    expect(await s.journal({ after: lines[0]!.n })).toHaveLength(1);
    await s.clearJournal();
    expect(await s.journal()).toEqual([]);
    const later = s.journal({ wait: "1m", kinds: ["published"] }).then((found) => found.length);
    await publish("three");
    expect(await later).toBe(1);
  });

  test("is followed", async () => {
    const seen: JournalLine[] = [];
    const following = (async () => {
      for await (const line of s.journal({ kinds: ["published"] })) if (seen.push(line) === 3) return;
    })();
    for (const message of ["one", "two\n", "three"]) await publish(message);
    await following;
    expect(seen.map(({ frame }) => (frame as { data: { message: string } }).data.message)).toEqual(["one", "two\n", "three"]);
  });

  test("is verified", async () => {
    await connect();
    await publish("hello");
    await s.wait.delivered("room:1");
    await s.verify([{ kind: "connected", user: "ada" }, { kind: "delivered", channel: "room:1" }], { inOrder: true, nothingElse: ["refused", "delivered"] });
    const error = await failure(s.verify([{ kind: "delivered" }, { kind: "connected" }, { kind: "closed" }], { inOrder: true, nothingElse: ["published"] }));
    expect(error).toBeInstanceOf(AssertionError);
    expect(error.message).toMatch(/expect\[1\].*\n.*came too early[\s\S]*expect\[2\].*\n.*did not come[\s\S]*nothing else of "published" was expected/);
    expect(await failure(s.verify([{ kind: "sold" as "sent" }]))).toBeInstanceOf(CarillonError);
  });
});

describe("the clock", () => {
  test("stands still, is moved, and runs", async () => {
    expect((await s.clock.freeze()).frozen).toBe(true);
    expect((await s.clock.set("2050-01-15T10:30:00Z")).now).toBe("2050-01-15T10:30:00.000Z");
    await s.clock.set(new Date("2050-01-15T10:31:00Z"));
    expect(await s.clock.now()).toEqual(new Date("2050-01-15T10:31:00Z"));
    const { fired } = await s.clock.advance("31s");
    expect(fired.map(({ kind, text }) => [kind, text])).toEqual([["clock", "advance 31s"]]);
    expect((await s.clock.run({ rate: 10 })).rate).toBe(10);
    expect((await s.clock.run()).rate).toBe(1);
  });

  test("ends a token, and the client comes with another", async () => {
    const { client } = await connect();
    await s.clock.freeze();
    await s.clock.advance("31d");
    await s.wait.closed({ user: "ada", code: 1008 });
    await s.wait.connected({ user: "ada", count: 2 });
    await until(() => client.state === "open", "it is back");
  });
});

test("the broker is down, slow, loses all, and is up again", async () => {
  const { told } = await connect();
  expect(await s.broker.down()).toBe("down");
  expect((await failure<CarillonError>(publish("x"))).status).toBe(503);
  expect(await s.broker.up()).toBe("up");
  expect(await s.broker.slow({ by: "10ms" })).toBe("slow");
  await publish("x");
  expect(await s.broker.lost()).toBe("up");
  expect(await s.broker.state()).toBe("up");
  await until(() => told.at(-1), "the client is told");
});

test("snapshots are put back", async () => {
  for (const n of [1, 2, 3]) await publish(`event ${n}`);
  const saved = await s.snapshot();
  await s.reset();
  expect((await s.snapshot()).channels).toEqual([]);
  await s.restore(JSON.parse(JSON.stringify(saved)));
  expect((await s.snapshot()).channels).toEqual(saved.channels);
  const before = await failure<CarillonError>(s.restore({ version: 2 as 1 }));
  expect(before.message).toContain("version");
});

test("a reset closes sessions, or keeps what is named", async () => {
  const { client } = await connect();
  expect(await s.reset({ keep: ["sessions", "histories"] })).toBe(0);
  expect(client.state).toBe("open");
  expect(await s.reset()).toBe(1);
  expect((await s.journal())[0]!.kind).toBe("reset");
});

test("other rules of channels, and back", async () => {
  await s.channelRules([{ match: "public:*", allow: ["subscribe"] }]);
  const client = new Carillon({ url: s.origin, getToken: () => s.token("ada"), env });
  clients.push(client);
  const room = client.channel("room:1");
  room.on("*", () => {});
  await until(() => room.state === "refused", "the channel is refused");
  await s.channelRules();
  await connect("bob");
  expect((await failure(s.channelRules([{ match: "*", alow: [] }]))).message).toContain("alow");
});

test("the API of backends", async () => {
  const { session } = await connect();
  expect((await s.sessions()).map((one) => [one.user, one.session_id, one.channels.map(({ channel }) => channel)])).toEqual([["ada", session, ["room:1"]]]);
  expect((await s.session(session).show()).last_in!.kind).toBe("received");
  const first = await s.publish("room:1", "notification", { message: "x" }, { event_id: "one" });
  expect(await s.publish("room:1", "notification", { message: "x" }, { event_id: "one" })).toMatchObject({ id: first.id, duplicate: true });
  await s.api("disconnect", { user: "ada" });
  await s.wait.closed({ user: "ada" });
});

test("a server that runs already", async () => {
  const other = attachCarillon({ ws_url: s.wsUrl, api_url: s.apiUrl, api_key: s.apiKey });
  await other.publish("room:1", "notification", { message: "x" });
  expect([other.origin, other.consoleUrl, other.log()]).toEqual([s.origin, s.consoleUrl, ""]);
  await other.stop();
  expect(await s.journal({ kinds: ["published"] })).toHaveLength(1);
  const nowhere = attachCarillon({ ws_url: "ws://127.0.0.1:9/ws", api_url: "http://127.0.0.1:9", api_key: "" });
  expect((await failure(nowhere.sessions())).message).toContain("GET /dev/v1/sessions: connect ECONNREFUSED");
});
