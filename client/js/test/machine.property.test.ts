import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Unauthorized } from "../src/errors.js";
import type { ChannelLink } from "../src/channel-link.js";
import type { CredentialRequest } from "../src/connection.js";
import { createConnection } from "../src/socket.js";
import { createWorld, settle, type World } from "./world.js";

/** What may happen to a connection, in any order. */
const happenings = fc.oneof(
  { weight: 8, arbitrary: fc.record({ what: fc.constant("open" as const) }) },
  { weight: 8, arbitrary: fc.record({ what: fc.constant("answer" as const) }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant("pass" as const), ms: fc.constantFrom(0, 1, 900, 3000, 10_000, 36_000, 120_000) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      what: fc.constant("end" as const),
      code: fc.constantFrom(1000, 1001, 1006, 1008, 1011, 1012, 1013),
      reason: fc.constantFrom("", "token_expired", "token_revoked", "going_away", "slow_consumer", "disconnected"),
    }),
  },
  fc.record({ what: fc.constant("final" as const), code: fc.constantFrom(1002, 1003, 1007, 1009) }),
  fc.record({ what: fc.constant("fail" as const), final: fc.boolean() }),
  fc.record({ what: fc.constant("network" as const), online: fc.boolean() }),
  fc.record({ what: fc.constant("sleep" as const), ms: fc.constantFrom(5000, 60_000, 3600_000), woken: fc.boolean() }),
  fc.record({ what: fc.constant("move" as const), ms: fc.constantFrom(0, 5000) }),
  fc.record({ what: fc.constant("expiring" as const) }),
  fc.record({ what: fc.constant("refreshed" as const), ms: fc.constantFrom(0, 1000, 600_000) }),
  fc.record({ what: fc.constant("refresh_refused" as const), reason: fc.constantFrom("token_invalid", "unavailable") }),
  // getToken gives a token that was refused.
  { weight: 2, arbitrary: fc.record({ what: fc.constant("answer_refused" as const) }) },
  // The next listener of a change closes the connection, and perhaps opens it again.
  fc.record({ what: fc.constant("close_in_callback" as const), again: fc.boolean() }),
  { weight: 4, arbitrary: fc.record({ what: fc.constant("connect" as const) }) },
  fc.record({ what: fc.constant("close" as const) }),
);
type Happening = typeof happenings extends fc.Arbitrary<infer T> ? T : never;

/** How often each happening met each state, in all runs. */
const drawn = new Map<string, number>();

function start(world: World) {
  const questions: { request: CredentialRequest; resolve(token: string): void; reject(error: unknown): void }[] = [];
  const refused = new Set<string>();
  const states: string[] = [];
  const renewals: string[] = [];
  let inCallback: (() => void) | undefined;
  let tokens = 0;
  /** The token of the open connection. */
  let current = "";
  const connection = createConnection({ env: world.env, report: () => {} } as unknown as ChannelLink, {
    delays: [1000, 20_000],
    ask: (request) => new Promise((resolve, reject) => questions.push({ request, resolve, reject })),
    target: (token) => ["ws://test/ws", ["carillon.v1", token]],
    onChange(change) {
      states.push(change.state);
      const run = inCallback;
      inCallback = undefined;
      run?.();
    },
    onMessage: () => {},
    ping: () => {},
    refresh: (token) => renewals.push(token),
  });
  const live = () => world.sockets.filter((socket) => socket.isLive);
  const open = () => questions.filter(({ request }) => !request.signal.aborted);
  const act = async (happening: Happening) => {
    const socket = live()[0];
    const seen = `${happening.what} while ${connection.state}`;
    drawn.set(seen, (drawn.get(seen) ?? 0) + 1);
    switch (happening.what) {
      case "open":
        if (socket?.readyState === 0) {
          socket.open();
          current = socket.protocols[1]!;
          connection.dispatch({ type: "open", silenceMs: 35_000, lifetimeMs: 600_000 });
        }
        break;
      case "answer":
        questions.pop()?.resolve(`token-${++tokens}`);
        break;
      case "answer_refused": {
        const again = [...refused].at(-1);
        if (again !== undefined) questions.pop()?.resolve(again);
        break;
      }
      case "refreshed":
        if (renewals.length === 0 || connection.state !== "open") break;
        current = renewals.pop()!;
        connection.dispatch({ type: "refreshed", lifetimeMs: happening.ms });
        break;
      case "refresh_refused": {
        const renewal = renewals.pop();
        if (renewal === undefined || connection.state !== "open") break;
        if (happening.reason === "token_invalid") refused.add(renewal);
        connection.dispatch({ type: "refused", ending: { code: happening.reason === "unavailable" ? 1013 : 1008, reason: happening.reason } });
        break;
      }
      case "close_in_callback":
        inCallback = () => {
          connection.close("closed");
          if (happening.again) connection.connect();
        };
        break;
      case "fail":
        questions.pop()?.reject(happening.final ? new Unauthorized() : new Error("no token now"));
        break;
      case "end":
      case "final": {
        const reason = happening.what === "end" ? happening.reason : "";
        if (socket && (reason.startsWith("token_") || happening.code === 1008)) if (reason !== "disconnected") refused.add(socket.readyState === 1 ? current : socket.protocols[1]!);
        socket?.end(happening.code, reason);
        break;
      }
      case "pass":
        await world.pass(happening.ms);
        break;
      case "network":
        world.setOnline(happening.online);
        break;
      case "sleep":
        world.sleep(happening.ms);
        if (happening.woken) world.wake();
        await world.pass(0);
        break;
      case "move":
        connection.dispatch({ type: "reconnect", afterMs: happening.ms });
        break;
      case "expiring":
        connection.dispatch({ type: "refresh" });
        break;
      case "connect":
        connection.connect();
        break;
      case "close":
        connection.close("closed");
        break;
    }
    await settle();
  };
  const calm = () => void (inCallback = undefined);
  return { connection, calm, questions: open, refused, states, live, act };
}

describe("whatever happens", () => {
  test("there is one socket at most, no refused token is sent again, and nothing is left after close", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(happenings, { maxLength: 60, size: "max" }), fc.integer({ min: 0, max: 999 }), async (all, chance) => {
        const world = createWorld(() => chance / 1000);
        const { connection, calm, questions, refused, live, act } = start(world);
        connection.connect();
        await settle();
        let opened = 0;
        for (const happening of all) {
          const banned = new Set(refused);
          await act(happening);
          expect(live().length).toBeLessThanOrEqual(1);
          for (const socket of world.sockets.slice(opened)) expect(banned).not.toContain(socket.protocols[1]);
          opened = world.sockets.length;
          if (connection.state === "open") expect(live()).toHaveLength(1);
          expect(questions().length).toBeLessThanOrEqual(1);
        }
        calm();
        connection.close("closed");
        await settle();
        expect(connection.state).toBe("closed");
        expect([live().length, world.timers, world.watchers, questions().length]).toEqual([0, 0, 0, 0]);
      }),
      { numRuns: 1500 },
    );
    // Closes, refusals, token failures, a lost network and sleeps have really met open connections and such as come back.
    for (const what of ["end", "final", "network", "sleep", "move", "expiring", "close", "close_in_callback"]) expect(drawn.get(`${what} while open`), what).toBeGreaterThan(50);
    for (const what of ["end", "fail", "answer_refused", "network", "sleep", "close"]) expect(drawn.get(`${what} while reconnecting`), what).toBeGreaterThan(50);
    for (const what of ["refreshed", "refresh_refused", "fail", "answer"]) expect(drawn.get(`${what} while open`), what).toBeGreaterThan(50);
  });

  test("a connection that nothing ends comes back once the server takes it", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(happenings, { maxLength: 40, size: "max" }), async (all) => {
        const world = createWorld();
        const { connection, calm, live, act } = start(world);
        connection.connect();
        await settle();
        for (const happening of all) await act(happening);
        calm();
        connection.connect(); // if it has ended
        world.setOnline(true);
        for (let i = 0; i < 60 && connection.state !== "open"; i++) {
          await act({ what: "answer" });
          await world.pass(5000);
          if (live()[0]?.readyState === 0) await act({ what: "open" });
        }
        expect(connection.state).toBe("open");
        connection.close("closed");
      }),
      { numRuns: 2000 },
    );
  });
});
