// @ts-check
import { startCarillon } from "../support/carillon.mjs";
import { serve } from "../support/serve.mjs";

const carillon = await startCarillon(new URL("carillon.jsonc", import.meta.url));
const user = "ada"; // your backend knows who has signed in
const url = await serve(new URL(".", import.meta.url), carillon, {
  "/token": () => carillon.token(user),
  async "/notify"(query) {
    await carillon.publish(`user:${user}`, "notification", { message: query.get("message") ?? "Hello there!", level: "info" });
    return "";
  },
});
console.log(`notify with curl -X POST '${url}notify?message=Lunch'`);
