// Builds dist/: for each entry point one ES module, one CommonJS file, and one file of types for each of these.
import { Extractor, ExtractorConfig } from "@microsoft/api-extractor";
import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const root = fileURLToPath(new URL("..", import.meta.url));
const ENTRIES = ["index", "playwright"]; // the second one imports the package's own first one
const review = process.argv.includes("--accept"); // writes the report of the public types, in place of comparing it

rmSync(path.join(root, "dist"), { recursive: true, force: true });
rmSync(path.join(root, "build"), { recursive: true, force: true });
mkdirSync(path.join(root, "build"));
for (const name of ENTRIES) {
  const common = { bundle: true, target: "node20", platform: "node", logLevel: "warning", absWorkingDir: root, entryPoints: [`src/${name}.ts`], external: ["@carillon/testing", "@playwright/test"] };
  await build({ ...common, format: "esm", outfile: `dist/${name}.js` });
  await build({ ...common, format: "cjs", outfile: `dist/${name}.cjs` });
}
copyFileSync(path.join(root, "../../LICENSE"), path.join(root, "LICENSE"));
execFileSync(process.execPath, [path.join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });

let failed = false;
for (const name of ENTRIES) {
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: path.join(root, `build/types/${name}.d.ts`),
      compiler: { tsconfigFilePath: path.join(root, "tsconfig.json") },
      apiReport: { enabled: true, reportFolder: path.join(root, "api"), reportTempFolder: path.join(root, "build"), reportFileName: `${name}.api.md` },
      docModel: { enabled: false },
      dtsRollup: { enabled: true, untrimmedFilePath: path.join(root, `dist/${name}.d.ts`) },
      tsdocMetadata: { enabled: false },
      newlineKind: "lf",
      messages: { extractorMessageReporting: { "ae-missing-release-tag": { logLevel: "none" }, "ae-undocumented": { logLevel: "none" } } },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: path.join(root, "package.json"),
  });
  const { succeeded, apiReportChanged } = Extractor.invoke(config, { localBuild: review, showVerboseMessages: false, messageCallback: (m) => (m.handled = m.logLevel !== "error" && m.logLevel !== "warning") });
  if (apiReportChanged && !review) console.error(`the public types of ${name} have changed: look at api/${name}.api.md, then run npm run build -- --accept`);
  failed ||= !succeeded || (apiReportChanged && !review);
  const types = readFileSync(path.join(root, `dist/${name}.d.ts`), "utf8");
  writeFileSync(path.join(root, `dist/${name}.d.ts`), `/// <reference lib="esnext.disposable" />\n${types}`); // which the extractor drops
  copyFileSync(path.join(root, `dist/${name}.d.ts`), path.join(root, `dist/${name}.d.cts`));
}

for (const [file, most] of Object.entries(JSON.parse(readFileSync(path.join(root, "size-limits.json"), "utf8")))) {
  const size = gzipSync(readFileSync(path.join(root, file)), { level: 9 }).length;
  console.log(`${file}: ${size} bytes by gzip, at most ${most}`);
  failed ||= size > most;
}
process.exitCode = failed ? 1 : 0;
