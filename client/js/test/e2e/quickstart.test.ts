import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasBinary, hasBrowser, newContext, startBrowser, startNode, token, until, type Node } from "./harness.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const page = readFileSync(path.join(root, "../../docs/quickstart-javascript.md"), "utf8");

/** The text of a section, without that of its lists' indents. */
const section = (title: string) => page.split(/^(?=#+ )/m).find((part) => part.startsWith(`${title}\n`))!.replaceAll(/^ {3}/gm, "");
const block = (of: string, kind: string) => new RegExp(`^\`\`\`${kind}\\n([\\s\\S]*?)^\`\`\``, "m").exec(section(of))![1]!;

describe.skipIf(!hasBinary)("docs/quickstart-javascript.md, as it stands", () => {
  let node: Node;
  let folder = "";
  const processes: ChildProcess[] = [];

  beforeAll(async () => {
    node = await startNode();
    folder = mkdtempSync(path.join(tmpdir(), "carillon-quickstart-"));
    for (const [name, from] of [["client", root], ["react", path.join(root, "../react")]] as const) {
      execFileSync("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder], { cwd: from });
      mkdirSync(path.join(folder, "node_modules/@carillon", name), { recursive: true });
      execFileSync("tar", ["-xzf", `carillon-${name}-0.1.0.tgz`, "--strip-components=1", "-C", `node_modules/@carillon/${name}`], { cwd: folder });
    }
    for (const name of ["ws", "react", "react-dom"]) symlinkSync(path.join(root, "node_modules", name), path.join(folder, "node_modules", name));
  });
  afterAll(async () => {
    processes.forEach((child) => child.kill("SIGKILL"));
    await node?.end();
    rmSync(folder, { recursive: true, force: true });
  });

  const save = (file: string, text: string) => writeFileSync(path.join(folder, file), text.replace("http://127.0.0.1:8080", node.url));
  const publish = (message: string) => node.api("publish", { channel: "demo", type: "notification", data: { message } });

  /** Starts a program in the folder. Its output grows while it runs. */
  function start(command: string, ...given: string[]) {
    const child = spawn(command, given, { cwd: folder, env: { ...process.env, TOKEN: token() } });
    processes.push(child);
    const running = { output: "", child, exited: new Promise<number | null>((resolve) => child.once("exit", resolve)) };
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (running.output += text));
    return running;
  }

  test("the first program is at most 15 lines, and gets an event", async () => {
    const source = block("# Quick start: JavaScript", "js");
    expect(source.trim().split("\n").length).toBeLessThanOrEqual(15);
    save("demo.mjs", source);
    const demo = start(process.execPath, "demo.mjs");
    await until(() => demo.output.includes("open"), "open");
    await publish("Hello there!");
    await until(() => demo.output.includes("Hello there!"), "the message");
  });

  test("Node: the service answers, and ends by itself", async () => {
    save("service.mjs", block("## Node", "js"));
    const service = start(process.execPath, "service.mjs");
    await until(() => service.output.includes("open"), "open");
    await until(async () => (await publish("Are you there?"), service.output.includes("seen: Are you there?")), "the answer");
    service.child.kill("SIGINT");
    expect(await service.exited).toBe(0);
    expect(service.output).toContain("closed closed\n");
  });

  test.skipIf(!hasBrowser)("React: the page of at most 21 lines shows who is here, and an event", async () => {
    const source = block("## React", "tsx");
    expect(source.trim().split("\n").length).toBeLessThanOrEqual(21);
    save("main.tsx", source);
    save("index.html", block("## React", "html"));
    const [, line] = /npx esbuild (.*)/.exec(section("## React"))!;
    const web = start(path.join(root, "node_modules/.bin/esbuild"), ...line!.split(" "));
    const [origin] = await until(() => /http:\/\/127\.[^\s/]+/.exec(web.output), "the URL");
    const browser = await startBrowser();
    const shown = await (await newContext(browser)).newPage();
    await shown.goto(`${origin}/?token=${token()}`);
    await shown.waitForFunction("document.querySelector('ul')?.textContent.startsWith('open, 1 here')");
    await publish("Hello React!");
    await shown.waitForFunction("[...document.querySelectorAll('li')].some((line) => line.textContent === 'Hello React!')");
    await browser.close();
  });
});
