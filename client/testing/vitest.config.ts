import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));

// Tests wait for conditions. Each of these limits means that something is broken, on a busy machine too.
export default defineConfig({
  resolve: { alias: { "@carillon/client": file("../js/dist/index.js") } },
  test: { include: ["test/**/*.test.ts"], testTimeout: 240_000, hookTimeout: 240_000, maxConcurrency: 40 },
});
