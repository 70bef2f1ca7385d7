import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { CarillonError, Unauthorized } from "../src/errors.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const read = (file: string) => readFileSync(path.join(root, file), "utf8");
const anchors = new Set([...read("docs/client-errors.md").matchAll(/^### (\w+)$/gm)].map(([, name]) => name));

/** All files of a folder that end so. */
function sources(folder: string, ending: string): string[] {
  return readdirSync(path.join(root, folder)).filter((file) => file.endsWith(ending)).map((file) => read(path.join(folder, file)));
}

test("the link of an error leads to a section that is there", () => {
  for (const error of [new CarillonError("offline", "no"), new CarillonError("unauthorized", "no", { reason: "token_expired" }), new Unauthorized()]) {
    const [file, anchor] = error.link.split("#");
    expect([existsSync(path.join(root, file!)), anchors.has(anchor!)]).toEqual([true, true]);
  }
});

test("each code and reason of the server has a section", () => {
  const [tables] = read("docs/reference/errors.md").split("## Gaps");
  const names = [...tables!.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name);
  expect(names.length).toBeGreaterThan(30);
  expect(names.filter((name) => !anchors.has(name))).toEqual([]);
});

test.each([
  ["client/js/src", ".ts", /CarillonError\("(\w+)"|reason: "(\w+)"|code = "(\w+)"/g],
  ["client/python/src/carillon_client", ".py", /CarillonError\(\s*"(\w+)"|reason="(\w+)"|Ending\(\d+, "(\w+)"/g],
])("each code and reason of %s has a section", (folder, ending, pattern) => {
  const names = sources(folder, ending).flatMap((text) => [...text.matchAll(pattern)].map(([, ...found]) => found.find(Boolean)));
  expect(names.length).toBeGreaterThan(8);
  expect(names.filter((name) => !anchors.has(name))).toEqual([]);
});
