// @ts-check
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { startCarillon } from "../support/carillon.mjs";
import { serve } from "../support/serve.mjs";

const carillon = await startCarillon(new URL("carillon.jsonc", import.meta.url));
await serve(new URL(".", import.meta.url), carillon, { "/token": () => carillon.token("visitor") });

// The monitoring. It does not know of the page.
const program = fileURLToPath(new URL("publish.mjs", import.meta.url));
const publisher = spawn(process.execPath, [program], { env: { ...process.env, ...carillon.env }, stdio: "inherit" });
process.once("exit", () => publisher.kill());
const variables = Object.entries(carillon.env).map(([name, value]) => `${name}=${value}`);
console.log(`publish with ${variables.join(" ")} node ${program} payments outage`);
