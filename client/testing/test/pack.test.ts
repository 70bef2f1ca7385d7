import { checkPackage, Package } from "@arethetypeswrong/core";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { root } from "./support.js";

const execute = promisify(execFile);
const manifest = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));

const SOURCE = `
import { startCarillon, attachCarillon, type Action, type CarillonServer, type JournalLine } from "@carillon/testing";

export async function use(): Promise<JournalLine[]> {
  await using s: CarillonServer = await startCarillon({ seed: 1, clock: "frozen" });
  await s.user("ada").gap({ reason: "history_too_short" });
  // @ts-expect-error: not a reason of a gap
  await s.user("ada").gap({ reason: "other" });
  // @ts-expect-error: by is missing
  const late: Action = { do: "delay" };
  await s.rules.add({ match: { at: "out", nth: 2 }, action: { do: "delay", by: "200ms" }, times: 1 });
  await s.rules.add({ action: late });
  // @ts-expect-error: not a kind of line
  await s.verify([{ kind: "sold" }]);
  for await (const line of s.journal({ kinds: ["closed"] })) return [line];
  return attachCarillon({ ws_url: "", api_url: "", api_key: "" }).wait.subscribed("room:1", { user: "ada", count: 2 });
}
`;

const PAGES = `
import { expect, test } from "@carillon/testing/playwright";
test.use({ carillonOptions: { seed: 2 } });
test("a page", async ({ carillon, page }) => {
  await carillon.offline(page, "reset");
  await carillon.online(page);
  expect(await carillon.sessions()).toEqual([]);
});
`;

describe("installed in a fresh project", () => {
  let project = "";
  const run = async (command: string, ...given: string[]) => (await execute(command, given, { cwd: project })).stdout;
  const tsc = (...given: string[]) => run(process.execPath, path.join(root, "node_modules/typescript/bin/tsc"), "--noEmit", "--strict", "--exactOptionalPropertyTypes", "--skipDefaultLibCheck", ...given);

  beforeAll(async () => {
    project = mkdtempSync(path.join(tmpdir(), "carillon-pack-"));
    writeFileSync(path.join(project, "package.json"), JSON.stringify({ name: "fresh", private: true, type: "module" }));
    await execute("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", project], { cwd: root });
    await run("npm", "install", "--silent", "--offline", "--legacy-peer-deps", ...readdirSync(project).filter((file) => file.endsWith(".tgz")).map((file) => `./${file}`));
    writeFileSync(path.join(project, "app.ts"), SOURCE);
    writeFileSync(path.join(project, "app.cts"), SOURCE);
    writeFileSync(path.join(project, "pages.ts"), PAGES);
  });
  afterAll(() => rmSync(project, { recursive: true, force: true }));

  test("is imported and required, without Playwright", async () => {
    const check = "console.log(Object.keys(testing).filter((name) => name !== 'default').sort().join())";
    const names = "CarillonError,CarillonServer,WaitTimeout,attachCarillon,startCarillon\n";
    expect(await run(process.execPath, "--input-type=module", "-e", `const testing = await import("@carillon/testing"); ${check}`)).toBe(names);
    expect(await run(process.execPath, "--input-type=commonjs", "-e", `const testing = require("@carillon/testing"); ${check}`)).toBe(names);
  });

  test.each([
    ["node16", "node16"],
    ["esnext", "bundler"],
  ])("has types for TypeScript, strict, module %s with moduleResolution %s", async (module, resolution) => {
    await tsc("--module", module, "--moduleResolution", resolution, "--target", "es2022", "--lib", "es2022", "app.ts", ...(module === "node16" ? ["app.cts"] : []));
  });

  test("has types with Playwright", async () => {
    mkdirSync(path.join(project, "node_modules/@playwright"), { recursive: true });
    for (const name of ["@playwright/test", "playwright", "playwright-core", "@types"]) symlinkSync(path.join(root, "node_modules", name), path.join(project, "node_modules", name));
    await tsc("--module", "node16", "--moduleResolution", "node16", "--target", "es2022", "--skipLibCheck", "pages.ts");
  });
});

describe("the package", () => {
  test("pleases publint", async () => {
    const { messages } = await publint({ pkgDir: root, pack: false });
    expect(messages.map((message) => formatMessage(message, manifest))).toEqual([]);
  });

  test("has the types that its code has, by arethetypeswrong", async () => {
    const files: Record<string, string> = { "/node_modules/@carillon/testing/package.json": JSON.stringify(manifest) };
    for (const file of readdirSync(path.join(root, "dist"))) files[`/node_modules/@carillon/testing/dist/${file}`] = readFileSync(path.join(root, "dist", file), "utf8");
    const result = await checkPackage(new Package(files, manifest.name, manifest.version));
    const kinds = (result.types ? result.problems : []).map((problem) => JSON.stringify(problem));
    // TypeScript 4's `moduleResolution: node` knows no exports: it finds the main entry point alone.
    expect(kinds.filter((problem) => !problem.includes('"resolutionKind":"node10"'))).toEqual([]);
    expect(result.types).toBeTruthy();
  });

  test("has no dependencies, and a lock file without the hosts of downloads", () => {
    expect(manifest.dependencies).toBeUndefined();
    expect(readFileSync(path.join(root, "package-lock.json"), "utf8")).not.toContain('"resolved"');
  });

  test("is small", () => {
    const most = JSON.parse(readFileSync(path.join(root, "size-limits.json"), "utf8")) as Record<string, number>;
    for (const [file, bytes] of Object.entries(most)) expect(gzipSync(readFileSync(path.join(root, file)), { level: 9 }).length, file).toBeLessThanOrEqual(bytes);
  });
});
