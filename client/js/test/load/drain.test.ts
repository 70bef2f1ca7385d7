import { describe, expect, test } from "vitest";
import { createClient, hasBinary, startNode, until } from "../e2e/harness.js";
import { startLine } from "../e2e/line.js";
import { percentile, row } from "./figures.js";

const CLIENTS = 1000;
const WINDOW_S = 2;

describe.skipIf(!hasBinary)("a drain", () => {
  test(`of a node with ${CLIENTS} clients moves them spread over its window, and each is live again`, async () => {
    const node = await startNode({ drain_window: `${WINDOW_S}s` });
    const other = await startNode();
    const nodes = [node, other];
    const line = await startLine(nodes);
    const leftMs: number[] = []; // from the begin of the drain
    const backMs: number[] = [];
    const awayMs: number[] = [];
    let begin = Infinity;
    const all = Array.from({ length: CLIENTS }, () => {
      const client = createClient(line.url, { reconnectDelay: 1000 });
      const room = client.channel("room:1");
      let left = 0;
      room.onStateChange.subscribe((state) => {
        const now = performance.now();
        if (state === "lost") leftMs.push((left = now) - begin);
        if (state === "live" && left) backMs.push(now - begin) && awayMs.push(now - left);
      });
      room.on("*", () => {});
      return { client, room };
    });
    await until(() => all.every(({ room }) => room.state === "live"), "all live", 30_000);
    begin = performance.now();
    const drained = node.end();
    nodes.shift(); // the balancer sees that the node is not ready
    await until(() => backMs.length >= CLIENTS, "all live on the other node", 30_000);
    row("drain", {
      ...{ clients: CLIENTS, "window s": WINDOW_S },
      "left after": `p10 ${percentile(leftMs, 0.1)} ms, p50 ${percentile(leftMs, 0.5)} ms, p90 ${percentile(leftMs, 0.9)} ms`,
      "live again after": `p50 ${percentile(backMs, 0.5)} ms, p99 ${percentile(backMs, 0.99)} ms`,
      "from left to live": `p50 ${percentile(awayMs, 0.5)} ms, p99 ${percentile(awayMs, 0.99)} ms`,
    });
    expect(percentile(leftMs, 0.9) - percentile(leftMs, 0.1)).toBeGreaterThan(WINDOW_S * 500);
    expect(percentile(backMs, 0.99)).toBeLessThan(15_000);
    all.forEach(({ client }) => client.close());
    line.end();
    await Promise.all([drained, other.end()]);
  }, 90_000);
});
