// Prints what a test suite waits for: `npm run bench --prefix client/testing`, with build/release/carillon or that of CARILLON_BIN. Build the
// package first. Each figure is the median and the worst of some runs. `server` is the median of what the server has computed meanwhile: all
// else is waiting, for a core too. The clients of the reset are in this process, and answer its close frames.
import { fork, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { startCarillon } from "../dist/index.js";
import { client } from "./client.mjs";

const binary = process.env.CARILLON_BIN ?? fileURLToPath(new URL("../../../build/release/carillon", import.meta.url));
const event = { message: "hello" };

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

/** Milliseconds on a core. */
const computed = (pid) => Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]) / 1e6;

/** `act` resolves with how long it took, or with that and how long the server has computed. */
async function measured(runs, act) {
  const times = [];
  for (let i = 0; i < runs; i++) times.push([await act(i)].flat());
  const took = times.map(([ms]) => ms);
  return { median: median(took), worst: Math.max(...took), server: times[0].length > 1 ? median(times.map(([, ms]) => ms)) : undefined };
}

function print(what, { median, worst, server }, most) {
  const more = server === undefined ? "" : `, server ${server.toFixed(1)} ms`;
  console.log(`${what.padEnd(60)} ${median.toFixed(1).padStart(9)} ms, worst ${worst.toFixed(1)} ms${more}; wanted under ${most} ms`);
}

async function timed(act) {
  const began = performance.now();
  await act();
  return performance.now() - began;
}

/** From exec to the line that the server is ready. */
async function ready() {
  const env = { ...process.env, CARILLON_TOKEN_SECRET: randomBytes(64).toString("hex"), CARILLON_API_KEYS: randomBytes(24).toString("hex") };
  const began = performance.now();
  const child = spawn(binary, ["dev", "--port", "0", "--internal-port", "0", "--json", "--quiet"], { env, stdio: ["ignore", "pipe", "ignore"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const took = [performance.now() - began, computed(child.pid)];
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill();
  await ended;
  return took;
}

async function firstEvent() {
  let s;
  const took = await timed(async () => {
    s = await startCarillon({ seed: 1, binary });
    const socket = await client(s.facts.users[0].url, ["room:1"]);
    const came = new Promise((resolve) => socket.on("message", (text) => JSON.parse(text).type === "notification" && resolve()));
    await s.publish("room:1", "notification", event);
    await came;
    socket.terminate();
  });
  await s.stop();
  return took;
}

print("exec to the ready line", await measured(20, ready), 20);
print("startCarillon() to the first event", await measured(20, firstEvent), 60);

const s = await startCarillon({ seed: 1, binary, args: ["--limits-message-rate", "0"] });
const wanted = () =>
  Promise.all(Array.from({ length: 100 }, async (_, n) => ({ url: await s.url(`user-${n}`), channels: Array.from({ length: 10 }, (_, k) => `room:${n * 10 + k}`) })));

/** The reset of what `fill` has made. */
const filled = (fill) => async (i) => {
  await fill(await wanted());
  const sessions = i === 0 ? await s.sessions() : [];
  if (i === 0) console.log(`  (${sessions.length} sessions, ${new Set(sessions.flatMap(({ channels }) => channels.map(({ channel }) => channel))).size} channels)`);
  await s.wait.idle();
  const before = computed(s.facts.pid);
  return [await timed(() => s.reset()), computed(s.facts.pid) - before];
};
const others = fork(fileURLToPath(new URL("./clients.mjs", import.meta.url)));
const apart = async (clients) => (others.send(clients), await once(others, "message"));
const here = (clients) => Promise.all(clients.map(({ url, channels }) => client(url, channels)));
print("reset with 100 sessions and 1,000 channels", await measured(20, filled(apart)), 5);
print("the same, whose clients are in the process of the tests", await measured(20, filled(here)), 5);
others.kill();
print("reset of an empty server", await measured(200, () => timed(() => s.reset())), 5);

const suite = () =>
  timed(async () => {
    for (let n = 0; n < 200; n++) {
      await s.reset();
      const socket = await client(await s.url("ada"), ["room:1"]);
      const came = new Promise((resolve) => socket.on("message", (text) => JSON.parse(text).type === "notification" && resolve()));
      await s.wait.subscribed("room:1", { user: "ada" });
      await s.publish("room:1", "notification", event);
      await came;
      await s.verify([{ kind: "connected" }, { kind: "delivered", channel: "room:1" }], { inOrder: true, nothingElse: ["refused"] });
    }
  });
print("200 tests, each with a reset, a client, an event, a verify", await measured(3, suite), 10_000);
await s.stop();
