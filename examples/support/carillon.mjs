// @ts-check
// Starts `carillon dev` for an example. It stands for what a backend does with Carillon: it makes tokens, and publishes.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const BUILT = fileURLToPath(new URL("../../build/release/carillon", import.meta.url));
const { CARILLON_BIN, TOKEN_LIFETIME = "10m", ...environment } = process.env;
const BINARY = CARILLON_BIN ?? (existsSync(BUILT) ? BUILT : "carillon");

/** @typedef {Awaited<ReturnType<typeof startCarillon>>} CarillonServer */

/**
 * Starts the server with the rules of an example, and starts it again at the same addresses when it was killed.
 * @param {URL} config - a file with channel rules
 */
export async function startCarillon(config) {
  /** @param {string[]} ports */
  async function start(...ports) {
    const flags = ["--config", fileURLToPath(config), ...ports, "--json", "--exit-with-parent", "--quiet", "--log-level", "warn"];
    const child = spawn(BINARY, ["dev", ...flags], { env: environment, stdio: ["ignore", "pipe", "inherit"] });
    const facts = await firstLine(child);
    const [clients, api] = [new URL(facts.ws_url.replace("ws", "http")), new URL(facts.api_url)];
    console.log(`carillon dev: process ${facts.pid}, clients on ${clients.host}, API on ${api.host}`);
    child.once("exit", () => start("--port", clients.port, "--internal-port", api.port));
    return { url: clients.origin, api: api.origin, apiKey: facts.api_key };
  }

  const { url, api, apiKey } = await start("--port", "0", "--internal-port", "0");
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit());

  /**
   * @param {string} path
   * @param {object} body
   */
  async function post(path, body) {
    const answer = await fetch(api + path, { method: "POST", headers: { "X-API-Key": apiKey }, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  return {
    /** Where clients connect. */
    url,
    /** For programs that publish by the HTTP API. */
    env: { CARILLON_API: api, CARILLON_API_KEY: apiKey },
    /**
     * A token for a user. A real backend makes one for the user who has signed in, and for nobody else: docs/tokens.md.
     * @param {string} user
     * @returns {Promise<string>}
     */
    token: async (user) => (await post("/dev/v1/tokens", { sub: user, expires: TOKEN_LIFETIME })).token,
    /**
     * @param {string} channel
     * @param {string} type
     * @param {object} data
     */
    publish: (channel, type, data) => post("/api/v1/publish", { channel, type, data }),
  };
}

/**
 * The line of JSON that the server writes when it is ready.
 * @param {import("node:child_process").ChildProcessByStdio<null, import("node:stream").Readable, null>} child
 * @returns {Promise<{ pid: number; ws_url: string; api_url: string; api_key: string }>}
 */
async function firstLine(child) {
  const failed = new Promise((_, reject) => {
    child.once("error", () => reject(new Error(`there is no ${BINARY}: run ./run build, or set CARILLON_BIN`)));
    child.once("exit", (code) => reject(new Error(`carillon dev has ended with ${code}`)));
  });
  const [line] = await Promise.race([once(createInterface(child.stdout), "line"), failed]);
  return JSON.parse(line);
}
