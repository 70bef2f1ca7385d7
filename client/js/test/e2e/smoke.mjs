// A program for any runtime: URL and TOKEN are in the environment. It ends by itself once it has signed out.
import { Carillon } from "../../dist/index.js";
import { createSockets } from "../../dist/managed.js";
import { nodeWebSocket } from "../../dist/node.js";

const { URL: url, TOKEN: token } = globalThis.Deno ? globalThis.Deno.env.toObject() : process.env;
const env = globalThis.WebSocket ? {} : { WebSocket: nodeWebSocket((await import("ws")).WebSocket) };
const client = new Carillon({ url, getToken: () => token, reconnectDelay: 100, env });
const told = [];
client.onStateChange.subscribe((state) => told.push(state));
const room = client.channel("room:1");
const events = room[Symbol.asyncIterator]();
const next = events.next();
await new Promise((resolve) => room.onStateChange.subscribe((state) => state === "live" && resolve()));
await room.publish("app.thing", { n: 1 }, { eventId: "e-1" });
told.push((await next).value.data.n, (await room.history({ limit: 1 })).events.length);
const socket = await createSockets({ url, getTicket: () => token, env }).connect("/ws", { token });
await new Promise((resolve) => socket.onStateChange.subscribe((state) => state === "open" && resolve()));
socket.destroy();
client.signOut();
told.push((await events.next()).done);
console.log(told.join(" "));
