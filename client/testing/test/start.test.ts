import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startCarillon, type StartOptions } from "../dist/index.js";
import { BINARY, Project, until } from "./support.js";

let project: Project;
beforeEach(() => {
  project = new Project();
});
afterEach(() => project.remove());

const runs = (pid: number) => {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(" ")[2] !== "Z";
  } catch {
    return false;
  }
};

/** A program that starts a server and says its process id. */
const program = (rest: string) => project.write("program.mjs", `import { startCarillon } from "@carillon/testing"; const s = await startCarillon(); console.log(s.facts.pid); ${rest}`);

describe("the server", () => {
  test("starts with each option", async () => {
    await using s = await startCarillon({
      ...{ seed: 7, at: "2026-01-15T10:30:00Z", clock: "frozen", users: ["ada", "bob"], args: ["--pong-timeout", "5m"] },
      config: { channels: [{ match: "public:*", allow: ["subscribe", "publish"] }] },
    });
    expect(s.facts.users!.map(({ sub }) => sub)).toEqual(["ada", "bob"]);
    expect(await s.clock.now()).toEqual(new Date("2026-01-15T10:30:00Z"));
    await s.publish("public:1", "notification", { message: "hello" });
    expect(s.wsUrl).toBe(`${s.origin.replace("http", "ws")}/ws`);
    expect(s.consoleUrl).toBe(`${s.apiUrl}/`);
    expect(s.apiKey).toBe(s.facts.api_key);
  });

  test("has no URL with a token where the endpoint takes none in its query", async () => {
    await using s = await startCarillon({ preset: "ticket-sockets" });
    await expect(s.url("ada")).rejects.toThrow("takes no token in its query: use token()");
  });

  test("repeats with a seed and a frozen clock", async () => {
    const ids = [];
    for (const seed of [1, 1, 2]) {
      await using s = await startCarillon({ seed, at: "2026-01-15T10:30:00Z", clock: "frozen" });
      ids.push((await s.publish("room:1", "notification", { message: "x" })).id);
    }
    expect(ids[0]).toBe(ids[1]);
    expect(ids[2]).not.toBe(ids[1]);
  });

  test("takes the file of a configuration, a preset, and variables", async () => {
    const config = project.write("carillon.json", JSON.stringify({ events: { custom: false } }));
    await using s = await startCarillon({ config, env: { CARILLON_API_KEYS: "a-key-that-the-test-has-chosen" } });
    expect(s.apiKey).toBe("a-key-that-the-test-has-chosen");
    await using all = await startCarillon({ preset: "all" });
    expect(all.facts.endpoints!.length).toBeGreaterThan(3);
  });

  test("inherits no CARILLON_ variable, and leaves nothing in the working directory", () => {
    program(`await s.stop();`);
    project.node(["program.mjs"], { CARILLON_PRESET: "none-of-these", CARILLON_PORT: "99999" });
    expect(readdirSync(project.folder).sort()).toEqual(["node_modules", "package.json", "program.mjs"]);
  });

  test("ends by stop, which leaves nothing that keeps Node running", async () => {
    program(`await s.publish("room:1", "notification", { message: "x" }); for await (const line of s.journal()) break; await s.stop(); await s.stop();`);
    const pid = Number(project.node(["program.mjs"]));
    expect(runs(pid)).toBe(false);
  });

  test("keeps no program running that forgets it", async () => {
    program("");
    const pid = Number(project.node(["program.mjs"]));
    await until(() => !runs(pid), "the server has ended with the program");
  });

  test("ends with a process that is killed", async () => {
    program("setInterval(() => {}, 1000);");
    const child = project.spawn(["program.mjs"]);
    const pid = await new Promise<number>((resolve) => child.stdout.once("data", (text) => resolve(Number(text))));
    expect(runs(pid)).toBe(true);
    child.kill("SIGKILL");
    await until(() => !runs(pid), "the server has ended with its process");
  });

  test("is told of when it has ended by itself", async () => {
    const s = await startCarillon();
    const following = (async () => {
      for await (const line of s.journal()) void line;
    })().catch((error: Error) => error.message);
    process.kill(s.facts.pid!, "SIGKILL");
    await until(() => !runs(s.facts.pid!), "it has ended");
    await expect(s.sessions()).rejects.toThrow("GET /dev/v1/sessions: carillon has ended by SIGKILL");
    expect(await following).toContain("carillon has ended by SIGKILL");
    await s.stop();
  });
});

describe("wrong options", () => {
  const failing = async (options: StartOptions) => startCarillon(options).then(
    () => "",
    (error: Error) => error.message,
  );

  test("say what the server says", async () => {
    expect(await failing({ at: "yesterday" })).toMatch(/carillon has ended with code \d+\n.*--at/s);
    expect(await failing({ preset: "none-of-these" })).toContain("none-of-these");
    expect(await failing({ config: { prot: 1 } })).toContain("prot");
    expect(await failing({ config: "/nowhere.json" })).toContain("/nowhere.json");
  });

  test("a path where there is no program", async () => {
    expect(await failing({ binary: "/nowhere/carillon" })).toBe("the option binary is /nowhere/carillon: there is no program at this path");
    expect(await failing({ binary: "/tmp" })).toContain("/tmp");
  });

  test("a program that is another one", async () => {
    expect(await failing({ binary: "/bin/true" })).toContain("carillon has ended with code 0");
  });
});

describe("the program is looked for", () => {
  const where = `import { startCarillon } from "@carillon/testing"; import { readlinkSync } from "node:fs";
    const s = await startCarillon(); console.log(readlinkSync("/proc/" + s.facts.pid + "/exe")); await s.stop();`;
  const empty = { CARILLON_BIN: "", PATH: "" };

  test("in CARILLON_BIN", () => {
    project.write("where.mjs", where);
    expect(project.node(["where.mjs"], { ...empty, CARILLON_BIN: BINARY }).trim()).toBe(BINARY);
  });

  test("in the npm package carillon, before PATH", () => {
    project.write("where.mjs", where);
    project.write("node_modules/carillon/package.json", '{"name":"carillon","version":"0.1.0"}');
    project.write("node_modules/carillon/index.js", readFileSync(path.join(BINARY, "../../../packaging/npm/index.js"), "utf8"));
    project.write("node_modules/@carillon/linux-x64/package.json", '{"name":"@carillon/linux-x64","version":"0.1.0"}');
    expect(() => project.node(["where.mjs"], empty)).toThrow(/--omit=optional/);
    const file = project.write("node_modules/@carillon/linux-x64/bin/carillon", "");
    copyFileSync(BINARY, file);
    chmodSync(file, 0o755);
    expect(project.node(["where.mjs"], { ...empty, PATH: path.dirname(BINARY) }).trim()).toBe(file);
  });

  test("in PATH", () => {
    project.write("where.mjs", where);
    const first = path.join(project.folder, "first");
    mkdirSync(first);
    writeFileSync(path.join(first, "carillon"), "not a program"); // without the mode of one
    expect(project.node(["where.mjs"], { ...empty, PATH: `${first}:${path.dirname(BINARY)}` }).trim()).toBe(BINARY);
  });

  test("and is nowhere", () => {
    project.write("where.mjs", where);
    expect(() => project.node(["where.mjs"], empty)).toThrow(
      /no Carillon server was found:\n {2}the option binary and CARILLON_BIN are not set\n {2}the npm package carillon: it is not installed: npm install --save-dev FOLDER\/carillon-linux-x64-\*\.tgz .*\n {2}there is no carillon in PATH/,
    );
  });
});
