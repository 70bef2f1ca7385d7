import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { hasBinary, startNode, token, until } from "./harness.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

test.skipIf(!hasBinary)("the program of docs/quickstart-javascript.md runs as it stands", async () => {
  const page = readFileSync(path.join(root, "../../docs/quickstart-javascript.md"), "utf8");
  const source = /```js\n([\s\S]*?)```/.exec(page)![1]!.replaceAll(/^ {3}/gm, "");
  const node = await startNode();
  const folder = mkdtempSync(path.join(tmpdir(), "carillon-quickstart-"));
  mkdirSync(path.join(folder, "node_modules/@carillon"), { recursive: true });
  symlinkSync(root, path.join(folder, "node_modules/@carillon/client"));
  symlinkSync(path.join(root, "node_modules/ws"), path.join(folder, "node_modules/ws"));
  writeFileSync(path.join(folder, "demo.mjs"), source.replace("http://127.0.0.1:8080", node.url));
  expect(source.trim().split("\n").length).toBeLessThanOrEqual(15);
  const program = spawn(process.execPath, ["demo.mjs"], { cwd: folder, env: { ...process.env, TOKEN: token() }, stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  program.stdout.on("data", (text) => (output += text));
  try {
    await until(() => output.includes("open"), "open");
    await node.api("publish", { channel: "demo", type: "notification", data: { message: "Hello there!" } });
    await until(() => output.includes("Hello there!"), "the message");
  } finally {
    program.kill();
    await node.end();
    rmSync(folder, { recursive: true, force: true });
  }
});
