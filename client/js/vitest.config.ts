import { defineConfig } from "vitest/config";

export default defineConfig({
  define: { WITH_CHANNELS: "true" },
  test: { include: ["test/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000 },
});
