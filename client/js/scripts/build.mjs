// Builds dist/: ESM with shared chunks, one CommonJS file for each entry point, and one file of types for each.
import { Extractor, ExtractorConfig } from "@microsoft/api-extractor";
import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync, rmSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { fileURLToPath } from "node:url";
import path from "node:path";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Entry points, and the most bytes that each may have: bundled, minified, by gzip. */
const ENTRIES = { index: 8192, managed: 2560, tabs: 1536 };
const review = process.argv.includes("--accept"); // writes the report of the public types, in place of comparing it

const common = { bundle: true, target: "es2022", platform: "neutral", logLevel: "warning", absWorkingDir: root, minify: true };
rmSync(path.join(root, "dist"), { recursive: true, force: true });
const entryPoints = Object.keys(ENTRIES).map((name) => `src/${name}.ts`);
await build({ ...common, entryPoints, format: "esm", splitting: true, outdir: "dist", chunkNames: "chunk-[hash]", sourcemap: true });
await build({ ...common, entryPoints, format: "cjs", outdir: "dist", outExtension: { ".js": ".cjs" } });

execFileSync(process.execPath, [path.join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });
let failed = false;
for (const name of Object.keys(ENTRIES)) {
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: path.join(root, `build/types/${name}.d.ts`),
      compiler: { tsconfigFilePath: path.join(root, "tsconfig.build.json") },
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
  copyFileSync(path.join(root, `dist/${name}.d.ts`), path.join(root, `dist/${name}.d.cts`));
}

for (const [name, most] of Object.entries(ENTRIES)) {
  const { outputFiles } = await build({ ...common, entryPoints: [`src/${name}.ts`], format: "esm", write: false });
  const size = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  console.log(`${name}: ${size} bytes by gzip, at most ${most}`);
  failed ||= size > most;
}
process.exitCode = failed ? 1 : 0;
