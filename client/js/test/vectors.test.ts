import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { backoff, judge } from "../src/backoff.js";
import type { Machine, MachineEvent } from "../src/machine-state.js";
import { idle, step } from "../src/machine.js";
import type { ListenOptions } from "../src/channel-api.js";
import type { Position } from "../src/protocol.js";
import { setUp } from "./server.js";
import { settle } from "./world.js";

/** The rules as data, which clients in all languages share. */
function cases<Case>(file: string): (Case & { name: string })[] {
  return JSON.parse(readFileSync(new URL(`../../vectors/${file}`, import.meta.url), "utf8")).cases;
}

describe("verdict", () => {
  test.each(cases<{ code: number; reason: string; status?: number; verdict: string }>("verdict.json"))("$name", (given) => {
    expect(judge(given)).toBe(given.verdict);
  });
});

describe("back-off", () => {
  test.each(cases<{ attempt: number; initial_ms: number; max_ms: number; random: number; delay_ms: number }>("backoff.json"))("$name", (given) => {
    const delay = backoff(given.attempt, given.initial_ms, given.max_ms, given.random);
    expect(Math.abs(delay - given.delay_ms)).toBeLessThanOrEqual(1);
  });
});

describe("refresh", () => {
  const delays = [1000, 20_000] as const;
  const run = (machine: Machine, event: MachineEvent) => step(machine, event, delays, 0.5);

  test.each(cases<{ lifetime_ms: number | null; refresh_ms: number | null }>("refresh.json"))("$name", (given) => {
    const connecting = run(run(idle, { type: "connect" }), { type: "credential", credential: "token" });
    const { refresh } = run(connecting, { type: "open", lifetimeMs: given.lifetime_ms });
    if (given.refresh_ms === null) expect(refresh).toBeNull();
    else expect(Math.abs(refresh!.ms - given.refresh_ms)).toBeLessThanOrEqual(1);
  });
});

describe("position", () => {
  type Given = { position: Position | null; frame: { type: string; channel: string }; delivered?: boolean; after: Position | null };

  test.each(cases<Given>("position.json"))("$name", async ({ position, frame, delivered, after }) => {
    const { client, accept, subscribe, socket } = setUp();
    const room = client.channel("c");
    const seen: unknown[] = [];
    room.on("*", (event) => seen.push(event));
    await accept();
    await subscribe(position ?? {});
    socket().say({ timestamp: "2026-01-15T10:30:00.000Z", ...frame });
    await settle();
    expect(room.position).toEqual(after);
    expect(seen.length).toBe(delivered ? 1 : 0);
    client.close();
  });
});

describe("earlier events", () => {
  type Given = {
    asks: ListenOptions;
    steps: { event?: number; gap?: object; asked?: object; page?: { events: number[] }; error?: string }[];
    told: number[];
    error?: string;
  };
  const event = (offset: number) => ({ type: "x", channel: "c", id: `i${offset}`, offset, data: offset });

  test.each(cases<Given>("earlier.json"))("$name", async ({ asks, steps, told, error }) => {
    const { client, accept, subscribe, socket, errors } = setUp();
    const room = client.channel("c");
    room.on("*", () => {});
    await accept();
    await subscribe({ epoch: "e1", offset: 10, id: "i10" });
    const seen: unknown[] = [];
    room.on("*", ({ offset }) => seen.push(offset), asks);
    const answered = new Set<number>();
    for (const { event: offset, gap, asked, page, error: code } of steps) {
      if (offset) socket().say(event(offset));
      if (gap) socket().say({ type: "gap", channel: "c", data: gap });
      if (asked) {
        const { id, data } = socket().commands.find((sent) => sent.type === "history" && !answered.has(sent.id))!;
        answered.add(id);
        expect(data).toEqual({ channel: "c", ...asked });
        socket().say(page ? { type: "history", id, channel: "c", data: { ...page, events: page.events.map(event) } } : { type: "error", id, error: { code, message: "no" } });
      }
      await settle();
    }
    expect([seen, errors]).toMatchObject([told, error ? [{ code: error }] : []]);
    client.close();
  });
});
