import { readFileSync } from "node:fs";
import vm from "node:vm";
import { expect, test } from "vitest";
import type { Carillon, CarillonOptions, NetworkSource } from "../dist/index.js";
import { settle, FakeSocket } from "./world.js";

/** What React Native has of the globals of browsers: no `document`, no events of the window, no `crypto`, no `Event`. */
function start(options: Partial<CarillonOptions>) {
  const sockets: FakeSocket[] = [];
  const WebSocket = class extends FakeSocket {
    constructor(url: string, protocols?: string[]) {
      super(url, protocols);
      sockets.push(this);
    }
  };
  const module = { exports: {} as { Carillon: new (options: CarillonOptions) => Carillon } };
  const globals = { WebSocket, AbortController, URLSearchParams, fetch, console, setTimeout, clearTimeout, queueMicrotask, navigator: { product: "ReactNative" } };
  const context = vm.createContext({ ...globals, module, exports: module.exports });
  vm.runInContext(readFileSync(new URL("../dist/index.cjs", import.meta.url), "utf8"), context);
  const client = new module.exports.Carillon({ url: "https://rt.example.com", getToken: () => "t", ...options });
  return { client, sockets };
}

test("complaint: does not run in React Native. It runs with the globals of React Native, and hears of the network", async () => {
  let told: Parameters<NetworkSource["watch"]>[0] | undefined;
  let stopped = false;
  const watch: NetworkSource["watch"] = (tell) => ((told = tell), () => (stopped = true));
  const { client, sockets } = start({ env: { network: { watch } }, outbox: "queue" });
  const published = client.channel("room:1").publish("notification", { message: "hello" });
  await settle();
  sockets[0]!.open();
  const session = { user: "ada", expires_at: null, ping_interval_s: 0, limits: { message_bytes: 65_536, channels: 1 } };
  sockets[0]!.say({ type: "session_init", session_id: "s", timestamp: new Date().toISOString(), data: session });
  const [{ id, data }] = sockets[0]!.commands as [FakeSocket["commands"][number]];
  sockets[0]!.say({ type: "published", id, data: { id: "i1" } });
  expect([(await published).id, data.event_id]).toEqual(["i1", expect.stringMatching(/^[a-z0-9]{10,}$/)]);
  told!.online(false);
  expect(client.state).toBe("reconnecting");
  client.signOut();
  expect(stopped).toBe(true);
});

test("complaint: does not run in React Native. Without a network source it runs too", async () => {
  const { client, sockets } = start({});
  client.connect();
  await settle();
  expect(sockets).toHaveLength(1);
  client.close();
});
