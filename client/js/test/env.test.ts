import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createEnv } from "../src/env.js";

const page = Object.assign(new EventTarget(), { visibilityState: "visible" });
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

const happen = (target: EventTarget, type: string, more: object = {}) => target.dispatchEvent(Object.assign(new Event(type), more));

test("a page that is looked at again, or goes on, asks whether the line is there; a hidden one does not", () => {
  for (const visibilityState of ["hidden", "visible"]) {
    page.visibilityState = visibilityState;
    happen(page, "visibilitychange");
  }
  happen(page, "resume");
  expect(told).toEqual(["woken", "woken"]);
});

test("a page without a network, or in the back/forward cache, is offline", () => {
  for (const type of ["offline", "online"]) happen(view, type);
  for (const type of ["pagehide", "pageshow"]) for (const persisted of [false, true]) happen(view, type, { persisted });
  expect(told).toEqual([false, true, false, true]);
});

test("a page that opens without a network is told so at once", () => {
  vi.stubGlobal("navigator", { onLine: false });
  createEnv({}).network.watch({ online: (online) => told.push(online), woken: () => {} })();
  expect(told).toEqual([false]);
});

test("nothing is told after the end", () => {
  stop();
  for (const type of ["offline", "online"]) happen(view, type);
  happen(page, "resume");
  expect(told).toEqual([]);
});
