import { accessSync, constants, statSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

const notInstalled =
  "it is not installed: npm install --save-dev FOLDER/carillon-linux-x64-*.tgz FOLDER/carillon-[0-9]*.tgz, from the folder of a release (docs/install.md)";

/** The program in the npm package `carillon`, as the project in the working directory has it. The text says why there is none. */
function ofPackage(): { file?: string; why: string } {
  try {
    const { program } = createRequire(path.join(process.cwd(), "package.json"))("carillon") as { program(): string };
    return { file: program(), why: "" };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { why: code === "MODULE_NOT_FOUND" ? notInstalled : message };
  }
}

/** The path of the server: the one that is given, that of `CARILLON_BIN`, of the npm package `carillon`, or of `PATH`. */
export function findBinary(given: string | undefined): string {
  for (const [from, file] of [["the option binary", given], ["CARILLON_BIN", process.env.CARILLON_BIN]] as const) {
    if (!file) continue;
    if (!isProgram(file)) throw new Error(`${from} is ${file}: there is no program at this path`);
    return file;
  }
  const { file, why } = ofPackage();
  if (file) return file;
  const found = (process.env.PATH ?? "").split(path.delimiter).map((folder) => path.join(folder, "carillon")).find(isProgram);
  if (found) return found;
  throw new Error(
    ["no Carillon server was found:", "  the option binary and CARILLON_BIN are not set", `  the npm package carillon: ${why}`, "  there is no carillon in PATH"].join("\n"),
  );
}
