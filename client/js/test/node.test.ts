import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { judge } from "../src/backoff.js";
import { Carillon } from "../src/client.js";
import type { Change } from "../src/connection.js";
import { createSockets } from "../src/managed.js";
import { nodeWebSocket } from "../src/node.js";

const ends: (() => void)[] = [];
afterEach(() => ends.splice(0).forEach((end) => end()));

/** A server that answers upgrades by hand. */
async function startServer(upgrade: (line: Duplex, request: IncomingMessage, head: Buffer) => void): Promise<string> {
  const lines = new Set<Socket>();
  const server = createServer().on("connection", (line) => lines.add(line));
  server.on("upgrade", (request, line, head) => {
    line.on("error", () => {}).resume();
    upgrade(line, request, head);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ends.push(() => (server.close(), lines.forEach((line) => line.destroy())));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const answer = (status: string, body: string, ...headers: string[]) =>
  [`HTTP/1.1 ${status}`, `Content-Length: ${Buffer.byteLength(body)}`, "Connection: close", ...headers, "", body].join("\r\n");
const carillon = (code: string, reason?: string) => JSON.stringify({ error: { code, message: "no", reason } });

/** The end of one socket, as the client sees it. */
const endOf = (url: string, of = nodeWebSocket(WebSocket)) =>
  new Promise<{ code: number; reason: string; status?: number; retryAfterMs?: number }>((resolve) => {
    const socket = new of(url.replace("http", "ws"), ["carillon.v1", "token"]);
    socket.onerror = () => {};
    socket.onclose = ({ code, reason, status, retryAfterMs }: never) => resolve({ code, reason, status, retryAfterMs } as never);
  });

describe("a refused upgrade", () => {
  test.each([
    ["Carillon's reason", answer("403 Forbidden", carillon("forbidden", "scope_missing")), { reason: "scope_missing", status: 403 }, "final"],
    ["a refused token", answer("401 Unauthorized", carillon("unauthorized", "token_revoked")), { reason: "token_revoked", status: 401 }, "refused"],
    ["Carillon's code, without a reason", answer("404 Not Found", carillon("not_found")), { reason: "not_found", status: 404 }, "final"],
    ["Retry-After in seconds", answer("503 No", carillon("unavailable", "draining"), "Retry-After: 5"), { reason: "draining", status: 503, retryAfterMs: 5000 }, "retry"],
    ["Retry-After 0, which is no time", answer("503 No", "", "Retry-After: 0"), { reason: "", status: 503 }, "retry"],
    ["Retry-After as a date", answer("503 No", "", "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT"), { reason: "", status: 503 }, "retry"],
    ["Retry-After longer than any timer", answer("503 No", "", "Retry-After: 99999999999999"), { reason: "", status: 503, retryAfterMs: 2 ** 31 - 1 }, "retry"],
    ["a proxy's 404", answer("404 Not Found", "<html>404</html>"), { reason: "", status: 404 }, "retry"],
    ["a proxy's 403", answer("403 Forbidden", "<html>403</html>"), { reason: "", status: 403 }, "retry"],
    ["JSON that is not ours", answer("404 Not Found", '{"error":"not found"}'), { reason: "", status: 404 }, "retry"],
    ["JSON with a number as code", answer("404 Not Found", '{"error":{"code":404,"message":"x"}}'), { reason: "", status: 404 }, "retry"],
    ["JSON null", answer("404 Not Found", "null"), { reason: "", status: 404 }, "retry"],
    ["a reason that is no word", answer("403 Forbidden", '{"error":{"code":"forbidden","reason":["scope_missing"]}}'), { reason: "", status: 403 }, "retry"],
    ["a body that is too long", answer("403 Forbidden", carillon("forbidden", "scope_missing").replace("no", "no".repeat(500_000))), { reason: "", status: 403 }, "retry"],
    ["a line that breaks within the body", answer("503 No", "x").replace("Length: 1", "Length: 9"), { reason: "", status: 503 }, "retry"],
    ["a line that breaks before an answer", "", { reason: "" }, "retry"],
  ])("tells %s", async (_, text, expected, verdict) => {
    const ending = await endOf(await startServer((line) => line.end(text)));
    expect(ending).toEqual({ code: 1006, status: undefined, retryAfterMs: undefined, ...expected });
    expect(judge(ending)).toBe(verdict);
  });

  test("whose body never ends is told after 2 seconds, and leaves no line", async () => {
    let closed = false;
    const url = await startServer((line) => {
      line.write("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
      line.on("end", () => (closed = true));
    });
    const begun = Date.now();
    expect(await endOf(url)).toMatchObject({ code: 1006, reason: "", status: 404 });
    expect(Date.now() - begun).toBeGreaterThanOrEqual(1900);
    await expect.poll(() => closed).toBe(true);
  });

  test("is not told to a client that has closed while the body came", async () => {
    let closed = false;
    let begun = () => {};
    const answered = new Promise<void>((resolve) => (begun = resolve));
    const url = await startServer((line) => {
      line.write("HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nhello");
      line.on("end", () => (closed = true));
      begun();
    });
    const client = new Carillon({ url, getToken: () => "token", env: { WebSocket: nodeWebSocket(WebSocket) } });
    const reasons: unknown[] = [];
    client.onStateChange.subscribe((state, { reason }) => reasons.push([state, reason]));
    client.connect();
    await answered;
    await new Promise((resolve) => setTimeout(resolve, 50));
    client.close();
    await expect.poll(() => closed).toBe(true);
    expect(reasons).toEqual([["connecting", undefined], ["closing", "closed"], ["closed", "closed"]]);
    await expect.poll(() => (process as unknown as { getActiveResourcesInfo(): string[] }).getActiveResourcesInfo().filter((kind) => kind === "Timeout").length).toBeLessThan(3);
  });
});

test("complaint: silent death. A proxy's 404 during a deploy ends no client, and Retry-After takes the place of the delay", async () => {
  const answers = [answer("404 Not Found", "<html>"), answer("503 No", carillon("unavailable", "draining"), "Retry-After: 1")];
  const server = new WebSocketServer({ noServer: true });
  const url = await startServer((line, request, head) => {
    const text = answers.shift();
    if (text) line.end(text);
    else server.handleUpgrade(request, line, head, () => {});
  });
  const sockets = createSockets({ url, getTicket: () => `t${Math.random()}`, env: { WebSocket: nodeWebSocket(WebSocket), random: () => 0.01 } });
  const socket = await sockets.connect("/notifications");
  ends.push(sockets.closeAll);
  const changes: Change[] = [];
  socket.onStateChange.subscribe((_, change) => changes.push(change));
  await expect.poll(() => socket.state, { timeout: 10_000 }).toBe("open");
  expect(changes.filter(({ state }) => state === "reconnecting")).toMatchObject([
    { code: 1006, reason: "", status: 404, attempt: 1, retryInMs: 10 },
    { code: 1006, reason: "draining", status: 503, attempt: 2, retryAfterMs: 1000, retryInMs: 1000 },
  ]);
});

test("an open socket is that of `ws`: messages, and the server's close code and reason", async () => {
  const server = new WebSocketServer({ noServer: true });
  const url = await startServer((line, request, head) => server.handleUpgrade(request, line, head, (socket) => socket.close(4000, "seat_denied")));
  class Mine extends nodeWebSocket(WebSocket) {}
  expect(await endOf(url, Mine)).toEqual({ code: 4000, reason: "seat_denied", status: undefined, retryAfterMs: undefined });
});
