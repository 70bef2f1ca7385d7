import { checkPackage, Package } from "@arethetypeswrong/core";
import { build } from "esbuild";
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const execute = promisify(execFile);
const FOLDERS = { "@carillon/client": root, "@carillon/react": path.join(root, "../react") };

const SOURCE = `
import { Carillon, CarillonError, Unauthorized, storageStore, type BuiltInEvents, type Channel, type ErrorDetails } from "@carillon/client";
import { createSockets, type ManagedSocket } from "@carillon/client/socket";
import { tabs } from "@carillon/client/tabs";
import { nodeWebSocket, type WsConstructor } from "@carillon/client/node";
import { CarillonProvider, useChannel, useEvents, usePresence, useConnection } from "@carillon/react";

type Events = BuiltInEvents & { "app.thing": { n: number } };
const client = new Carillon<Events>({ url: "https://x", getToken: () => "t", env: { WebSocket: tabs() } });
const room: Channel<Events> = client.channel("room:1");
room.on("app.thing", ({ data, offset }) => data.n.toFixed() + (offset ?? 0));
room.on("*", (event) => event.type === "chat_message" && event.data.content);
export const newest: Promise<string | number | undefined> = room.history({ limit: 1 }).then(({ events: [event] }) => (event?.type === "app.thing" ? event.data.n : event?.type === "chat_message" ? event.data.content : undefined));
const details: ErrorDetails = { reason: "why", retryable: true };
export const error = new CarillonError("mine", "a sentence", details);
// @ts-expect-error: not a type of these events
room.on("other", () => {});
// @ts-expect-error: n is missing
void room.publish("app.thing", {});
export const socket: Promise<ManagedSocket> = createSockets({ url: "https://x", getTicket: () => "t" }).connectToChat("1");
export function App() {
  const state: string = useConnection();
  const total: number = useEvents<Events, number>("room:1", { initial: 0, reduce: (sum, { type }) => sum + type.length });
  useChannel<Events, "app.thing">(null, "app.thing", ({ data }) => data.n + total + state.length + usePresence("room:1").length);
  return CarillonProvider({ client, children: null });
}
declare const ws: WsConstructor;
export const program = new Carillon({ url: "https://x", getToken: () => "t", env: { WebSocket: nodeWebSocket(ws) } });
export { Unauthorized, storageStore };
`;

test("complaint: size. Each entry point is within its bytes by gzip, as a bundler puts it into a page", async () => {
  const most = JSON.parse(readFileSync(path.join(root, "size-limits.json"), "utf8")) as Record<string, number>;
  for (const [file, bytes] of Object.entries(most)) {
    const { outputFiles } = await build({ entryPoints: [path.join(root, file)], bundle: true, minify: true, format: "esm", target: "es2022", write: false, external: ["react"] });
    expect(gzipSync(outputFiles[0]!.contents, { level: 9 }).length, file).toBeLessThanOrEqual(bytes);
  }
});

describe("the packages, installed in a fresh project", () => {
  let project = "";
  const run = async (command: string, ...given: string[]) => (await execute(command, given, { cwd: project })).stdout;
  const tsc = (...given: string[]) => run(process.execPath, path.join(root, "node_modules/typescript/bin/tsc"), "--noEmit", "--strict", "--exactOptionalPropertyTypes", "--skipDefaultLibCheck", ...given);

  beforeAll(async () => {
    project = mkdtempSync(path.join(tmpdir(), "carillon-pack-"));
    writeFileSync(path.join(project, "package.json"), JSON.stringify({ name: "fresh", private: true, type: "module" }));
    for (const folder of Object.values(FOLDERS)) await execute("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", project], { cwd: folder });
    const tarballs = readdirSync(project).filter((file) => file.endsWith(".tgz"));
    await run("npm", "install", "--silent", "--offline", "--legacy-peer-deps", ...tarballs.map((file) => `./${file}`));
    mkdirSync(path.join(project, "node_modules/@types"), { recursive: true });
    for (const name of ["react", "@types/react", "csstype"])
      if (existsSync(path.join(root, "node_modules", name))) symlinkSync(path.join(root, "node_modules", name), path.join(project, "node_modules", name));
    writeFileSync(path.join(project, "app.ts"), SOURCE);
    writeFileSync(path.join(project, "app.cts"), SOURCE);
  });
  afterAll(() => rmSync(project, { recursive: true, force: true }));

  const CHECK = `const names = [client, socket, tabs, node, react].map((all) => Object.keys(all)).map((all) => all.filter((name) => name !== "default").length);
    console.log(JSON.stringify([...names, new client.Carillon({ url: "https://x", getToken: () => "t" }).state]));`;

  test("are imported by ES modules", async () => {
    const imports = `const [client, socket, tabs, node, react] = await Promise.all(["client", "client/socket", "client/tabs", "client/node", "react"].map((name) => import("@carillon/" + name)));`;
    expect(await run(process.execPath, "--input-type=module", "-e", imports + CHECK)).toBe('[5,3,1,1,6,"idle"]\n');
  });

  test("are required by CommonJS modules", async () => {
    const requires = `const [client, socket, tabs, node, react] = ["client", "client/socket", "client/tabs", "client/node", "react"].map((name) => require("@carillon/" + name));`;
    expect(await run(process.execPath, "--input-type=commonjs", "-e", requires + CHECK)).toBe('[5,3,1,1,6,"idle"]\n');
  });

  test.each([
    ["node16", "node16"],
    ["esnext", "bundler"],
  ])("have types for TypeScript, strict, module %s with moduleResolution %s", async (module, resolution) => {
    await tsc("--module", module, "--moduleResolution", resolution, "--target", "es2022", "--lib", "es2022,dom,dom.iterable", "--jsx", "react-jsx", "app.ts", ...(module === "node16" ? ["app.cts"] : []));
  });
});

test.each(["js", "react", "testing"])("the links of the README of client/%s lead to files of the package", (name) => {
  const folder = path.join(root, "..", name);
  const { files } = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8")) as { files: string[] };
  const links = [...readFileSync(path.join(folder, "README.md"), "utf8").matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, link]) => link!);
  expect(links.filter((link) => !files.some((file) => link === file || link.startsWith(`${file}/`)) || !existsSync(path.join(folder, link)))).toEqual([]);
});

describe.each(Object.entries(FOLDERS))("%s", (name, folder) => {
  const manifest = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8"));

  test("pleases publint", async () => {
    const { messages } = await publint({ pkgDir: folder, pack: false });
    expect(messages.map((message) => formatMessage(message, manifest))).toEqual([]);
  });

  // The package's own command cannot read a tarball of npm 11: it keeps the last piece of what it unpacks.
  test("has the types that its code has, by arethetypeswrong", async () => {
    const files: Record<string, string> = {};
    const add = (of: string, from: string) => {
      files[`/node_modules/${of}/package.json`] = readFileSync(path.join(from, "package.json"), "utf8");
      for (const file of readdirSync(path.join(from, "dist"))) files[`/node_modules/${of}/dist/${file}`] = readFileSync(path.join(from, "dist", file), "utf8");
    };
    add(name, folder);
    const result = await checkPackage(new Package(files, name, manifest.version));
    const kinds = (result.types ? result.problems : []).map((problem) => JSON.stringify(problem));
    // TypeScript 4's `moduleResolution: node` knows no exports: it finds the main entry point alone.
    expect(kinds.filter((problem) => !problem.includes('"resolutionKind":"node10"'))).toEqual([]);
    expect(result.types).toBeTruthy();
  });

  test("has no dependencies, and a lock file without the hosts of downloads", () => {
    expect(manifest.dependencies).toBeUndefined();
    expect(readFileSync(path.join(root, "package-lock.json"), "utf8")).not.toContain('"resolved"');
  });
});
