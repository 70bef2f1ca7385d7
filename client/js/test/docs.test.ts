import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const PAGES = ["README.md", "../react/README.md", "../../docs/quickstart-javascript.md"];

/** What the pages take for granted: names of the reader's own program, and of React Native. */
const GIVEN: Record<string, string> = {
  Carillon: `import { Carillon } from "@carillon/client";`,
  url: `declare const url: string;`,
  getToken: `declare const getToken: () => Promise<string>;`,
  NetInfo: `declare const NetInfo: { addEventListener(told: (state: { isConnected: boolean | null }) => void): () => void };`,
  AppState: `declare const AppState: { addEventListener(type: "change", told: (state: string) => void): { remove(): void } };`,
};

function snippets(page: string): [name: string, text: string][] {
  const text = readFileSync(path.join(root, page), "utf8");
  const found = [...text.matchAll(/^ *```(tsx?)\n([\s\S]*?)^ *```/gm)];
  return found.map(([, kind, code], i) => [`${page} ${i + 1}.${kind}`, code!]);
}

/** A snippet as a module: names that it neither imports nor declares are those that are given. */
function moduleOf(code: string): string {
  const isMissing = (name: string) => new RegExp(`\\b${name}\\b`).test(code) && !new RegExp(`import[^;]*\\b${name}\\b|(const|function) ${name}\\b|async ${name}\\(`).test(code);
  return [...Object.entries(GIVEN).flatMap(([name, line]) => (isMissing(name) ? [line] : [])), code, "export {};"].join("\n");
}

/** All snippets as one program: the library's own types are read once. */
function programOf(all: [name: string, code: string][]) {
  const files = new Map(all.map(([name, code], i) => [path.join(root, `test/snippet-${i}.${name.split(".").pop()}`), moduleOf(code)]));
  const options: ts.CompilerOptions = {
    ...{ strict: true, noEmit: true, skipLibCheck: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, types: [] },
    ...{ moduleResolution: ts.ModuleResolutionKind.Bundler, jsx: ts.JsxEmit.ReactJSX, lib: ["lib.es2023.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"] },
    paths: {
      "@carillon/client": [path.join(root, "dist/index.d.ts")],
      "@carillon/client/tabs": [path.join(root, "dist/tabs.d.ts")],
      "@carillon/client/node": [path.join(root, "dist/node.d.ts")],
      "@carillon/react": [path.join(root, "../react/dist/index.d.ts")],
      "react-dom/client": [path.join(root, "node_modules/@types/react-dom/client.d.ts")],
      ws: [path.join(root, "node_modules/@types/ws/index.d.ts")],
      react: [path.join(root, "node_modules/@types/react/index.d.ts")],
      "react/jsx-runtime": [path.join(root, "node_modules/@types/react/jsx-runtime.d.ts")],
    },
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.getSourceFile = (asked, version) => (files.has(asked) ? ts.createSourceFile(asked, files.get(asked)!, version, true) : getSourceFile(asked, version));
  host.fileExists = (asked) => files.has(asked) || fileExists(asked);
  return { program: ts.createProgram([...files.keys()], options, host), files: [...files.keys()] };
}

const all = PAGES.flatMap(snippets);
const { program, files } = programOf(all);

test.each(all.map(([name], i) => [name, files[i]!] as const))("the program of %s is right by its types", (_, file) => {
  const found = ts.getPreEmitDiagnostics(program, program.getSourceFile(file));
  expect(found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"))).toEqual([]);
});
