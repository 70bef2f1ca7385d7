"use strict";

/** The path of the program. Throws an error whose message says what to do when there is none for this machine. */
function program() {
  const platform = `${process.platform}-${process.arch}`;
  const elsewhere = "It runs on Linux on x64 with glibc 2.36 or newer (Debian 12, Ubuntu 24.04, Fedora 37, or later), in WSL and in containers of these.";
  if (platform !== "linux-x64") throw new Error(`carillon has no program for ${platform} yet. ${elsewhere}`);
  if (!require("node:fs").existsSync("/lib64/ld-linux-x86-64.so.2"))
    throw new Error(`carillon has no program for a system without glibc, such as Alpine, yet. ${elsewhere}`);
  try {
    return require.resolve("@carillon/linux-x64/bin/carillon");
  } catch {
    throw new Error(
      "carillon needs the package @carillon/linux-x64, which npm leaves out with --omit=optional or --no-optional. " +
        "Install carillon again without these.",
    );
  }
}

module.exports = { program };
