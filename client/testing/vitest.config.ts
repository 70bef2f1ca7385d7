import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));

export default defineConfig({
  resolve: { alias: { "@carillon/client": file("../js/dist/index.js") } },
  test: { include: ["test/**/*.test.ts"], testTimeout: 180_000, hookTimeout: 60_000, maxConcurrency: 40 },
});
