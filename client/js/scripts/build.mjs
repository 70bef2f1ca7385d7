// Builds dist/: for each entry point one ES module, one CommonJS file, and one file of types for each of these.
import { Extractor, ExtractorConfig } from "@microsoft/api-extractor";
import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { fileURLToPath } from "node:url";
import path from "node:path";
import { apiPage } from "./api-page.mjs";
import { internalNames } from "./internal.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const ENTRIES = ["index", "managed", "tabs", "node"];
const review = process.argv.includes("--accept"); // writes the report of the public types, in place of comparing it

rmSync(path.join(root, "dist"), { recursive: true, force: true });
copyFileSync(path.join(root, "../../LICENSE"), path.join(root, "LICENSE"));
mkdirSync(path.join(root, "docs"), { recursive: true });
copyFileSync(path.join(root, "../../docs/client-errors.md"), path.join(root, "docs/client-errors.md")); // where the links of errors lead
execFileSync(process.execPath, [path.join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });
let failed = false;
for (const name of ENTRIES) {
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

const internal = internalNames(root, ENTRIES.map((name) => path.join(root, `dist/${name}.d.ts`)));
for (const name of ENTRIES) {
  const common = {
    ...{ bundle: true, minify: true, target: "es2022", platform: "neutral", logLevel: "warning", absWorkingDir: root },
    ...{ mangleProps: new RegExp(`^(${internal.join("|")})$`), entryPoints: [`src/${name}.ts`] },
  };
  await build({ ...common, format: "esm", outfile: `dist/${name}.js`, sourcemap: true });
  await build({ ...common, format: "cjs", outfile: `dist/${name}.cjs` });
}

// The hooks: a package of its own, built with the tools of this one.
const react = path.join(root, "../react");
rmSync(path.join(react, "dist"), { recursive: true, force: true });
const hooks = {
  ...{ bundle: true, minify: true, target: "es2022", platform: "neutral", logLevel: "warning", absWorkingDir: react },
  ...{ entryPoints: ["src/index.ts"], external: ["react", "@carillon/client"] },
};
await build({ ...hooks, format: "esm", outfile: "dist/index.js", sourcemap: true });
await build({ ...hooks, format: "cjs", outfile: "dist/index.cjs" });
execFileSync(process.execPath, [path.join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.json"], { cwd: react, stdio: "inherit" });
copyFileSync(path.join(root, "LICENSE"), path.join(react, "LICENSE"));
copyFileSync(path.join(react, "dist/index.d.ts"), path.join(react, "dist/index.d.cts"));
const [seen, now] = [path.join(root, "api/react.d.ts"), path.join(react, "dist/index.d.ts")];
if (review) copyFileSync(now, seen);
else if (readFileSync(seen, "utf8") !== readFileSync(now, "utf8")) {
  console.error("the public types of @carillon/react have changed: look at api/react.d.ts, then run npm run build -- --accept");
  failed = true;
}

const faults = apiPage(
  path.join(root, "../../docs/api-javascript.md"),
  [...ENTRIES.map((name) => [`@carillon/client${{ index: "", managed: "/socket", tabs: "/tabs", node: "/node" }[name]}`, path.join(root, `dist/${name}.d.ts`)]), ["@carillon/react", now]],
  review,
);
faults.forEach((fault) => console.error(fault));
failed ||= faults.length > 0;

// As a bundler puts it into a page, by gzip.
for (const [file, most] of Object.entries(JSON.parse(readFileSync(path.join(root, "size-limits.json"), "utf8")))) {
  const { outputFiles } = await build({ entryPoints: [path.join(root, file)], bundle: true, minify: true, format: "esm", target: "es2022", write: false, external: ["react"] });
  const size = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  console.log(`${file}: ${size} bytes by gzip, at most ${most}`);
  failed ||= size > most;
}
process.exitCode = failed ? 1 : 0;
