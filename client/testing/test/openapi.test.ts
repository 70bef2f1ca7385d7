import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
// @ts-expect-error: it has no types
import { safeLoad } from "js-yaml";
import { expect, test } from "vitest";
import { root } from "./support.js";

interface Schema {
  $ref?: string;
  const?: unknown;
  enum?: unknown[];
  type?: string | string[];
  oneOf?: Schema[];
  allOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  minProperties?: number;
  maxProperties?: number;
}

interface Operation {
  operationId: string;
  parameters?: { name: string; in: string; schema: Schema }[];
  requestBody?: { content: { "application/json": { schema: Schema } } };
}

const document = safeLoad(readFileSync(path.join(root, "../../docs/openapi-dev.yaml"), "utf8")) as {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
};
const operations = Object.values(document.paths).flatMap((path) => Object.values(path));

/** The type that a schema describes. */
function typeOf(schema: Schema): string {
  const { $ref, oneOf, allOf, properties, items, type, required = [] } = schema;
  if ($ref) return $ref.split("/").at(-1)!;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (oneOf) return oneOf.map(typeOf).join(" | ");
  if (allOf) return allOf.map(typeOf).join(" & ");
  if (schema.maxProperties === 1) return Object.entries(properties!).map(([name, of]) => `{ ${name}: ${typeOf(of)} }`).join(" | ");
  if (properties) return `{ ${Object.entries(properties).map(([name, of]) => `${name}${required.includes(name) ? "" : "?"}: ${typeOf(of)}`).join("; ")} }`;
  if (Array.isArray(type)) return type.map((one) => typeOf({ type: one })).join(" | ");
  if (type === "array") return `(${typeOf(items!)})[]`;
  if (type === "integer" || type === "number") return "number";
  return { string: "string", boolean: "boolean", object: "object", null: "null" }[type ?? ""] ?? "unknown";
}

/** Each line: a type of this package, and what the document has in its place. */
const SAME: [string, string][] = [
  ...["TokenAnswer", "TicketAnswer", "SessionChannel", "Session", "SessionDetails", "On", "Done", "Action", "GapReason", "RuleMatch", "NewRule", "Rule"].map((name): [string, string] => [`T.${name}`, `D.${name}`]),
  ...["ClockAnswer", "JournalKind", "JournalLine", "LineMatch", "Snapshot", "SavedRule"].map((name): [string, string] => [`T.${name}`, `D.${name}`]),
  ["T.ErrorAnswer", "D.Error"],
  ["keyof T.Facts", "keyof D.Facts"],
  ["T.TokenWish", `Omit<D.TokenWish, "sub">`],
  ["T.TicketWish", `Omit<D.TicketWish, "sub">`],
  ["T.BrokerState", `D.Broker["state"]`],
  ["T.WaitOptions", `Omit<D.Body_wait, "for">`],
  ["T.LineMatch[]", `NonNullable<D.Body_verify["expect"]>`],
  [`{ in_order?: NonNullable<T.VerifyOptions["inOrder"]>; nothing_else?: NonNullable<T.VerifyOptions["nothingElse"]>; after?: number }`, `Omit<D.Body_verify, "expect">`],
  ["{ keep?: T.Keep[] }", "D.Body_reset"],
  ["keyof T.JournalFilter", `Exclude<D.Query_readJournal, "era">`],
];

test("the types are those of docs/openapi-dev.yaml", () => {
  const schemas = Object.entries(document.components.schemas).map(([name, schema]) => `export type ${name} = ${typeOf(schema)};`);
  const bodies = operations.filter(({ requestBody }) => requestBody).map(({ operationId, requestBody }) => `export type Body_${operationId} = ${typeOf(requestBody!.content["application/json"].schema)};`);
  const queries = operations.filter(({ parameters }) => parameters?.[0]?.in === "query").map(({ operationId, parameters }) => `export type Query_${operationId} = ${parameters!.map(({ name }) => `"${name}"`).join(" | ")};`);
  const folder = path.join(root, "build/openapi");
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "document.ts"), [...schemas, ...bodies, ...queries].join("\n"));
  writeFileSync(
    path.join(folder, "same.ts"),
    `import type * as T from "../../dist/index.js";
     import type * as D from "./document.js";
     type Plain<T> = T extends (infer One)[] | readonly (infer One)[] ? Plain<One>[] : T extends object ? { -readonly [Name in keyof T]: Plain<T[Name]> } : T;
     type Check<Own, Documented> = [Plain<Own>] extends [Plain<Documented>] ? ([Plain<Documented>] extends [Plain<Own>] ? "same" : "the document has more") : "the package has more";
     ${SAME.map(([own, documented], i) => `export const same${i}: Check<${own}, ${documented}> = "same"; // ${own}`).join("\n")}
     export const paths: ${SAME.length} = ${SAME.length};`,
  );
  const flags = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--module", "esnext", "--moduleResolution", "bundler", "--target", "es2022", "--types", "node", "--skipLibCheck"];
  let said = "";
  try {
    execFileSync(process.execPath, [path.join(root, "node_modules/typescript/bin/tsc"), ...flags, path.join(folder, "same.ts")], { cwd: root, encoding: "utf8", stdio: "pipe" });
  } catch (error) {
    const lines = readFileSync(path.join(folder, "same.ts"), "utf8").split("\n");
    said = (error as { stdout: string }).stdout.replaceAll(/same\.ts\((\d+),.*/g, (line, number: string) => `${line} ${lines[Number(number) - 1]}`);
  }
  expect(said).toBe("");
});

// `facts` has it from the start.
const NOT_ASKED = ["/dev/v1/server"];

test("each route of the document has its word", () => {
  const code = readFileSync(path.join(root, "dist/index.js"), "utf8");
  const missing = Object.keys(document.paths).filter((route) => !code.includes(route.replace("{id}", "${encodeURIComponent(")));
  expect(missing).toEqual(NOT_ASKED);
});
