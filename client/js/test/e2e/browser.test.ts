import { build } from "esbuild";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasBinary, hasBrowser, newContext, startBrowser, startNode, token, until, type Node } from "./harness.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** A page with one file of the package, as it is, and nothing else. */
const PLAIN = (url: string, given: string) => `<!doctype html><script type="module">
import { Carillon } from "/dist/index.js";
import { tabs } from "/dist/tabs.js";
const shared = location.search === "?tabs";
globalThis.order = [];
class Connection extends WebSocket {
  constructor(...given) {
    super(...given);
    order.push("connection");
  }
}
const client = new Carillon({ url: ${JSON.stringify(url)}, getToken: () => ${JSON.stringify(given)}, reconnectDelay: 100, env: shared ? { WebSocket: tabs({ WebSocket: Connection }) } : {} });
globalThis.seen = [];
globalThis.states = [];
globalThis.told = [];
globalThis.client = client;
const room = (globalThis.room = client.channel("room:1"));
client.onStateChange.subscribe((state, { reason }) => states.push(reason ? state + " " + reason : state));
room.onContinuity.subscribe((continuity) => told.push(continuity.recovered));
room.on("app.thing", ({ data }) => seen.push(data.n));
</script>`;

async function reactPage(version: "18" | "19"): Promise<string> {
  const suffix = version === "18" ? "-18" : "";
  const { outputFiles } = await build({
    entryPoints: [path.join(root, "test/e2e/react-page.ts")],
    bundle: true,
    write: false,
    format: "iife",
    define: { "process.env.NODE_ENV": '"development"' },
    alias: {
      react: path.join(root, `node_modules/react${suffix}`),
      "react-dom": path.join(root, `node_modules/react-dom${suffix}`),
      "@carillon/client": path.join(root, "dist/index.js"),
      "@carillon/react": path.join(root, "../react/dist/index.js"),
    },
  });
  return `<!doctype html><div id="root"></div><script>${outputFiles[0]!.text.replaceAll("</script", "<\\/script")}</script>`;
}

describe.skipIf(!hasBinary || !hasBrowser)("against a server, in Chromium", () => {
  let node: Node;
  let browser: Browser;
  let web: Server;
  let origin = "";
  const pages = new Map<string, string>();

  beforeAll(async () => {
    node = await startNode();
    browser = await startBrowser();
    for (const version of ["18", "19"] as const) pages.set(`/react-${version}`, await reactPage(version));
    pages.set("/", PLAIN(node.url, token()));
    pages.set("/away", "<!doctype html><p>elsewhere</p>");
    web = createServer((request, response) => {
      const { pathname } = new URL(request.url!, "http://x");
      const built = pathname.startsWith("/dist/");
      response.setHeader("Content-Type", pathname.endsWith(".js") ? "text/javascript" : "text/html");
      response.end(built ? readFileSync(path.join(root, pathname)) : pages.get(pathname));
    });
    await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
    origin = `http://127.0.0.1:${(web.address() as { port: number }).port}`;
  });
  afterAll(async () => {
    await browser?.close();
    web?.close();
    await node?.end();
  });

  const newPage = async () => (await newContext(browser)).newPage();
  const live = (page: Page) => page.waitForFunction("globalThis.room?.state === 'live'");
  const seen = (page: Page) => page.evaluate("seen") as Promise<number[]>;
  const all = (page: Page, count: number) => page.waitForFunction(`seen.length >= ${count}`);

  test("a plain page; offline and back: every event comes once", async () => {
    const context = await newContext(browser);
    const page = await context.newPage();
    await page.goto(origin);
    await live(page);
    await node.publish("room:1", { n: 1 });
    await all(page, 1);
    await context.setOffline(true);
    await page.waitForFunction("client.state === 'reconnecting'");
    await node.publish("room:1", { n: 2 });
    await context.setOffline(false);
    await all(page, 2);
    expect([await seen(page), await page.evaluate("told"), await page.evaluate("states")]).toEqual([[1, 2], [true], ["connecting", "open", "reconnecting offline", "open"]]);
    await context.close();
  });

  test("what a listener throws is an error of the page, and keeps nothing from the others", async () => {
    const page = await newPage();
    const thrown: string[] = [];
    page.on("pageerror", ({ message }) => thrown.push(message));
    await page.goto(origin);
    await live(page);
    await page.evaluate("room.on('*', () => { throw new Error('thrown by a listener') }); room.on('*', ({ data }) => (globalThis.last = data.n)); 0");
    await node.publish("room:1", { n: 9 });
    await page.waitForFunction("globalThis.last === 9");
    await until(() => thrown.length, "the error");
    expect(thrown).toEqual(["thrown by a listener"]);
    await page.context().close();
  });

  test("a page that comes back from the back/forward cache goes on where it was", async () => {
    const page = await newPage();
    await page.goto(origin);
    await live(page);
    await node.publish("room:1", { n: 1 });
    await all(page, 1);
    await page.evaluate("addEventListener('pageshow', ({ persisted }) => (globalThis.persisted = persisted))");
    await page.goto(`${origin}/away`);
    await node.publish("room:1", { n: 2 });
    await page.goBack({ waitUntil: "commit" }); // a page of the cache does not load again
    await page.waitForFunction("globalThis.persisted"); // it is the page that was left
    await all(page, 2);
    await node.publish("room:1", { n: 3 });
    await all(page, 3);
    expect([await seen(page), await page.evaluate("told")]).toEqual([[1, 2, 3], [true]]);
    await page.context().close();
  });

  test("complaint: does not run in workers. A worker has a connection of its own", async () => {
    pages.set(
      "/worker.js",
      `import { Carillon } from "/dist/index.js";
       const client = new Carillon({ url: ${JSON.stringify(node.url)}, getToken: () => ${JSON.stringify(token())} });
       const room = client.channel("room:2");
       room.onStateChange.subscribe((state) => postMessage(state));
       room.on("app.thing", ({ data }) => postMessage(data.n));`,
    );
    const page = await newPage();
    await page.goto(`${origin}/react-19`);
    await page.evaluate("globalThis.got = []; new Worker('/worker.js', { type: 'module' }).onmessage = ({ data }) => got.push(data)");
    await page.waitForFunction("got.includes('live')");
    await node.publish("room:2", { n: 5 });
    await page.waitForFunction("got.includes(5)");
    await page.context().close();
  });

  /** Tabs of one browser, and how many sockets each has opened. */
  async function shared(count: number) {
    const context = await newContext(browser);
    const sockets: number[] = [];
    const tabs: Page[] = [];
    for (let tab = 0; tab < count; tab++) {
      const page = await context.newPage();
      sockets.push(0);
      tabs.push(page);
      page.on("websocket", () => sockets[tab]!++);
      await page.goto(`${origin}/?tabs`);
      await live(page);
    }
    return { context, sockets, tabs };
  }
  const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);
  const publish = async (from: number, to: number) => {
    for (let n = from; n <= to; n++) await node.publish("room:1", { n });
  };

  test("complaint: many tabs, many connections. Two tabs have one connection; when the leader goes, the other one misses nothing", async () => {
    const { context, sockets, tabs } = await shared(2);
    const [first, second] = tabs as [Page, Page];
    expect(sockets).toEqual([1, 0]);
    await publish(1, 20);
    await Promise.all([all(first, 20), all(second, 20)]);
    await first.close();
    await publish(21, 40);
    await all(second, 40);
    expect([await seen(second), sockets, await second.evaluate("told")]).toEqual([upTo(40), [1, 1], [true]]);
    await context.close();
  });

  // The document lives on behind an empty page for a long time, with its locks. The witness is such a lock.
  test("a leader that goes to an empty page leaves the connection to the other tab before it loses its other locks", async () => {
    const { context, tabs } = await shared(2);
    const [first, second] = tabs as [Page, Page];
    await first.evaluate("new Promise((held) => navigator.locks.request('witness', () => (held(), new Promise(() => {}))))");
    await second.evaluate("void navigator.locks.request('witness', () => order.push('witness'))");
    await first.goto("about:blank");
    await second.waitForFunction("order.length > 0");
    expect(await second.evaluate("order[0]")).toBe("connection");
    await context.close();
  });

  test.each([
    ["to an empty page", (page: Page) => page.goto("about:blank")],
    ["to another page, and is kept for the way back", (page: Page) => page.goto(`${origin}/away`)],
    ["nowhere: it is loaded again", (page: Page) => page.reload()],
    ["to sleep", (page: Page) => page.evaluate("document.dispatchEvent(new Event('freeze'))")],
  ])("a leader that goes %s leaves the connection to the other tab, which misses nothing", async (_, go) => {
    const { context, sockets, tabs } = await shared(2);
    const [first, second] = tabs as [Page, Page];
    await publish(1, 2);
    await all(second, 2);
    const going = go(first);
    await publish(3, 5);
    await until(() => sockets[1] === 1, "the other tab to connect");
    await going;
    await publish(6, 7);
    await all(second, 7);
    expect([await seen(second), await second.evaluate("told")]).toEqual([upTo(7), [true]]);
    await context.close();
  });

  test("a leader that comes back from the back/forward cache is a follower, and misses nothing", async () => {
    const { context, sockets, tabs } = await shared(2);
    const [first, second] = tabs as [Page, Page];
    await publish(1, 1);
    await all(first, 1);
    await first.evaluate("addEventListener('pageshow', ({ persisted }) => (globalThis.persisted = persisted))");
    await first.goto(`${origin}/away`);
    await publish(2, 3);
    await all(second, 3);
    await first.goBack({ waitUntil: "commit" });
    await first.waitForFunction("globalThis.persisted");
    await publish(4, 4);
    await Promise.all([all(first, 4), all(second, 4)]);
    expect([await seen(first), await seen(second), sockets]).toEqual([upTo(4), upTo(4), [1, 1]]);
    await context.close();
  });

  test("a tab that has slept gets what it missed from the history, however many pages that takes", async () => {
    const { context, sockets, tabs } = await shared(2);
    const [first, second] = tabs as [Page, Page];
    await publish(1, 1);
    await all(second, 1);
    await second.evaluate("document.dispatchEvent(new Event('freeze'))");
    const text = "x".repeat(2000); // a page has about 256 KiB
    for (let n = 2; n <= 400; n++) await node.publish("room:1", { n, text });
    await second.evaluate("document.dispatchEvent(new Event('resume'))");
    await Promise.all([all(first, 400), all(second, 400)]);
    await publish(401, 401);
    await Promise.all([all(first, 401), all(second, 401)]);
    expect([await seen(first), await seen(second), await second.evaluate("told"), sockets]).toEqual([upTo(401), upTo(401), [true], [1, 0]]);
    await context.close();
  });

  test("a managed socket of a page with shared connections is its own", async () => {
    const { context, sockets, tabs: pages } = await shared(2);
    const second = pages[1]!;
    const opened = second.waitForEvent("websocket");
    await second.evaluate(`(async () => {
      const [{ Carillon }, { tabs }] = await Promise.all([import("/dist/index.js"), import("/dist/tabs.js")]);
      const { websocket } = new Carillon({ url: ${JSON.stringify(node.url)}, getTicket: () => "one", env: { WebSocket: tabs() } });
      const socket = await websocket.connect("/chat", {}, "chat", { maxReconnectAttempts: 1 });
      await new Promise((closed) => socket.onStateChange.subscribe((state) => state === "closed" && closed()));
    })()`);
    expect((await opened).url()).toContain("/chat?ticket=one");
    await publish(1, 1);
    await Promise.all(pages.map((page) => all(page, 1)));
    expect(sockets[0]).toBe(1);
    await context.close();
  });

  test.each(["18", "19"])("complaint: subscribed twice, dropped or leaked by React StrictMode and unmount. React %s: 1,000 rounds leave one subscription, and no heap", async (version) => {
    const page = await newPage();
    const sent: string[] = [];
    let sockets = 0;
    page.on("websocket", (socket) => {
      sockets++;
      socket.on("framesent", ({ payload }) => sent.push(String(payload)));
    });
    await page.goto(`${origin}/react-${version}`);
    await page.evaluate(([url, given]) => (globalThis as never as { page: { start(url: string, token: string): void } }).page.start(url!, given!), [node.url, token("ada")]);
    expect(await page.evaluate("page.version")).toMatch(new RegExp(`^${version}`));
    await page.evaluate("page.render(true)");
    await page.waitForFunction("document.getElementById('room')?.textContent.startsWith('open live ada')");
    const heap = async () => {
      const session = await page.context().newCDPSession(page);
      for (let i = 0; i < 3; i++) await session.send("HeapProfiler.collectGarbage");
      return (await session.send("Runtime.getHeapUsage")).usedSize;
    };
    await page.evaluate("page.rounds(200)");
    const before = await heap();
    await page.evaluate("page.rounds(1000)");
    const grown = (await heap()) - before;
    await node.publish("room:1", { n: 7 });
    await page.waitForFunction("document.getElementById('room')?.textContent.endsWith(' 7')");
    expect(await page.evaluate("page.handled")).toEqual([7]);
    expect([sockets, sent.filter((text) => text.includes('"subscribe"')).length]).toEqual([1, 1]);
    expect(grown).toBeLessThan(500_000);
    await page.evaluate("page.render(false)");
    await page.waitForFunction("page.client.channel('room:1').state === 'idle'");
    await page.context().close();
  });

  test.each(["18", "19"])("complaint: state that survives logout. React %s: the first frame of the next user shows no event of the one before", async (version) => {
    const page = await newPage();
    await page.goto(`${origin}/react-${version}`);
    const call = (name: "start" | "signIn", user: string) =>
      page.evaluate(([of, url, given]) => (globalThis as never as { page: Record<string, (url: string, token: string) => string> }).page[of!]!(url!, given!), [name, node.url, token(user)]);
    await call("start", "ada");
    await page.evaluate("page.render(true)");
    await page.waitForFunction("document.getElementById('room')?.textContent.startsWith('open live ada')");
    await node.publish("room:1", { n: 7 });
    await page.waitForFunction("document.getElementById('room')?.textContent === 'open live ada 7'");
    expect(await call("signIn", "bob")).toBe("connecting subscribing  ");
    await page.waitForFunction("document.getElementById('room')?.textContent === 'open live bob '");
    await node.publish("room:1", { n: 8 });
    await page.waitForFunction("document.getElementById('room')?.textContent === 'open live bob 8'");
    await page.context().close();
  });
});
