// Clients in a process of their own, as those of a browser are. For each message, a list of {"url","channels"}, they come, and leave when the server
// ends them. The answer is sent once all of them have their channels.
import { client } from "./client.mjs";

process.on("message", async (wanted) => {
  await Promise.all(wanted.map(({ url, channels }) => client(url, channels)));
  process.send("there");
});
