import { defineConfig } from "vitest/config";

// Tests wait for conditions. Each of these limits means that something is broken, on a busy machine too.

export default defineConfig({
  test: { include: ["test/**/*.test.ts"], testTimeout: 240_000, hookTimeout: 240_000 },
});
