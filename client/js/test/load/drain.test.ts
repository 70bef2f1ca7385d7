// DRAIN_CLIENTS=1000 is the drain whose figures are published.
import { describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { Env } from "../../dist/index.js";
import { createClient, hasBinary, startNode, until } from "../e2e/harness.js";
import { startLine } from "../e2e/line.js";
import { percentile, row } from "./figures.js";

const CLIENTS = Number(process.env.DRAIN_CLIENTS ?? 300);
const WINDOW_S = 2;

/** Sockets that tell how long the server lets them stay, from its `reconnect` frame. */
function told(afterMs: (ms: number) => void): Partial<Env> {
  class ToldSocket extends WebSocket {
    constructor(url: string, protocols?: string[]) {
      super(url, protocols);
      this.on("message", (text) => {
        const { type, data } = JSON.parse(String(text)) as { type: string; data: { after_ms: number } };
        if (type === "reconnect") afterMs(data.after_ms);
      });
    }
  }
  return { WebSocket: ToldSocket as unknown as Env["WebSocket"] };
}

describe.skipIf(!hasBinary)("a drain", () => {
  test(`of a node with ${CLIENTS} clients moves them spread over its window, and each is live again`, async () => {
    const node = await startNode({ drain_window: `${WINDOW_S}s` });
    const other = await startNode();
    const nodes = [node, other];
    const line = await startLine(nodes);
    const givenMs: number[] = [];
    const leftMs: number[] = []; // from the begin of the drain
    const backMs: number[] = [];
    const awayMs: number[] = [];
    let begin = Infinity;
    const all = Array.from({ length: CLIENTS }, () => {
      let left = 0;
      let given = Infinity;
      const client = createClient(line.url, { reconnectDelay: 1000, env: told((ms) => givenMs.push((given = ms))) });
      const room = client.channel("room:1");
      room.onStateChange.subscribe((state) => {
        const now = performance.now();
        if (state === "lost") leftMs.push((left = now) - begin);
        if (state === "live" && left) backMs.push(now - begin) && awayMs.push(now - left);
      });
      room.on("*", () => {});
      return { client, room, left: () => left, isEarly: () => left - begin < given - 10 };
    });
    await until(() => all.every(({ room }) => room.state === "live"), "all live");
    begin = performance.now();
    const drained = node.end();
    nodes.shift(); // the balancer sees that the node is not ready
    await until(() => all.every(({ room, left }) => left() && room.state === "live"), "all live on the other node");
    row("drain", {
      ...{ clients: CLIENTS, "window s": WINDOW_S },
      "left after": `p10 ${percentile(leftMs, 0.1)} ms, p50 ${percentile(leftMs, 0.5)} ms, p90 ${percentile(leftMs, 0.9)} ms`,
      "live again after": `p50 ${percentile(backMs, 0.5)} ms, p99 ${percentile(backMs, 0.99)} ms`,
      "from left to live": `p50 ${percentile(awayMs, 0.5)} ms, p99 ${percentile(awayMs, 0.99)} ms`,
    });
    // On a busy machine clients leave late. They never leave before the time that the server has drawn for them.
    expect(givenMs).toHaveLength(CLIENTS);
    expect(Math.max(...givenMs)).toBeLessThanOrEqual(WINDOW_S * 1000);
    expect(percentile(givenMs, 0.9) - percentile(givenMs, 0.1)).toBeGreaterThan(WINDOW_S * 500);
    expect(all.filter(({ isEarly }) => isEarly())).toEqual([]);
    all.forEach(({ client }) => client.close());
    line.end();
    await Promise.all([drained, other.end()]);
  });
});
