import { expect, test as base, type BrowserContext, type Page, type WebSocket } from "@playwright/test";
import { startCarillon, type CarillonServer, type StartOptions } from "@carillon/testing";

/** The server of a Playwright test, and whether its pages are online. */
export interface PageCarillon extends CarillonServer {
  /**
   * The page's context is offline, as a phone without a signal: nothing that it loads comes, and on its open connections nothing moves.
   * With `reset` its open connections break at once.
   */
  offline(page: Page, how?: "freeze" | "reset"): Promise<void>;
  /** The page's context is online again. What was frozen moves again. */
  online(page: Page): Promise<void>;
  /** `offline` knows the sessions of this context, too. That of the fixture `context` is known. Call it before its pages open. */
  watch(context: BrowserContext): void;
}

/** What the fixtures of a test are. */
export interface TestFixtures {
  /** The worker's server, reset before each test. The journal is attached to a test that fails. */
  carillon: PageCarillon;
}

/** What the fixtures of a worker are. */
export interface WorkerFixtures {
  /** How the server starts. Set it by `test.use` or in the configuration. */
  carillonOptions: StartOptions;
  /** The server of this worker. */
  carillonServer: CarillonServer;
}

/** An open socket. */
interface Open {
  /** What its first message says. */
  session: Promise<string | undefined>;
  ended: Promise<void>;
}

/** The open sockets of a context. Those of workers are not among them. */
type Sockets = Map<WebSocket, Open>;

/** How old a socket is that has said nothing, and so is no session. */
const FIRST_MESSAGE_MS = 10_000;

function observe(socket: WebSocket): Open {
  const ended = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  const session = new Promise<string | undefined>((resolve) => {
    const idOf = (text: string) => /^\{[^{]*"type":"session_init".*?"session_id":"([0-9a-f-]{36})"/.exec(text)?.[1];
    socket.once("framereceived", ({ payload }) => resolve(idOf(String(payload).slice(0, 500))));
    void ended.then(() => resolve(undefined));
    setTimeout(resolve, FIRST_MESSAGE_MS, undefined).unref();
  });
  return { session, ended };
}

function socketsOf(context: BrowserContext): Sockets {
  const sockets: Sockets = new Map();
  const watch = (page: Page) =>
    page.on("websocket", (socket) => {
      sockets.set(socket, observe(socket));
      socket.once("close", () => sockets.delete(socket));
    });
  context.pages().forEach(watch);
  context.on("page", watch);
  return sockets;
}

function withPages(server: CarillonServer): PageCarillon {
  const known = new Map<BrowserContext, Sockets>();
  const each = async (page: Page, act: (session: string, ended: Promise<void>) => Promise<unknown>) => {
    const sockets = known.get(page.context());
    if (!sockets) throw new Error("carillon knows no session of this page: call carillon.watch(context) before its pages open");
    await Promise.all(
      [...sockets.values()].map(async ({ session, ended }) => {
        const id = await session;
        if (id) await act(id, ended);
      }),
    );
  };
  const pages: Pick<PageCarillon, "offline" | "online" | "watch"> = {
    async offline(page, how = "freeze") {
      await page.evaluate("0").catch(() => undefined); // behind what Playwright has yet to tell of the page's sockets
      await each(page, async (session, ended) => {
        await server.session(session)[how]();
        if (how === "reset") await ended; // or the page would hear of it only when it is online again
      });
      await page.context().setOffline(true);
    },
    async online(page) {
      await page.context().setOffline(false);
      await each(page, (session) => server.session(session).thaw());
    },
    watch: (context) => void known.set(context, known.get(context) ?? socketsOf(context)),
  };
  return Object.assign(Object.create(server) as CarillonServer, pages);
}

/** Playwright's `test` with the fixture `carillon`. */
export const test = base.extend<TestFixtures, WorkerFixtures>({
  carillonOptions: [{ seed: 1 }, { scope: "worker", option: true }],
  carillonServer: [
    async ({ carillonOptions }, use) => {
      const server = await startCarillon(carillonOptions);
      await use(server);
      await server.stop();
    },
    { scope: "worker" },
  ],
  carillon: async ({ carillonServer, context }, use, info) => {
    await carillonServer.reset();
    const carillon = withPages(carillonServer);
    carillon.watch(context);
    await use(carillon);
    if (info.status === info.expectedStatus) return;
    const lines = await carillonServer.journal();
    await info.attach("carillon-journal", { body: lines.map((line) => JSON.stringify(line)).join("\n"), contentType: "text/plain" });
  },
});

export { expect };
