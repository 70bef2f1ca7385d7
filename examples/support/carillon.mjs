// @ts-check
// Starts `carillon dev` for an example. It stands for what a backend does with Carillon: it makes tokens, and publishes.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
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
  const apiKey = randomBytes(24).toString("hex");
  const keys = { CARILLON_TOKEN_SECRET: randomBytes(32).toString("hex"), CARILLON_API_KEYS: apiKey };
  let [clients, internal] = ["127.0.0.1:0", "127.0.0.1:0"];
  /** @type {import("node:child_process").ChildProcess} */
  let child;

  async function start() {
    const ports = ["--port", portOf(clients), "--internal-port", portOf(internal)];
    child = spawn(BINARY, ["dev", "--config", fileURLToPath(config), ...ports, "--ready-fd", "3", "--log-level", "warn", "--quiet"], {
      env: { ...environment, ...keys },
      stdio: ["ignore", "ignore", "inherit", "pipe"],
    });
    [clients, internal] = await ready(child);
    console.log(`carillon dev: process ${child.pid}, clients on ${clients}, API on ${internal}`);
    child.once("exit", start);
  }

  /**
   * @param {string} path
   * @param {object} body
   */
  async function post(path, body) {
    const answer = await fetch(`http://${internal}${path}`, { method: "POST", headers: { "X-API-Key": apiKey }, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  await start();
  process.once("exit", () => child.removeAllListeners("exit").kill("SIGKILL")); // it keeps nothing
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit());
  return {
    /** Where clients connect. */
    url: `http://${clients}`,
    /** For programs that publish by the HTTP API. */
    env: { CARILLON_API: `http://${internal}`, CARILLON_API_KEY: apiKey },
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

const portOf = (/** @type {string} */ address) => address.slice(address.lastIndexOf(":") + 1);

/**
 * The two addresses that the server writes to descriptor 3 when it is ready.
 * @param {import("node:child_process").ChildProcess} child
 * @returns {Promise<[clients: string, internal: string]>}
 */
function ready(child) {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdio[3]?.on("data", (/** @type {Buffer} */ more) => {
      text += more;
      const found = /clients (\S+)\ninternal (\S+)\n/.exec(text);
      if (found?.[1] && found[2]) resolve([found[1], found[2]]);
    });
    child.once("error", () => reject(new Error(`there is no ${BINARY}: run ./run build, or set CARILLON_BIN`)));
    child.once("exit", (code) => reject(new Error(`carillon dev has ended with ${code}`)));
  });
}
