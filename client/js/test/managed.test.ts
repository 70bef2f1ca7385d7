import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { Unauthorized, createSockets, type CredentialRequest, type SocketOptions, type SocketsOptions } from "../src/managed.js";
import { FakeSocket, createWorld, settle } from "./world.js";

async function setUp(options: Partial<SocketsOptions> = {}, socketOptions: SocketOptions = {}, random?: () => number) {
  const world = createWorld(random);
  const asked: CredentialRequest[] = [];
  const getTicket = (request: CredentialRequest) => `ticket-${asked.push(request)}`;
  const sockets = createSockets({ url: "https://rt.example.com/", getTicket, env: world.env, ...options });
  const socket = await sockets.connectToChat("a/b", socketOptions);
  const told: string[] = [];
  socket.onStateChange.subscribe((state, { code, reason }) => told.push([state, code, reason].filter(Boolean).join(" ")));
  return { world, sockets, socket, asked, told, line: () => world.sockets.at(-1)! };
}

describe("a managed socket", () => {
  test("connects with a ticket for its path, and tells what comes", async () => {
    const { socket, sockets, line, told } = await setUp();
    expect(line().url).toBe("wss://rt.example.com/ai-chat/a%2Fb/transcript?ticket=ticket-1");
    expect([socket.state, socket.send("early"), sockets.connectionCount]).toEqual(["connecting", false, 1]);
    const seen: unknown[] = [];
    socket.onMessage.subscribe(({ data }) => seen.push(data));
    line().open();
    line().say("hello");
    expect([socket.isOpen, socket.sendJson({ n: 1 }), line().sent, seen]).toEqual([true, true, ['{"n":1}'], ["hello"]]);
    socket.close();
    expect([told, line().closedWith, sockets.connectionCount]).toEqual([["open", "closing 1000 closed", "closed 1000 closed"], 1000, 0]);
  });

  test("asks for another ticket for each attempt", async () => {
    const { world, socket, asked, told, line } = await setUp();
    const attempts: number[] = [];
    socket.onReconnecting.subscribe((attempt) => attempts.push(attempt));
    line().open();
    for (let i = 0; i < 3; i++) {
      line().end(1006);
      await world.pass(2500);
    }
    expect([attempts, asked.map(({ why }) => why), world.sockets.length]).toEqual([[1, 2, 3], Array(4).fill("connect"), 4]);
    expect(told.slice(0, 2)).toEqual(["open", "reconnecting 1006"]);
    socket.destroy();
  });

  test("is asked for a ticket at once after a refusal, then later, and sends no refused one again", async () => {
    const { world, socket, asked, line } = await setUp({}, {}, () => 0.999);
    line().end(1008, "ticket_invalid");
    await world.pass(0);
    expect(asked.map(({ why, refusal }) => [why, refusal?.reason])).toEqual([
      ["connect", undefined],
      ["refused", "ticket_invalid"],
    ]);
    line().end(1008, "ticket_invalid");
    await world.pass(1000);
    expect(asked).toHaveLength(2);
    socket.destroy();
  });

  test("remembers the last refused tickets, and does not grow for ever", async () => {
    let ticket = 0;
    const { world, socket, line } = await setUp({ getTicket: () => `ticket-${ticket}` }, { maxReconnectAttempts: 0 });
    for (let i = 0; i < 21; i++) {
      line().end(1008, "ticket_invalid");
      for (ticket++; world.sockets.length === i + 1; ) await world.pass(500);
    }
    line().end(1008, "ticket_invalid"); // the last of 22, from 0
    ticket = 2;
    await world.pass(60_000);
    expect(world.sockets).toHaveLength(22);
    ticket = 1; // forgotten meanwhile
    await world.pass(20_000);
    expect(world.sockets.length).toBeGreaterThan(22);
    socket.destroy();
  });

  test("asks for a ticket with a token that was refused before not again, and remembers the last ones", async () => {
    const world = createWorld();
    const sent: string[] = [];
    const tokens: string[] = [];
    const fetch = async (_: unknown, init?: RequestInit) => (sent.push(new Headers(init!.headers).get("Authorization")!.slice(7)), new Response("{}", { status: 401 }));
    const sockets = createSockets({ url: "https://x", getToken: () => tokens.shift()!, env: { ...world.env, fetch } });
    const ask = (first: string, second: string) => (tokens.push(first, second), expect(sockets.getTicket()).rejects.toMatchObject({ code: expect.any(String), retryable: true }));
    for (let i = 0; i < 22; i += 2) await ask(`t${i}`, `t${i + 1}`);
    await ask("t21", "t2");
    await ask("t0", "t1");
    expect(sent.slice(22)).toEqual(["t0", "t1"]);
  });

  test("gives up after `maxReconnectAttempts`, and counts anew after it was open for a while", async () => {
    const { world, socket, told, line } = await setUp({}, { maxReconnectAttempts: 2 });
    line().end(1006);
    await world.pass(2000);
    line().open();
    await world.pass(5000);
    for (let i = 0; i < 3; i++) {
      line().end(1006);
      await world.pass(5000);
    }
    expect([socket.state, told.at(-1), world.timers, world.watchers]).toEqual(["closed", "closed 1006", 0, 0]);
  });

  test("ends where another attempt would fail too", async () => {
    for (const [code, reason] of [[1008, "origin_denied"], [1008, "scope_missing"], [1009, "message_too_big"]] as const) {
      const { world, socket, told, line } = await setUp();
      line().open();
      line().end(code, reason);
      await world.pass(60_000);
      expect([socket.state, world.sockets.length, told.at(-1)]).toEqual(["closed", 1, `closed ${code} ${reason}`]);
    }
  });

  test("does not dial while offline, and dials at once afterwards", async () => {
    const { world, socket, told, line } = await setUp();
    line().open();
    world.setOnline(false);
    await world.pass(600_000);
    expect([told, world.sockets.length, world.timers]).toEqual([["open", "reconnecting 1006 offline"], 1, 0]);
    world.setOnline(true);
    await world.pass(0);
    expect(world.sockets).toHaveLength(2);
    socket.destroy();
  });

  test("does not wait any longer when the page is looked at again", async () => {
    const { world, socket, line } = await setUp({}, { reconnectDelay: 20_000 });
    line().end(1006);
    world.wake();
    await world.pass(0);
    expect(world.sockets).toHaveLength(2);
    socket.destroy();
  });

  test("leaves a socket that does not open within 10 seconds, and a question without an answer after 60", async () => {
    const { world, socket, told } = await setUp();
    await world.pass(10_000);
    expect(told).toEqual(["reconnecting 1006 timeout"]);
    socket.destroy();
    const signals: AbortSignal[] = [];
    const other = createWorld();
    const never = createSockets({ url: "https://x", getTicket: ({ signal }) => (signals.push(signal), new Promise(() => {})), env: other.env });
    never.connect("/n").catch(() => {});
    await other.pass(61_000);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    never.closeAll();
    expect([other.timers, other.watchers]).toEqual([0, 0]);
  });

  test("is not made for a user who is signed out, nor at an address that is none", async () => {
    const signedOut = setUp({ getTicket: () => Promise.reject(new Unauthorized()) });
    await expect(signedOut).rejects.toMatchObject({ reason: "signed_out", retryable: false });
    const later = await setUp({ getTicket: ({ why }) => (why === "refused" ? Promise.reject(new Unauthorized()) : "ticket") });
    later.line().open();
    later.line().end(1008, "ticket_invalid");
    await later.world.pass(0);
    expect(later.told.slice(-2)).toEqual(["closing 1006 signed_out", "closed 1006 signed_out"]);
    const world = createWorld();
    let good: number;
    const bad = class extends FakeSocket {
      constructor(url: string) {
        super(url);
        if (good-- < 1) throw new SyntaxError("not an address");
        world.sockets.push(this);
      }
    };
    good = 0;
    const { socket, told } = await setUp({ env: { ...world.env, WebSocket: bad } });
    expect([socket.state, told]).toEqual(["closed", []]);
    good = 1;
    const moved = await setUp({ env: { ...world.env, WebSocket: bad } });
    world.sockets.at(-1)!.end(1006);
    await world.pass(1000);
    expect(moved.told.at(-1)).toBe("closed 1006 invalid_target");
  });

  test("may be closed by whoever is told of a change, and each change is told in its order", async () => {
    const { world, socket, told, line } = await setUp();
    const first: string[] = [];
    socket.onStateChange.subscribe((state) => {
      if (state === "open") socket.close();
    });
    socket.onStateChange.subscribe((state) => first.push(state));
    line().open();
    expect([first, told.length, world.timers]).toEqual([["open", "closing", "closed"], 3, 0]);
  });

  test("logs each change of its state with `debug`, and none without", async () => {
    const log = vi.spyOn(console, "debug").mockImplementation(() => {});
    for (const debug of [true, false]) {
      const { socket, line } = await setUp({}, { debug });
      line().open();
      socket.close();
    }
    expect(log.mock.calls.map(([, { previous, state }]) => `${previous} ${state}`)).toEqual(["connecting open", "open closing", "closing closed"]);
    log.mockRestore();
  });

  test("whose listener of errors closes it stays closed", async () => {
    const failing = createWorld();
    let tickets = 0;
    const getTicket = () => (tickets++ ? Promise.reject(new Error("none now")) : "ticket");
    const { socket, told } = await setUp({ getTicket, env: failing.env });
    socket.onError.subscribe(() => socket.close());
    failing.sockets[0]!.end(1006);
    await failing.pass(60_000);
    expect([told.at(-1), failing.timers, failing.watchers]).toEqual(["closed 1000 closed", 0, 0]);
  });

  test("gives a ticket for a connection of your own, for any purpose or none in particular", async () => {
    const asked: object[] = [];
    const sockets = createSockets({ url: "https://x", getTicket: ({ signal, ...request }) => (asked.push(request), "t"), env: createWorld().env });
    await sockets.getTicket({ purpose: "chat", resourceId: "7" });
    await sockets.getTicket();
    expect(asked).toEqual([{ why: "connect", purpose: "chat", resourceId: "7" }, { why: "connect", purpose: "notifications" }]);
    await expect(createSockets({ url: "https://x" }).getTicket()).rejects.toMatchObject({ code: "invalid_options", retryable: false });
  });

  test("of one path may be one of several", async () => {
    const { sockets, socket } = await setUp();
    const other = await sockets.connectToChat("a/b");
    expect([other === socket, sockets.connectionCount]).toEqual([false, 2]);
    sockets.closeAll();
    expect(sockets.connectionCount).toBe(0);
  });
});

const happenings = fc.oneof(
  { weight: 4, arbitrary: fc.constant("open" as const) },
  { weight: 4, arbitrary: fc.constant("answer" as const) },
  { weight: 2, arbitrary: fc.constant("break" as const) },
  ...(["refuse", "final", "fail", "again", "offline", "online", "sleep", "close"] as const).map((what) => fc.constant(what)),
  { weight: 3, arbitrary: fc.constantFrom(0, 900, 5000, 10_000, 60_000) },
);

test("whatever happens to a managed socket: one line at most, no refused ticket again, nothing left after close", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(happenings, { maxLength: 50, size: "max" }), fc.constantFrom(0, 3), async (all, maxReconnectAttempts) => {
      const world = createWorld();
      const questions: { signal: AbortSignal; resolve(ticket: string): void; reject(error: unknown): void }[] = [];
      const refused: string[] = [];
      let tickets = 0;
      const getTicket = ({ signal }: CredentialRequest) => new Promise<string>((resolve, reject) => questions.push({ signal, resolve, reject }));
      const sockets = createSockets({ url: "https://x", getTicket, env: world.env });
      sockets.connect("/n", {}, "n", { maxReconnectAttempts }).catch(() => {});
      const ticketOf = ({ url }: FakeSocket) => new URL(url).searchParams.get("ticket")!;
      let dialled = 0;
      for (const what of [...all, "close" as const]) {
        const line = world.sockets.find(({ isLive }) => isLive);
        const banned = [...refused];
        if (what === "open" && line?.readyState === 0) line.open();
        else if (what === "answer") questions.pop()?.resolve(`t${++tickets}`);
        else if (what === "again" && refused[0]) questions.pop()?.resolve(refused[0]);
        else if (what === "fail") questions.pop()?.reject(new Error("none now"));
        else if (what === "break") line?.end(1006);
        else if (what === "final") line?.end(1009);
        else if (what === "refuse" && line) {
          refused.push(ticketOf(line));
          line.end(1008, "ticket_invalid");
        } else if (what === "offline" || what === "online") world.setOnline(what === "online");
        else if (what === "sleep") {
          world.sleep(60_000);
          world.wake();
        }
        else if (what === "close") sockets.closeAll();
        else if (typeof what === "number") await world.pass(what);
        await settle();
        expect(world.sockets.filter(({ isLive }) => isLive).length).toBeLessThanOrEqual(1);
        expect(questions.filter(({ signal }) => !signal.aborted).length).toBeLessThanOrEqual(1);
        for (const fresh of world.sockets.slice(dialled)) expect(banned).not.toContain(ticketOf(fresh));
        dialled = world.sockets.length;
      }
      expect([sockets.connectionCount, world.timers, world.watchers, world.sockets.filter(({ isLive }) => isLive).length]).toEqual([0, 0, 0, 0]);
    }),
    { numRuns: 2000 },
  );
});
