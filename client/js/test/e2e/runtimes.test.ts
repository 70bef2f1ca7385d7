import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { hasBinary, PATIENCE_MS, startNode, token } from "./harness.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const deno = path.join(root, "node_modules/.bin/deno");
// The command of the package `bun` needs its install script, which does not run.
const bun = path.join(root, `node_modules/@oven/bun-${process.platform}-${process.arch}/bin/bun`);
const run = promisify(execFile);

/** The runtimes that npm has for this machine. */
const RUNTIMES: [name: string, command: string, ...given: string[]][] = [
  ["Node", process.execPath],
  ["Bun", bun, "run"],
  ["Deno", deno, "run", "--allow-all", "--no-lock"],
];

describe.skipIf(!hasBinary)("in each runtime", () => {
  test.each(RUNTIMES.filter(([, command]) => existsSync(command)))("%s: events, a publish, history, a managed socket; the program ends by itself after signOut", async (_, command, ...given) => {
    const node = await startNode();
    const env = { ...process.env, URL: node.url, TOKEN: token(), NO_COLOR: "1" };
    const { stdout } = await run(command, [...given, path.join(root, "test/e2e/smoke.mjs")], { env, timeout: PATIENCE_MS, cwd: root });
    expect(stdout).toBe("connecting open 1 1 closing closed true\n");
    await node.end();
  });
});

test.skipIf(!existsSync(bun))("the unit tests pass in Bun too", async () => {
  const files = ["channel", "client", "faults", "managed", "vectors"].map((name) => `test/${name}.test.ts`);
  const { stdout } = await run(bun, ["--bun", "node_modules/vitest/vitest.mjs", "run", ...files], { cwd: root, env: { ...process.env, NO_COLOR: "1", CI: "1" } });
  expect(stdout).toMatch(/Tests {2}\d+ passed/);
});
