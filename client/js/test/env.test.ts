import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createEnv } from "../src/env.js";

const page = { hidden: false };
const view = new EventTarget();
let told: unknown[];
let stop: () => void;

beforeEach(() => {
  vi.stubGlobal("document", page);
  vi.stubGlobal("addEventListener", view.addEventListener.bind(view));
  told = [];
  stop = createEnv({}).network.watch({ online: (online) => told.push(online), woken: () => told.push("woken") });
});
afterEach(() => {
  stop();
  vi.unstubAllGlobals();
});

/** The events of the document pass through the window on their way to it. */
const happen = (type: string, more: object = {}) => view.dispatchEvent(Object.assign(new Event(type), more));

test("a page that is looked at again, or goes on, asks whether the line is there; a hidden one does not", () => {
  for (const hidden of [true, false]) {
    page.hidden = hidden;
    happen("visibilitychange");
  }
  happen("resume");
  expect(told).toEqual(["woken", "woken"]);
});

test("a page without a network, or in the back/forward cache, is offline", () => {
  for (const type of ["offline", "online"]) happen(type);
  for (const type of ["pagehide", "pageshow"]) for (const persisted of [false, true]) happen(type, { persisted });
  expect(told).toEqual([false, true, false, true]);
});

test("a page that opens without a network is told so at once", () => {
  vi.stubGlobal("navigator", { onLine: false });
  createEnv({}).network.watch({ online: (online) => told.push(online), woken: () => {} })();
  expect(told).toEqual([false]);
});

test("nothing is told after the end", () => {
  stop();
  for (const type of ["offline", "online", "resume"]) happen(type);
  expect(told).toEqual([]);
});

test("a global is found when it is used, and what is given comes before it", () => {
  const env = createEnv({ random: () => 0.25 });
  vi.stubGlobal("WebSocket", class {});
  expect([env.WebSocket === globalThis.WebSocket, env.random()]).toEqual([true, 0.25]);
});
