import { execFile, execFileSync, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BINARY, hasBinary, hasBrowser, newContext, PATIENCE_MS, startBrowser, until } from "./harness.js";

const repository = fileURLToPath(new URL("../../../..", import.meta.url));
const folderOf = (example: string) => path.join(repository, "examples", example);
const tsc = path.join(repository, "client/js/node_modules/typescript/bin/tsc");
const run = promisify(execFile);
const hasChatRoom = existsSync(path.join(folderOf("chat-room"), "node_modules"));
const names = ["first-page", "status-board", "notifications-bell", ...(hasChatRoom ? ["chat-room"] : [])];

interface Example {
  url: string;
  output(): string;
  end(): Promise<void>;
}

/** Starts an example by its command, in a group of processes of its own. */
async function start(example: string): Promise<Example> {
  // The server warns 30 s before a token ends: so each page gets a fresh one soon.
  const env = { ...process.env, CARILLON_BIN: BINARY, TOKEN_LIFETIME: "32s", NO_COLOR: "1" };
  const child = spawn("npm", ["start", "--silent"], { cwd: folderOf(example), env, detached: true });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += text));
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const url = await until(() => {
    if (child.exitCode !== null) throw new Error(`${example} has ended: ${output}`);
    return /(?:open|Local:) +(http:\S+)/.exec(output)?.[1];
  }, `the URL of ${example}`);
  return {
    url,
    output: () => output,
    async end() {
      process.kill(-child.pid!, "SIGTERM");
      await exited;
    },
  };
}

describe.skipIf(!hasBinary || !hasBrowser)("the examples, in Chromium", () => {
  let browser: Browser;
  const faults: string[] = [];
  /** The connections of each page, and the types of all frames that came. */
  const seen = new Map<Page, { sockets: number; frames: string[] }>();

  /** What the compiler finds meanwhile, in the plain examples and in the chat room. */
  let types: Promise<string[]>;

  /** All of them, started at once. */
  const running: Record<string, Example> = {};

  beforeAll(async () => {
    const folders = [path.join(repository, "examples"), ...(hasChatRoom ? [folderOf("chat-room")] : [])];
    types = Promise.all(folders.map((folder) => run(process.execPath, [tsc, "-p", folder]).then(({ stdout }) => stdout, ({ stdout }) => stdout)));
    browser = await startBrowser();
    await Promise.all(names.map(async (name) => (running[name] = await start(name))));
  });
  afterAll(async () => {
    await browser?.close();
    await Promise.all(Object.values(running).map((example) => example.end()));
    expect(faults).toEqual([]);
  });

  const someone = () => newContext(browser);

  async function open(context: BrowserContext, url: string): Promise<Page> {
    const page = await context.newPage();
    const of = { sockets: 0, frames: [] as string[] };
    seen.set(page, of);
    page.on("pageerror", (error) => faults.push(`${url}: ${error}`));
    page.on("websocket", (socket) => {
      if (!socket.url().endsWith("/ws")) return; // Vite's own
      of.sockets++;
      socket.on("framereceived", ({ payload }) => of.frames.push(JSON.parse(String(payload)).type));
    });
    await page.goto(url);
    return page;
  }

  describe("first-page", () => {
    const source = readFileSync(path.join(folderOf("first-page"), "index.html"), "utf8");
    test("is the page of the quick start, and has at most 30 lines", () => {
      const page = /(?<=```html\n)[\s\S]*?(?=```)/.exec(readFileSync(path.join(repository, "docs/quickstart-javascript.md"), "utf8"))![0];
      expect(page).toBe(source);
      expect(source.trim().split("\n").length).toBeLessThanOrEqual(30);
    });

    test("has presence, fresh tokens, and the messages that were missed", async () => {
      const { url } = running["first-page"]!;
      const [ada, bob] = [await open(await someone(), url), await open(await someone(), `${url}?user=bob`)];
      for (const page of [ada, bob]) await page.getByText("open, here: ada, bob").waitFor();
      const say = async (text: string) => {
        await ada.getByLabel("Message").fill(text);
        await ada.getByRole("button").click();
        await ada.getByText(`ada: ${text}`).waitFor();
      };
      await say("Hello");
      await bob.getByText("ada: Hello").waitFor();
      await bob.context().setOffline(true);
      await bob.getByText("reconnecting").waitFor();
      await ada.getByText(/here: ada$/).waitFor();
      await say("Missed");
      await bob.context().setOffline(false);
      await bob.getByText("ada: Missed").waitFor();
      expect(await bob.getByRole("listitem").allTextContents()).toEqual(["ada: Hello", "ada: Missed"]);
      await until(() => seen.get(ada)!.frames.includes("refreshed"), "a fresh token");
      expect(seen.get(ada)!.sockets).toBe(1);
      for (const page of [ada, bob]) await page.context().close();
    });
  });

  describe.skipIf(!hasChatRoom)("chat-room", () => {
    let ada: Page;
    let bob: Page;
    beforeAll(async () => {
      const { url } = running["chat-room"]!;
      ada = await open(await someone(), `${url}?user=ada`);
      bob = await open(await someone(), `${url}?user=bob`);
    });

    async function say(page: Page, ...texts: string[]): Promise<void> {
      for (const text of texts) {
        await page.getByLabel("Message", { exact: true }).fill(text);
        await page.keyboard.press("Enter");
      }
    }
    const here = (page: Page) => page.getByRole("complementary", { name: "Who is here" });
    const badge = (page: Page, text: string) => page.getByRole("status").getByText(text).waitFor();
    const log = (page: Page) => page.getByRole("log").locator("p").allTextContents();
    const shows = (page: Page, ...texts: string[]) => expect.poll(() => log(page), { timeout: PATIENCE_MS }).toEqual(texts);
    const both = (what: (page: Page) => Promise<unknown>) => Promise.all([ada, bob].map(what));

    test("asks for a name, and lets nobody in without one", async () => {
      const page = await open(await someone(), running["chat-room"]!.url);
      await page.getByLabel("Your name").fill("cleo");
      await page.keyboard.press("Enter");
      await here(page).getByText("cleo (you)").waitFor();
      await here(ada).getByText("3 here").waitFor();
      await page.context().close();
    });

    test("two people see each other and talk; the one who was offline gets what was missed, and what waited is sent", async () => {
      await both((page) => here(page).getByText("2 here").waitFor());
      await say(ada, "Hello");
      await bob.getByText("Hello").waitFor();
      await bob.context().setOffline(true);
      await badge(bob, "reconnecting…");
      await here(ada).getByText("1 here").waitFor();
      await say(ada, "You miss this", "and this");
      await shows(ada, "Hello", "You miss this", "and this");
      await ada.getByText("waits for the connection").first().waitFor({ state: "hidden" });
      await say(bob, "Sent while offline");
      await bob.getByText("bob waits for the connection").waitFor();
      await bob.context().setOffline(false);
      await badge(bob, "live");
      await both((page) => shows(page, "Hello", "You miss this", "and this", "Sent while offline"));
      await bob.getByText("waits for the connection").waitFor({ state: "hidden" });
      await here(ada).getByText("2 here").waitFor();
    });

    test("a page that is loaded again shows the newest messages, and older ones on demand", async () => {
      await say(ada, ...Array.from({ length: 40 }, (_, i) => `message ${i + 1}`));
      const newest = Array.from({ length: 30 }, (_, i) => `message ${i + 11}`);
      await bob.getByText("message 40", { exact: true }).waitFor();
      await bob.reload();
      await shows(bob, ...newest);
      await bob.getByRole("button", { name: "Earlier messages" }).click();
      await shows(bob, "Hello", "You miss this", "and this", "Sent while offline", ...Array.from({ length: 10 }, (_, i) => `message ${i + 1}`), ...newest);
      expect(await bob.getByRole("button", { name: "Earlier messages" }).count()).toBe(0);
    });

    test("the server is killed: the room comes back with what the new one has", async () => {
      // The new server may be there sooner than anybody looks at the page.
      await both((page) =>
        page.getByRole("status").evaluate((shown) => {
          const badges: unknown[] = [];
          Object.assign(globalThis, { badges });
          new MutationObserver(() => badges.push(shown.textContent)).observe(shown, { childList: true, characterData: true, subtree: true });
        }),
      );
      process.kill(Number(/process (\d+)/.exec(running["chat-room"]!.output())![1]), "SIGKILL");
      await both((page) => page.waitForFunction("badges.at(-1) === 'live'"));
      await both(async (page) => expect(await page.evaluate("badges")).toEqual(["reconnecting…", "live"]));
      await both((page) => here(page).getByText("2 here").waitFor());
      await say(bob, "Is anybody still here?");
      await both((page) => shows(page, "Is anybody still here?"));
    });
  });

  describe("status-board", () => {
    test("shows each change, also those that it missed", async () => {
      const { url, output } = running["status-board"]!;
      const publish = (service: string, status: string) => {
        const [, variables, program] = /publish with (.*) node (\S+)/.exec(output())!;
        const env = Object.fromEntries(variables!.split(" ").map((text) => text.split("=")));
        execFileSync(process.execPath, [program!, service, status], { env: { ...process.env, ...env } });
      };
      const page = await open(await someone(), url);
      const card = (service: string, status: string) => page.getByRole("listitem").filter({ hasText: service }).getByText(status).waitFor();
      for (const service of ["website", "sign-in", "payments", "search", "e-mail", "reports"]) await card(service, "since");
      await page.getByRole("status").getByText("live").waitFor();
      publish("backup", "degraded");
      await card("backup", "degraded");
      await page.context().setOffline(true);
      await page.getByRole("status").getByText("reconnecting").waitFor();
      publish("backup", "operational");
      await page.context().setOffline(false);
      await card("backup", "operational");
      await page.context().close();
    });
  });

  describe("notifications-bell", () => {
    test("counts, keeps the count when the page is loaded again, and is one for all tabs", async () => {
      const { url } = running["notifications-bell"]!;
      const context = await someone();
      const first = await open(context, url);
      const send = (page: Page) => page.getByRole("button", { name: "Send me" }).click();
      const unread = (page: Page, count: number) => page.getByRole("button", { name: count ? `Notifications, ${count} unread` : "Notifications", exact: true }).waitFor();
      for (let count = 1; count <= 2; count++) {
        await send(first);
        await unread(first, count);
      }
      await first.reload();
      await unread(first, 2);
      const second = await open(context, url);
      await unread(second, 2);
      await send(second);
      await Promise.all([first, second].map((page) => unread(page, 3)));
      expect([seen.get(first)!.sockets, seen.get(second)!.sockets]).toEqual([2, 0]); // two: it was loaded twice

      // The tab with the connection goes. Another one takes over.
      await first.close();
      await send(second);
      await unread(second, 4);
      const third = await open(context, url);
      await unread(third, 4);
      await third.getByRole("button", { name: "Notifications" }).click();
      await Promise.all([second, third].map((page) => unread(page, 0)));
      expect(await third.getByRole("listitem").count()).toBe(4);
      await context.close();
    });
  });

  test("the lock file has no hosts of downloads", () => {
    expect(readFileSync(path.join(folderOf("chat-room"), "package-lock.json"), "utf8")).not.toMatch(/"resolved": "\w+:/);
  });

  test("their types are right", async () => {
    expect((await types).join("")).toBe("");
  });
});
