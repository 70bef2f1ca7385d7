import { describe, expect, test } from "vitest";
import { createClient, hasBinary, sleep, startNode, until } from "../e2e/harness.js";
import { percentile, row } from "./figures.js";

const SECONDS = Number(process.env.LAG_SECONDS ?? 2);
const EVENTS_PER_S = 10_000;
const BATCH = 500;
/** A busy machine may keep a client waiting, and the server closes one that is 1,000 events behind (outbox.max_messages). */
const AHEAD = BATCH;

describe.skipIf(!hasBinary)("a client", () => {
  test(`that gets 10,000 events a second for ${SECONDS} s gets each of them once, in order`, async () => {
    const node = await startNode();
    const client = createClient(node.url);
    const lags: number[] = [];
    const offsets: number[] = [];
    const room = client.channel("room:1");
    room.on("app.thing", ({ data, offset }) => {
      offsets.push(offset!);
      lags.push(performance.now() - data.n);
    });
    await until(() => room.state === "live", "live");
    const command = (n: number) => ({ publish: { channel: "room:1", type: "app.thing", data: { n } } });
    const answers: Promise<unknown>[] = [];
    const begin = performance.now();
    const cpu = process.cpuUsage();
    let sent = 0;
    for (let now = begin; now - begin < SECONDS * 1000; now = performance.now()) {
      if (sent < ((now - begin) / 1000) * EVENTS_PER_S && sent < offsets.length + AHEAD) {
        answers.push(node.api("batch", { commands: Array.from({ length: BATCH }, () => command(now)) }));
        sent += BATCH;
      }
      await sleep(1);
    }
    await Promise.all(answers);
    await until(() => offsets.length >= sent, "all events");
    const { user, system } = process.cpuUsage(cpu);
    const part = Math.floor(lags.length / 10);
    const [first, last] = [percentile(lags.slice(part, 2 * part), 0.5), percentile(lags.slice(-part), 0.5)];
    row("lag", {
      "events a second": Math.round(sent / SECONDS),
      seconds: SECONDS,
      "median at the start": `${first} ms`,
      "median at the end": `${last} ms`,
      p99: `${percentile(lags, 0.99)} ms`,
      "CPU of the process, publisher included": `${Math.round((user + system) / 10_000 / SECONDS)} % of a core`,
    });
    expect(offsets).toEqual(Array.from({ length: sent }, (_, i) => i + 1));
    client.close();
    await node.end();
  }, (SECONDS + 240) * 1000);
});
