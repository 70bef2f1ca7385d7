"use strict";

const { existsSync, readFileSync } = require("node:fs");

const oldestGlibc = "2.34";
const elsewhere = `It runs on Linux on x64 with glibc ${oldestGlibc} or newer (Debian 12, Ubuntu 22.04, Fedora 35, RHEL 9, or later), in WSL and in containers of these.`;

/** Whether this process has glibc. The loader of glibc may be there beside another C library, which this process has. */
function hasGlibc() {
  return existsSync("/lib64/ld-linux-x86-64.so.2") && !readFileSync("/proc/self/maps", "utf8").includes("/ld-musl-");
}

/** The path of the program. Throws an error whose message says what to do when there is none for this machine. */
function program() {
  const platform = `${process.platform}-${process.arch}`;
  if (platform !== "linux-x64") throw new Error(`carillon has no program for ${platform} yet. ${elsewhere}`);
  if (!hasGlibc()) throw new Error(`carillon has no program for a system without glibc, such as Alpine, yet. ${elsewhere}`);
  try {
    return require.resolve("@carillon/linux-x64/bin/carillon");
  } catch {
    const { version } = require("./package.json");
    throw new Error(
      `carillon needs the package @carillon/linux-x64 ${version}. From files, install both in one command: ` +
        `npm install FOLDER/carillon-linux-x64-${version}.tgz FOLDER/carillon-${version}.tgz. npm leaves it out with --omit=optional or --no-optional.`,
    );
  }
}

/** What to say where the program cannot be loaded because glibc is too old, for bin/carillon.js alone. */
function oldGlibc() {
  const { glibcVersionRuntime: version = oldestGlibc } = process.report.getReport().header;
  return version.localeCompare(oldestGlibc, "en", { numeric: true }) < 0 ? `carillon has no program for glibc ${version}. ${elsewhere}` : undefined;
}

module.exports = { program, oldGlibc };
