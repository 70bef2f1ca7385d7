#!/usr/bin/env node
"use strict";

const { spawn } = require("node:child_process");
const { program, oldGlibc } = require("../index.js");

function fail(message) {
  console.error(message);
  process.exit(1);
}

let path;
try {
  path = program();
} catch (error) {
  fail(error.message);
}
const child = spawn(path, process.argv.slice(2), { stdio: "inherit" });
child.on("error", (error) => fail(`carillon does not start: ${error.message}`));
// A terminal sends its signals to both. The server takes two of a kind for one.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"]) process.on(signal, () => child.kill(signal));
// npx and npm run end without a word to this process, and --exit-with-parent means the parent of this one.
const parent = process.ppid;
if (process.env.npm_lifecycle_event || process.argv.includes("--exit-with-parent"))
  setInterval(() => process.ppid === parent || child.kill("SIGTERM"), 200);
child.on("exit", (code, signal) => {
  if (code === 1 && oldGlibc()) console.error(oldGlibc()); // the loader has listed what it misses
  if (!signal) process.exit(code);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
