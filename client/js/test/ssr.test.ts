import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { PATIENCE_MS } from "./e2e/harness.js";

const root = fileURLToPath(new URL("..", import.meta.url));

const SOURCE = `
import { createElement as e } from "react";
import { renderToString } from "react-dom/server";
import { Carillon } from "@carillon/client";
import { CarillonProvider, useChannel, useConnection, useEvents, usePresence } from "@carillon/react";
const client = new Carillon({ url: "https://rt.example.com", getToken: () => { throw new Error("asked on a server"); } });
function Room() {
  const all = [useConnection(), useChannel("room:1", "*", () => {}), useEvents("room:1").length, usePresence("room:1").length];
  return e("p", null, all.join(" "));
}
console.log(renderToString(e(CarillonProvider, { client }, e(Room))), client.state);
`;

test.each(["", "-18"])("complaint: does not run in SSR. A server renders the hooks without a connection, a WebSocket or a window (react%s)", async (suffix) => {
  const { outputFiles } = await build({
    stdin: { contents: SOURCE, resolveDir: root },
    ...{ bundle: true, write: false, format: "cjs", platform: "node", define: { "process.env.NODE_ENV": '"production"' } },
    alias: {
      react: path.join(root, `node_modules/react${suffix}`),
      "react-dom": path.join(root, `node_modules/react-dom${suffix}`),
      "@carillon/client": path.join(root, "dist/index.js"),
      "@carillon/react": path.join(root, "../react/dist/index.js"),
    },
  });
  // It also has to end by itself: nothing may be left that keeps the process alive.
  expect(execFileSync(process.execPath, ["-"], { input: outputFiles[0]!.text, encoding: "utf8", timeout: PATIENCE_MS })).toBe("<p>idle idle 0 0</p> idle\n");
});
