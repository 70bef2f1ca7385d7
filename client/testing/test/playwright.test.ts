import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runSpecs } from "./spec-run.js";
import { CHROMIUM, Project } from "./support.js";

const PACKAGES = ["@playwright/test", "playwright", "playwright-core"];

/** A page without a library: it does not listen to what the browser says of the network. */
const PLAIN = `
import { createServer } from "node:http";
import { expect, test } from "@carillon/testing/playwright";
const web = createServer((_, response) => response.setHeader("Content-Type", "text/html").end("<!doctype html>"));
test.beforeAll(() => new Promise((resolve) => web.listen(0, "127.0.0.1", resolve)));
test.afterAll(() => web.close());
const connect = async (page, carillon, user = "ada") => {
  await page.goto("http://127.0.0.1:" + web.address().port);
  await page.evaluate((url) => {
    globalThis.got = [];
    globalThis.ended = undefined;
    globalThis.socket = new WebSocket(url, "carillon.v1");
    socket.onmessage = ({ data }) => got.push(JSON.parse(data));
    socket.onclose = ({ code }) => (globalThis.ended = code);
    socket.onopen = () => socket.send(JSON.stringify({ type: "subscribe", data: { channel: "room:1" } }));
  }, await carillon.url(user));
  await carillon.wait.subscribed("room:1", { user, timeout: "1m" });
};
const messages = (page) => page.evaluate(() => got.filter(({ type }) => type === "notification").map(({ data }) => data.message));
const publish = (carillon, message) => carillon.publish("room:1", "notification", { message });
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
`;

describe.skipIf(!CHROMIUM)("the fixture", () => {
  let project: Project;
  beforeEach(() => {
    project = new Project(PACKAGES);
  });
  afterEach(() => project.remove());

  test("is one server for a worker, reset for each test", async () => {
    project.write(
      "server.spec.js",
      `${PLAIN}
      test.use({ carillonOptions: { seed: 7, clock: "frozen", at: "2026-01-15T10:30:00Z" } });
      let pid;
      test("first", async ({ carillon, page }) => {
        pid = carillon.facts.pid;
        await connect(page, carillon);
        await publish(carillon, "hello");
        expect(await carillon.clock.now()).toEqual(new Date("2026-01-15T10:30:00Z"));
      });
      test("second", async ({ carillon }) => {
        expect(carillon.facts.pid).toBe(pid);
        expect(await carillon.sessions()).toEqual([]);
        expect((await carillon.journal()).map(({ kind }) => kind)).toEqual(["reset"]);
      });`,
    );
    expect((await runSpecs(project)).map(({ title, status, errors }) => [title, status, errors])).toEqual([["first", "passed", ""], ["second", "passed", ""]]);
  });

  test("attaches the journal to a test that fails, and to no other", async () => {
    project.write(
      "journal.spec.js",
      `${PLAIN}
      test("fails", async ({ carillon }) => {
        await publish(carillon, "hello");
        await carillon.verify([{ kind: "delivered" }]);
      });
      test("passes", async ({ carillon }) => publish(carillon, "hello"));
      test("is expected to fail", async ({ carillon }) => {
        test.fail();
        expect(1).toBe(2);
      });`,
    );
    const [fails, passes, expected] = await runSpecs(project);
    expect(fails!.status).toBe("failed");
    expect(fails!.errors).toContain('expect[0] {"kind":"delivered"}');
    const [journal] = fails!.attachments;
    expect(journal!.name).toBe("carillon-journal");
    expect(journal!.body.split("\n").map((line) => JSON.parse(line).kind)).toEqual(["reset", "published"]);
    expect([passes!.status, passes!.attachments, expected!.attachments]).toEqual(["passed", [], []]);
  });

  test("takes pages offline, their open connections too", async () => {
    project.write(
      "offline.spec.js",
      `${PLAIN}
      test("nothing moves, and comes when the page is online again", async ({ carillon, page }) => {
        await connect(page, carillon);
        await carillon.offline(page);
        await publish(carillon, "missed");
        await page.evaluate(() => socket.send(JSON.stringify({ type: "publish", id: 1, data: { channel: "room:1", type: "notification", data: { message: "mine" } } })));
        await sleep(300);
        expect([await messages(page), await page.evaluate(() => [navigator.onLine, socket.readyState])]).toEqual([[], [false, 1]]);
        await carillon.verify([], { nothingElse: ["closed", "answered"], after: (await carillon.wait.published("room:1", { timeout: "1m" }))[0].n });
        await carillon.online(page);
        await expect.poll(() => messages(page)).toEqual(["missed", "mine"]);
        expect(await page.evaluate(() => [navigator.onLine, ended])).toEqual([true, undefined]);
      });
      test("no new connection opens meanwhile", async ({ carillon, page }) => {
        await connect(page, carillon);
        await carillon.offline(page);
        const outcome = await page.evaluate((url) => new Promise((resolve) => {
          const other = new WebSocket(url, "carillon.v1");
          other.onopen = () => resolve("open");
          other.onclose = ({ code }) => resolve(code);
        }), await carillon.url("eve"));
        expect(outcome).toBe(1006);
        await carillon.verify([], { nothingElse: ["connected"], after: (await carillon.wait.connected({ user: "ada" }))[0].n });
      });
      test("with reset the connection breaks at once", async ({ carillon, page }) => {
        await connect(page, carillon);
        await carillon.offline(page, "reset");
        await expect.poll(() => page.evaluate(() => globalThis.ended)).toBe(1006);
        await carillon.wait.closed({ user: "ada", timeout: "1m" });
        await carillon.online(page);
        expect(await carillon.sessions()).toEqual([]);
      });
      test("one device is offline, and another one is not", async ({ carillon, page, browser }) => {
        await connect(page, carillon);
        const context = await browser.newContext();
        await expect(async () => carillon.offline(await context.newPage())).rejects.toThrow("carillon.watch(context)");
        carillon.watch(context);
        const other = await context.newPage();
        await connect(other, carillon, "bob");
        await carillon.offline(other);
        await publish(carillon, "hello");
        await expect.poll(() => messages(page)).toEqual(["hello"]);
        await sleep(100);
        expect(await messages(other)).toEqual([]);
        await carillon.online(other);
        await expect.poll(() => messages(other)).toEqual(["hello"]);
        await context.close();
      });`,
    );
    const told = await runSpecs(project);
    expect(told.map(({ errors }) => errors).filter(Boolean)).toEqual([]);
    expect(told.map(({ status }) => status)).toEqual(["passed", "passed", "passed", "passed"]);
  });
});
