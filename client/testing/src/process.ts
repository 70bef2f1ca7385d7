import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { findBinary } from "./binary.js";
import type { Facts } from "./types.js";

/** How the server starts. Each member may be left out. */
export interface StartOptions {
  /** Ids, epochs and jitter repeat from run to run. */
  seed?: number;
  /** The time at which the clock starts, such as `"2026-01-01T00:00:00Z"`. */
  at?: string;
  /** `frozen`: it stands still until you move it. */
  clock?: "frozen" | "running";
  /** The configuration of production: its path, or what is in it. Addresses, keys and the broker are those of `carillon dev`. */
  config?: string | object;
  /** Endpoints of another shape (docs/endpoints.md). */
  preset?: string;
  /** Users that get a token at the start. */
  users?: readonly string[];
  /** More flags of `carillon dev`, such as `["--pong-timeout", "5m"]`. */
  args?: readonly string[];
  /** More environment variables. Of this process the server inherits no `CARILLON_…`. */
  env?: Readonly<Record<string, string>>;
  /** The path of the server. */
  binary?: string;
}

/** A server that this process has started. */
export interface Running {
  log(): string;
  /** `undefined`: it runs. */
  whyEnded(): Promise<string | undefined>;
  stop(): Promise<void>;
}

const READY_MS = 30_000;
const END_MS = 5_000;
const GRACE_MS = 2_000;
const LOG_LENGTH = 65_536;

/** A running `carillon dev`. It ends with this process, however that ends, and keeps this process alive at no time. */
export class ServerProcess implements Running {
  facts!: Facts;
  private tail = "";
  private ended: string | undefined;
  private readonly hasEnded: Promise<void>;

  private constructor(
    private readonly child: ChildProcess,
    private readonly folder: string | undefined,
  ) {
    this.hasEnded = new Promise((resolve) => {
      const end = (why: string) => {
        this.ended ??= why;
        if (this.folder) rmSync(this.folder, { recursive: true, force: true });
        resolve();
      };
      child.once("error", (error) => end(`carillon did not start: ${error.message}`));
      child.once("close", (code, signal) => end(`carillon has ended ${signal ? `by ${signal}` : `with code ${code}`}`));
    });
    child.stderr!.setEncoding("utf8").on("data", (text: string) => (this.tail = (this.tail + text).slice(-LOG_LENGTH)));
  }

  static async start(options: StartOptions): Promise<ServerProcess> {
    const binary = findBinary(options.binary);
    const folder = typeof options.config === "object" ? mkdtempSync(path.join(tmpdir(), "carillon-")) : undefined;
    const child = spawn(binary, flags(options, folder), { env: environment(options.env), stdio: ["ignore", "pipe", "pipe"] });
    const started = new ServerProcess(child, folder);
    try {
      started.facts = JSON.parse(await started.firstLine()) as Facts;
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
    child.unref();
    for (const pipe of [child.stdout, child.stderr]) (pipe as Socket).unref();
    return started;
  }

  /** The end of what the server has logged. */
  log(): string {
    return this.tail;
  }

  /** A connection may break a little before the process is known to have ended. */
  async whyEnded(): Promise<string | undefined> {
    await Promise.race([this.hasEnded, new Promise((resolve) => setTimeout(resolve, GRACE_MS))]);
    return this.ended && `${this.ended}\n${this.tail}`.trimEnd();
  }

  async stop(): Promise<void> {
    if (this.ended !== undefined) return;
    this.child.ref();
    this.child.kill("SIGTERM");
    const impatience = setTimeout(() => this.child.kill("SIGKILL"), END_MS);
    await this.hasEnded;
    clearTimeout(impatience);
  }

  private firstLine(): Promise<string> {
    return new Promise((resolve, reject) => {
      let text = "";
      const impatience = setTimeout(() => reject(new Error(`carillon was not ready within ${READY_MS / 1000} s\n${this.tail}`)), READY_MS);
      this.child.stdout!.setEncoding("utf8").on("data", (piece: string) => {
        text += piece;
        if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")));
      });
      void this.hasEnded.then(async () => reject(new Error(await this.whyEnded())));
      const settled = () => clearTimeout(impatience);
      this.child.stdout!.once("data", settled);
      void this.hasEnded.then(settled);
    });
  }
}

function flags({ seed, at, clock, config, preset, users, args }: StartOptions, folder: string | undefined): string[] {
  const given: string[] = ["dev", "--port", "0", "--internal-port", "0", "--json", "--exit-with-parent", "--quiet"];
  const add = (flag: string, value: string | number | undefined) => value !== undefined && given.push(flag, String(value));
  if (folder) writeFileSync(path.join(folder, "carillon.json"), JSON.stringify(config));
  add("--seed", seed);
  add("--at", at);
  add("--clock", clock);
  add("--config", folder ? path.join(folder, "carillon.json") : (config as string | undefined));
  add("--preset", preset);
  for (const user of users ?? []) add("--user", user);
  return [...given, ...(args ?? [])];
}

/** With keys of its own the server leaves nothing in the working directory. */
function environment(given: StartOptions["env"]): Record<string, string | undefined> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("CARILLON_"));
  return { ...Object.fromEntries(inherited), CARILLON_TOKEN_SECRET: randomBytes(64).toString("hex"), CARILLON_API_KEYS: randomBytes(24).toString("hex"), ...given };
}
