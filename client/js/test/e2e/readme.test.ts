import { transform } from "esbuild";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { hasBinary, startNode, token, until } from "./harness.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What a page has, and Node has not. */
const PAGE = `import { WebSocket } from "ws";
Object.assign(globalThis, { WebSocket, location: { reload() {} }, fetch: async () => Response.json({ token: process.env.TOKEN }) });`;

test.skipIf(!hasBinary)("the first program of README.md runs as it stands: its publish waits for the connection", async () => {
  const [, source] = /```ts\n([\s\S]*?)```/.exec(readFileSync(path.join(root, "README.md"), "utf8"))!;
  const node = await startNode();
  const folder = mkdtempSync(path.join(tmpdir(), "carillon-readme-"));
  mkdirSync(path.join(folder, "node_modules/@carillon"), { recursive: true });
  symlinkSync(root, path.join(folder, "node_modules/@carillon/client"));
  symlinkSync(path.join(root, "node_modules/ws"), path.join(folder, "node_modules/ws"));
  const { code } = await transform(source!.replace("https://rt.example.com", node.url), { loader: "ts", format: "esm" });
  writeFileSync(path.join(folder, "page.mjs"), PAGE);
  writeFileSync(path.join(folder, "readme.mjs"), code);
  const program = spawn(process.execPath, ["--import", "./page.mjs", "readme.mjs"], { cwd: folder, env: { ...process.env, TOKEN: token() }, stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  program.stdout.on("data", (text) => (output += text));
  try {
    await until(() => output.includes("ada Hello") && output.includes("1 here"), "its own event, and the user");
    expect(program.exitCode).toBeNull();
  } finally {
    program.kill();
    await node.end();
    rmSync(folder, { recursive: true, force: true });
  }
});
