import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { startCarillon } from "../dist/index.js";
import { runSpecs } from "./spec-run.js";
import { CHROMIUM, PATIENCE_MS, Project, root } from "./support.js";

const page = readFileSync(path.join(root, "../../docs/testing.md"), "utf8");
const SOCKETS = { NODE_OPTIONS: "--experimental-websocket" };

/** The code of docs/testing.md whose first line has this name, and nothing else. */
function block(name: string): string {
  const found = [...page.matchAll(/```\w+\n(?:\/\/|#|<!--) (\S+).*\n([\s\S]*?)```/g)].find(([, title]) => title === name);
  return found![2]!.trim() + "\n";
}

/** With blank lines: what a reader counts. */
const lines = (text: string) => text.trim().split("\n").length;

function withProject<T>(packages: readonly string[], use: (project: Project) => T | Promise<T>) {
  return async () => {
    const project = new Project(packages);
    try {
      await use(project);
    } finally {
      project.remove();
    }
  };
}

test(
  "the recipe for vitest runs as it stands, in under 20 lines",
  withProject(["vitest"], (project) => {
    project.write("gap.test.js", block("gap.test.js"));
    expect(lines(block("gap.test.js"))).toBeLessThan(20);
    const told = JSON.parse(project.node([path.join(root, "node_modules/vitest/vitest.mjs"), "run", "--reporter=json", `--testTimeout=${PATIENCE_MS}`, `--hookTimeout=${PATIENCE_MS}`], SOCKETS));
    expect([told.success, told.numPassedTests]).toEqual([true, 1]);
  }),
);

test(
  "the recipe for jest runs as it stands",
  withProject(["jest"], (project) => {
    project.write("package.json", '{"name":"fresh","private":true}');
    project.write("missed.test.js", block("missed.test.js"));
    const told = JSON.parse(project.node([path.join(root, "node_modules/jest/bin/jest.js"), "--json", `--testTimeout=${PATIENCE_MS}`, "--rootDir", project.folder], SOCKETS));
    expect([told.success, told.numPassedTests]).toEqual([true, 1]);
  }),
);

/** What Vite does with the page, in a few lines: it finds packages. */
const SERVE = `
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
const map = '<script type="importmap">{"imports":{"@carillon/client":"/client.js"}}</script>';
createServer((request, response) => {
  const isClient = request.url === "/client.js";
  response.setHeader("Content-Type", isClient ? "text/javascript" : "text/html");
  response.end(isClient ? readFileSync("node_modules/@carillon/client/dist/index.js") : map + readFileSync("index.html"));
}).listen(PORT, "127.0.0.1");`;

test.skipIf(!CHROMIUM)(
  "the recipe for Playwright runs as it stands, in under 20 lines",
  withProject(["@playwright/test", "playwright", "playwright-core"], async (project) => {
    const port = String(20_000 + Math.floor(Math.random() * 10_000));
    project.write("package.json", '{"name":"fresh","private":true,"type":"module","scripts":{"dev":"node serve.js"}}');
    project.write("serve.js", SERVE.replace("PORT", port));
    for (const name of ["index.html", "playwright.config.js", "sleep.spec.js"]) project.write(name, block(name).replaceAll("5173", port));
    expect(lines(block("sleep.spec.js"))).toBeLessThan(20);
    expect((await runSpecs(project, "playwright.config.js")).map(({ status, errors }) => [status, errors])).toEqual([["passed", ""]]);
  }),
);

/** The package of Testcontainers, as far as the recipe uses it: its container is the server of the test. */
const TESTCONTAINERS = `
export const Wait = { forHttp: (path, port) => ({ path, port }) };
export class GenericContainer {
  constructor(image) { this.said = { image }; }
  withCommand(command) { this.said.command = command; return this; }
  withEnvironment(environment) { this.said.environment = environment; return this; }
  withExposedPorts(...ports) { this.said.ports = ports; return this; }
  withWaitStrategy(wait) { this.said.wait = wait; return this; }
  async start() { console.log(JSON.stringify(this.said)); return { getHost: () => "127.0.0.1", getMappedPort: (port) => process.env["PORT_" + port] }; }
}`;

test(
  "the recipes for containers attach to a server that runs, with the variables and the path that they give it",
  withProject([], async (project) => {
    const compose = block("compose.yaml");
    const variable = (name: string) => new RegExp(`${name}: (\\S+)`).exec(compose)![1]!;
    const env = { CARILLON_API_KEYS: variable("CARILLON_API_KEYS"), CARILLON_TOKEN_SECRET: variable("CARILLON_TOKEN_SECRET") };
    await using s = await startCarillon({ env });
    const ports = { PORT_8080: new URL(s.origin).port, PORT_8081: new URL(s.apiUrl).port };
    project.write("node_modules/testcontainers/package.json", '{"name":"testcontainers","type":"module","exports":"./index.js"}');
    project.write("node_modules/testcontainers/index.js", TESTCONTAINERS);
    project.write("container.mjs", `${block("container.mjs")} await s.token("ada"); await s.publish("room:1", "notification", { message: "x" });`);
    const said = JSON.parse(project.node(["container.mjs"], ports));
    expect([said.environment, said.ports]).toEqual([env, [8080, 8081]]);
    expect(compose).toContain(`command: ${said.command.join(" ")}`);
    expect(compose).toContain(`image: ${said.image}`);
    expect((await fetch(`http://127.0.0.1:${ports.PORT_8081}${said.wait.path}`)).status).toBe(200);
    const attach = block("attach.mjs").replace("carillon:8080", new URL(s.origin).host).replace("carillon:8081", new URL(s.apiUrl).host);
    project.write("attach.mjs", `${attach} await s.publish("room:1", "notification", { message: "x" });`);
    project.node(["attach.mjs"]);
    await s.verify([{ kind: "published" }, { kind: "published" }], { nothingElse: ["published"] });
  }),
);
