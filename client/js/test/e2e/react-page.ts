// Runs in the browser: what test/e2e/browser.test.ts asks for, with React 18 or 19.
import { createElement, StrictMode, version, type ReactNode } from "react";
import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";
import { Carillon } from "@carillon/client";
import { CarillonProvider, useChannel, useConnection, useEvents, usePresence } from "@carillon/react";

type Events = { "app.thing": { n: number } };

/** A turn of the event loop. A timer takes 4 ms. */
function turn(): Promise<unknown> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = (event) => {
      port1.close();
      resolve(event);
    };
    port2.postMessage(0);
  });
}

function Room({ name }: { name: string }): ReactNode {
  const connection = useConnection();
  const events = useEvents<Events>(name, { types: ["app.thing"] });
  const people = usePresence(name);
  const state = useChannel<Events, "app.thing">(name, "app.thing", ({ data }) => void (page.handled.push(data.n), connection));
  return createElement("p", { id: "room" }, `${connection} ${state} ${people.map(({ user }) => user)} ${events.map(({ data }) => data.n)}`);
}

const page = {
  version,
  handled: [] as number[],
  client: undefined as Carillon<Events> | undefined,
  render: (_: boolean) => {},
  start(url: string, token: string): void {
    const root = createRoot(document.getElementById("root")!);
    page.render = (shown) =>
      root.render(createElement(StrictMode, null, createElement(CarillonProvider<Events>, { client: page.client! }, shown ? createElement(Room, { name: "room:1" }) : null)));
    page.client = new Carillon<Events>({ url, getToken: () => token });
  },
  /** Another user signs in. Returns what the page shows at once. */
  signIn(url: string, token: string): string {
    page.client!.signOut();
    page.client = new Carillon<Events>({ url, getToken: () => token });
    flushSync(() => page.render(true));
    return document.getElementById("room")!.textContent!;
  },
  /** The room goes and comes back at once. In the end it is there: a channel without listeners is left after a while. */
  async rounds(count: number): Promise<void> {
    for (let i = 1; i <= 2 * count; i++) {
      flushSync(() => page.render(i % 2 === 0));
      await turn();
    }
  },
};
Object.assign(globalThis, { page });
