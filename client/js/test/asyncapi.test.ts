import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";
import { parse } from "yaml";

const root = fileURLToPath(new URL("..", import.meta.url));
const { operations, components } = parse(readFileSync(path.join(root, "../../docs/asyncapi.yaml"), "utf8"));

type Named = { $ref: string };
const names = ({ messages }: { messages: Named[] }) => messages.map(({ $ref }) => $ref.split("/").pop()!);
const sent = [...new Set([...names(operations.deliver), ...names(operations.command.reply)])];
const events = ["notification", "chat_message", "status_update", "custom_event"];

/** A frame as a module. Members that are no part of the client's types do not count. */
function moduleOf(name: string, { type, ...frame }: { type: string }): string {
  const known = events.includes(name) ? `ChannelEvent<${JSON.stringify(type)}, ${type in components.messages ? `BuiltInEvents["${type}"]` : "unknown"}>` : "ServerFrame";
  const values = JSON.stringify(frame).replace(/"level":("\w+")/, '"level":$1 as const');
  // A value that is not fresh may have further members.
  return `import type { BuiltInEvents, ChannelEvent, ServerFrame } from "../src/protocol.js";
    const given = { type: ${JSON.stringify(type)} as const, ...${values} };
    export const frame: ${known} = given;`;
}

/** What is wrong with each module, by its types. */
function faultsOf(modules: string[]): string[][] {
  const files = modules.map((_, i) => path.join(root, `test/frame-${i}.ts`));
  const options: ts.CompilerOptions = { strict: true, exactOptionalPropertyTypes: true, noEmit: true, skipLibCheck: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, types: [] };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.getSourceFile = (file, version) => (files.includes(file) ? ts.createSourceFile(file, modules[files.indexOf(file)]!, version, true) : getSourceFile(file, version));
  host.fileExists = (file) => files.includes(file) || fileExists(file);
  const program = ts.createProgram(files, options, host);
  return files.map((file) => ts.getPreEmitDiagnostics(program, program.getSourceFile(file)).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n")));
}

const frames = sent.flatMap((name) => (components.messages[name].examples as { payload: { type: string } }[]).map(({ payload }) => [name, payload] as const));
const faults = faultsOf([...frames.map((frame) => moduleOf(...frame)), moduleOf("gap", { type: "gap", channel: "room:7", data: { reason: 3 } } as never)]);

test.each(frames.map(([name], i) => [name, faults[i]!] as const))("the frame %s of docs/asyncapi.yaml has its type", (_, found) => {
  expect(found).toEqual([]);
});

test("a frame that has not is noticed", () => {
  expect(faults.at(-1)!.join()).toContain("not assignable");
});

test("the types and the document have the same frames", () => {
  const source = ts.createSourceFile("protocol.ts", readFileSync(path.join(root, "src/protocol.ts"), "utf8"), ts.ScriptTarget.Latest, true);
  const union = source.statements.filter(ts.isTypeAliasDeclaration).find(({ name }) => name.text === "ServerFrame")!.type.getText();
  const typed = [...union.matchAll(/\btype: ((?:"\w+"(?: \| )?)+)/g)].flatMap(([, types]) => types!.match(/\w+/g)!);
  expect(typed.sort()).toEqual([...new Set(frames.filter(([name]) => !events.includes(name)).map(([, { type }]) => type))].sort());
});
