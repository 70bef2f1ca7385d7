// The jitter run: each connection is cut again and again, and can come back after a while. JITTER_SECONDS=600 is the run whose figures
// are published. The tests make a short one, with each cut sooner.
import { afterAll, describe, expect, test } from "vitest";
import { createClient, hasBinary, sleep, startNode, until } from "../e2e/harness.js";
import { startLine, type Line } from "../e2e/line.js";
import { percentile, row } from "./figures.js";

const isLong = process.env.JITTER_SECONDS !== undefined;
const SECONDS = Number(process.env.JITTER_SECONDS ?? 5);
const CLIENTS = Number(process.env.JITTER_CLIENTS ?? (isLong ? 100 : 50));
const [CUT_EVERY_MS, DOWN_MS, RECONNECT_MS] = isLong ? [15_000, 2000, 1000] : [2000, 300, 100];
const EVENTS_PER_S = 10;

/** A client on a line of its own, and what it has seen. */
async function join(port: number) {
  const line = await startLine([{ port }]);
  const client = createClient(line.url, { reconnectDelay: RECONNECT_MS });
  client.onError.subscribe(() => {});
  const room = client.channel("room:1");
  const seen: number[] = [];
  const replayMs: number[] = []; // of events that were published while the client was away
  const backMs: number[] = []; // from the end of a cut until the channel is live
  let awaySince = Infinity;
  let backAt = 0;
  let notRecovered = 0;
  room.onStateChange.subscribe((state) => {
    if (state === "lost") [awaySince, backAt] = [performance.now(), Infinity];
    if (state !== "live" || awaySince === Infinity) return;
    backAt = performance.now();
    backMs.push(backAt - awaySince - DOWN_MS);
  });
  room.onContinuity.subscribe(({ recovered }) => void (notRecovered += recovered ? 0 : 1));
  room.on("app.thing", ({ data: { n, at = 0 } }) => {
    seen.push(n);
    if (at >= awaySince && at <= backAt) replayMs.push(performance.now() - at);
  });
  return { line, client, room, seen, replayMs, backMs, lost: () => notRecovered };
}

describe.skipIf(!hasBinary)("the jitter run", () => {
  const lines: Line[] = [];
  afterAll(() => lines.forEach((line) => line.end()));

  test(`${SECONDS} s, ${CLIENTS} clients, each cut every ${CUT_EVERY_MS / 1000} s and back after ${DOWN_MS / 1000} s: every event comes once, in order`, async () => {
    const node = await startNode();
    const all = await Promise.all(Array.from({ length: CLIENTS }, () => join(node.port)));
    lines.push(...all.map(({ line }) => line));
    await until(() => all.every(({ room }) => room.state === "live"), "all live");

    const begin = performance.now();
    const cuts = all.map((_, i) => begin + (CUT_EVERY_MS * (i + 1)) / CLIENTS);
    const wereCut = () => all.every(({ backMs }) => backMs.length > 1);
    let published = 0;
    for (let now = begin; now - begin < SECONDS * 1000 || !wereCut(); now = performance.now()) {
      if (published < ((now - begin) / 1000) * EVENTS_PER_S) await node.publish("room:1", { n: ++published, at: performance.now() });
      for (const [i, { line, room }] of all.entries()) {
        if (now < cuts[i]! || room.state !== "live") continue;
        cuts[i]! += CUT_EVERY_MS;
        line.cut(DOWN_MS);
      }
      await sleep(5);
    }
    await until(() => all.every(({ seen }) => seen.at(-1) === published), "the last event everywhere");

    const got = all.reduce((sum, { seen }) => sum + new Set(seen).size, 0);
    const replay = all.flatMap(({ replayMs }) => replayMs);
    const back = all.flatMap(({ backMs }) => backMs);
    row("jitter", {
      ...{ seconds: SECONDS, clients: CLIENTS, cuts: back.length, events: published, replayed: replay.length },
      delivered: `${((100 * got) / (published * CLIENTS)).toFixed(4)} %`,
      replay: `p50 ${percentile(replay, 0.5)} ms, p99 ${percentile(replay, 0.99)} ms`,
      "line back to live": `p50 ${percentile(back, 0.5)} ms, p99 ${percentile(back, 0.99)} ms`,
    });
    const expected = Array.from({ length: published }, (_, i) => i + 1);
    for (const { seen, lost } of all) expect([seen, lost()]).toEqual([expected, 0]);
    all.forEach(({ client }) => client.close());
    await node.end();
  }, (SECONDS + 240) * 1000);
});
