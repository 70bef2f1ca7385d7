import { defineConfig, type Plugin } from "vite";
import { startCarillon, type CarillonServer } from "../support/carillon.mjs";

/** Stands for your backend: it knows who has signed in, and gives that user a token. Here the page says who it is. */
const backend = (carillon: CarillonServer): Plugin => ({
  name: "backend",
  configureServer({ middlewares }) {
    middlewares.use("/token", async ({ url }, response) => {
      const user = new URLSearchParams(url?.split("?")[1]).get("user");
      if (user) response.end(await carillon.token(user));
      else response.writeHead(401).end();
    });
  },
});

export default defineConfig(async ({ command }) => {
  if (command === "build") return {};
  const carillon = await startCarillon(new URL("carillon.jsonc", import.meta.url));
  return {
    plugins: [backend(carillon)],
    server: {
      host: "127.0.0.1",
      proxy: { "/ws": { target: carillon.url, ws: true } }, // as behind a load balancer: one origin
      fs: { allow: ["../.."] }, // the packages of Carillon are links into this repository
    },
    resolve: { dedupe: ["react", "@carillon/client"] },
  };
});
