import { spawn, type ChildProcess } from "node:child_process";
import { createHmac } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium, type Browser, type BrowserContext } from "playwright-core";
import { WebSocket } from "ws";
import { Carillon, type CarillonOptions, type Env } from "../../dist/index.js";
import { nodeWebSocket } from "../../dist/node.js";

const root = fileURLToPath(new URL("../../../..", import.meta.url));
export const BINARY = process.env.CARILLON_BIN ?? path.join(root, "build/dev/carillon");
export const hasBinary = existsSync(BINARY);
const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) => existsSync(file));
export const hasBrowser = CHROMIUM !== undefined;
const SECRET = "a secret for tests only, of 64 bytes and more, so that HS512 takes it";
const API_KEY = "an-api-key-for-tests-only";

/** How long a condition may take, on a busy machine too. A test that waits longer waits in vain. */
export const PATIENCE_MS = 60_000;

/** A token of the server's users. */
export function token(user = "ada", expiresInS = 600, more: object = {}): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const exp = Math.floor(Date.now() / 1000) + expiresInS;
  const text = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ sub: user, exp, channels: ["*"], jti: Math.random().toString(36), ...more })}`;
  return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
}

export interface Node {
  port: number;
  url: string;
  process: ChildProcess;
  api(route: string, body: object): Promise<Record<string, unknown>>;
  publish(channel: string, data: object): Promise<Record<string, unknown>>;
  /** Sends a signal, and resolves once the process has ended. */
  end(signal?: NodeJS.Signals): Promise<void>;
}

export async function until<T>(check: () => T | Promise<T>, what: string): Promise<NonNullable<T>> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await check();
    if (found) return found as NonNullable<T>;
    if (Date.now() > end) throw new Error(`waited ${PATIENCE_MS} ms for: ${what}`);
    await sleep(5);
  }
}

export const startBrowser = (): Promise<Browser> =>
  chromium.launch({
    ...{ executablePath: CHROMIUM!, timeout: PATIENCE_MS, ignoreDefaultArgs: ["--disable-back-forward-cache"] },
    args: ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage"],
  });

/** A person with a browser of their own. Its pages wait for their conditions as `until` does. */
export async function newContext(browser: Browser): Promise<BrowserContext> {
  const context = await browser.newContext();
  context.setDefaultTimeout(PATIENCE_MS);
  return context;
}

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export async function startNode(config: object = {}): Promise<Node> {
  const folder = mkdtempSync(path.join(tmpdir(), "carillon-"));
  const file = path.join(folder, "config.json");
  writeFileSync(
    file,
    JSON.stringify({
      ...{ host: "127.0.0.1", port: 0, internal: { port: 0 }, workers: 1, drain_window: "100ms", pong_timeout: "5m", token: { secret: SECRET }, api: { keys: [API_KEY] } },
      channels: [{ match: "*", allow: ["subscribe", "publish", "presence", "history"], presence: true, presence_events: true, history: { size: 1000, ttl: "10m" } }],
      ...config,
    }),
  );
  const child = spawn(BINARY, ["serve", "--config", file, "--ready-fd", "3"], { stdio: ["ignore", "ignore", "pipe", "pipe"] });
  let log = "";
  child.stderr!.on("data", (text) => (log += text));
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  let ready = "";
  child.stdio[3]!.on("data", (text: Buffer) => (ready += text));
  await until(() => {
    if (child.exitCode !== null) throw new Error(`carillon has ended: ${log}`);
    return /internal .*\n/.test(ready);
  }, "the server to be ready");
  const port = Number(/clients .*:(\d+)/.exec(ready)![1]);
  const internal = Number(/internal .*:(\d+)/.exec(ready)![1]);
  if ("redis" in config) await until(() => fetch(`http://127.0.0.1:${internal}/readyz`).then(({ ok }) => ok, () => false), "the server to reach Redis");
  const api = async (route: string, body: object) => {
    const answer = await fetch(`http://127.0.0.1:${internal}/api/v1/${route}`, {
      method: "POST",
      headers: { "X-API-Key": API_KEY, "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${route}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as Record<string, unknown>;
  };
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    process: child,
    api,
    publish: (channel, data) => api("publish", { channel, type: "app.thing", data }),
    async end(signal = "SIGTERM") {
      child.kill(signal);
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export type Events = { "app.thing": { n: number; at?: number } };
export const env: Partial<Env> = { WebSocket: nodeWebSocket(WebSocket) };

export function createClient(url: string, more: Partial<CarillonOptions> = {}): Carillon<Events> {
  return new Carillon<Events>({ url, getToken: () => token(), reconnectDelay: 100, env, ...more });
}

/** A Redis of the test's own, in memory. `null`: there is none on this machine. */
export async function startRedis(): Promise<{ url: string; end(): Promise<void> } | null> {
  const folder = mkdtempSync(path.join(tmpdir(), "carillon-redis-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const socket = path.join(folder, "redis.sock");
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const child = spawn("redis-server", ["--port", `${port}`, "--bind", "127.0.0.1", "--unixsocket", socket, "--save", "", "--maxmemory-policy", "noeviction"], { stdio: "ignore", cwd: folder });
    let [isMissing, hasEnded] = [false, false];
    child.once("error", () => (isMissing = true));
    const exited = new Promise<void>((resolve) => child.once("exit", () => resolve(void (hasEnded = true))));
    await until(() => isMissing || hasEnded || existsSync(socket), "Redis");
    if (isMissing) return remove(), null;
    if (hasEnded) continue; // something else has this port
    const end = async () => {
      child.kill("SIGKILL");
      await exited;
      remove();
    };
    return { url: `redis://127.0.0.1:${port}`, end };
  }
}

/** The sockets, timers and servers that keep this process alive. */
export function handles(): string[] {
  return (process as unknown as { getActiveResourcesInfo(): string[] }).getActiveResourcesInfo().filter((kind) => /^(TCP|Timeout|TLS)/.test(kind));
}

