import { execFile, spawnSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { hasBinary, PATIENCE_MS, startNode, token } from "./harness.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const deno = path.join(root, "node_modules/.bin/deno");
/** The package of the platform has the program, or the install script has moved it to the command of the package `bun`. */
const bun = [`node_modules/@oven/bun-${process.platform}-${process.arch}/bin/bun`, "node_modules/.bin/bun"].map((file) => path.join(root, file)).find(works) ?? "";
const run = promisify(execFile);

/** Without its install script, the command of a package is there and does not work. */
function works(command: string): boolean {
  return spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;
}

/** The runtimes that npm has for this machine. */
const RUNTIMES: [name: string, command: string, ...given: string[]][] = [
  ["Node", process.execPath],
  ["Bun", bun, "run"],
  ["Deno", deno, "run", "--allow-all", "--no-lock"],
];

describe.skipIf(!hasBinary)("in each runtime", () => {
  for (const [name, command, ...given] of RUNTIMES)
    test.skipIf(!works(command))(`${name}: events, a publish, history, a managed socket; the program ends by itself after signOut`, async () => {
      const node = await startNode();
      const env = { ...process.env, URL: node.url, TOKEN: token(), NO_COLOR: "1" };
      const { stdout } = await run(command, [...given, path.join(root, "test/e2e/smoke.mjs")], { env, timeout: PATIENCE_MS, cwd: root });
      expect(stdout).toBe("connecting open 1 1 closing closed true\n");
      await node.end();
    });
});

test.skipIf(!works(bun))("the unit tests pass in Bun too", async () => {
  const files = ["channel", "client", "faults", "managed", "vectors"].map((name) => `test/${name}.test.ts`);
  const { stdout } = await run(bun, ["--bun", "node_modules/vitest/vitest.mjs", "run", ...files], { cwd: root, env: { ...process.env, NO_COLOR: "1", CI: "1" } });
  expect(stdout).toMatch(/Tests {2}\d+ passed/);
});
