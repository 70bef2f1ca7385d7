import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import type { Env } from "@carillon/client";
import { nodeWebSocket } from "../../js/dist/node.js";
import type { CarillonServer } from "../dist/index.js";

export const root = fileURLToPath(new URL("..", import.meta.url));
const repository = path.join(root, "../..");
export const BINARY = process.env.CARILLON_BIN ?? path.join(repository, "build/dev/carillon");
process.env.CARILLON_BIN = BINARY;
export const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) => existsSync(file));
export const env: Partial<Env> = { WebSocket: nodeWebSocket(WebSocket) };

/** How long a condition may take, on a busy machine too. A test that waits longer waits in vain. */
export const PATIENCE_MS = 60_000;

export async function until<T>(check: () => T | Promise<T>, what: string): Promise<NonNullable<T>> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await check();
    if (found) return found as NonNullable<T>;
    if (Date.now() > end) throw new Error(`waited ${PATIENCE_MS} ms for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The same server, whose waits have this patience. */
export function patient(s: CarillonServer): CarillonServer {
  const waits = s.wait as unknown as Record<string, (...given: unknown[]) => unknown>;
  for (const [name, wait] of Object.entries(waits))
    waits[name] = (...given) => {
      const match = typeof given.at(-1) === "object" ? (given.pop() as object) : {};
      return wait(...given, { timeout: `${PATIENCE_MS}ms`, ...match });
    };
  return s;
}

/** A fresh project with this package, its peers and the client installed. */
export class Project {
  readonly folder = mkdtempSync(path.join(tmpdir(), "carillon-testing-"));

  constructor(packages: readonly string[] = []) {
    mkdirSync(path.join(this.folder, "node_modules/@carillon"), { recursive: true });
    mkdirSync(path.join(this.folder, "node_modules/@playwright"));
    symlinkSync(root, path.join(this.folder, "node_modules/@carillon/testing"));
    symlinkSync(path.join(root, "../js"), path.join(this.folder, "node_modules/@carillon/client"));
    for (const name of ["ws", ...packages]) symlinkSync(path.join(root, "node_modules", name), path.join(this.folder, "node_modules", name));
    this.write("package.json", JSON.stringify({ name: "fresh", private: true, type: "module" }));
  }

  write(name: string, text: string): string {
    const file = path.join(this.folder, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  }

  /** The output of a Node program. Fails with the program. */
  node(given: readonly string[], more: NodeJS.ProcessEnv = {}): string {
    return execFileSync(process.execPath, given, { cwd: this.folder, encoding: "utf8", stdio: "pipe", env: { ...process.env, ...more } });
  }

  /** A Node program that goes on. */
  spawn(given: readonly string[]) {
    return spawn(process.execPath, given, { cwd: this.folder, stdio: ["ignore", "pipe", "inherit"] });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
