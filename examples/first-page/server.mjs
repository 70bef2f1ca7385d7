// @ts-check
import { startCarillon } from "../support/carillon.mjs";
import { serve } from "../support/serve.mjs";

const carillon = await startCarillon(new URL("carillon.jsonc", import.meta.url));
await serve(new URL(".", import.meta.url), carillon, {
  // Your backend knows who has signed in. Here the page's URL says it: /?user=bob.
  "/token": (query) => carillon.token(query.get("user") ?? "ada"),
});
