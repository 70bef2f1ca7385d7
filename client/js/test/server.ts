import { Carillon, type CarillonOptions } from "../src/client.js";
import type { CredentialRequest } from "../src/connection.js";
import { createWorld, settle, type FakeSocket, type World } from "./world.js";

export interface Setup {
  client: Carillon;
  world: World;
  /** The requests of `getToken`, in their order. */
  asked: CredentialRequest[];
  errors: unknown[];
  /** The newest socket. */
  socket(): FakeSocket;
  /** The server takes the newest connection. */
  accept(more?: { expiresIn?: number | null; pingInterval?: number }): Promise<FakeSocket>;
  /** Answers the newest command of that type. */
  answer(type: string, frame: object): Promise<void>;
  subscribe(position?: object): Promise<void>;
}

/** A client whose server is the test. */
export function setUp(options: Partial<CarillonOptions> = {}, random?: () => number): Setup {
  const world = createWorld(random);
  const asked: CredentialRequest[] = [];
  const errors: unknown[] = [];
  const client = new Carillon({
    url: "https://rt.example.com",
    getToken: (request) => {
      asked.push(request);
      return `token-${asked.length}`;
    },
    ...options,
    env: world.env,
  });
  client.onError.subscribe((error) => errors.push(error));
  const socket = () => world.sockets.at(-1)!;
  const answer = async (type: string, frame: object) => {
    const command = socket().commands.findLast((sent) => sent.type === type);
    if (!command) throw new Error(`the client has sent no ${type}: ${socket().sent.join(" ")}`);
    socket().say({ channel: command.data.channel, ...frame, id: command.id });
    await settle();
  };
  return {
    client,
    world,
    asked,
    errors,
    socket,
    answer,
    async accept({ expiresIn = 3600_000, pingInterval = 25 } = {}) {
      await settle();
      socket().open();
      socket().say({
        type: "session_init",
        session_id: "s-1",
        timestamp: new Date(world.now).toISOString(),
        data: {
          user: "ada",
          expires_at: expiresIn === null ? null : new Date(world.now + expiresIn).toISOString(),
          ping_interval_s: pingInterval,
          limits: { message_bytes: 65536, channels: 128 },
        },
      });
      await settle();
      return socket();
    },
    subscribe: (position = { epoch: "e1", offset: 10, id: "i10", recovered: false }) => answer("subscribe", { type: "subscribed", data: position }),
  };
}

export function event(offset: number | undefined, more: object = {}): object {
  return {
    type: "chat_message",
    channel: "room:1",
    id: `i${offset}`,
    ...(offset !== undefined && { offset }),
    timestamp: "2026-01-01T00:00:00.000Z",
    data: { conversation_id: "1", sender_id: "bob", content: `message ${offset}` },
    ...more,
  };
}
