import { createServer, connect, type Socket } from "node:net";

/** What lies between clients and nodes: it may break. */
export interface Line {
  readonly url: string;
  /** Breaks all connections, and refuses others for so long. */
  cut(downMs?: number): void;
  end(): void;
}

/** A balancer: connections go to the first node that takes them. `nodes` may change meanwhile. */
export async function startLine(nodes: readonly { port: number }[]): Promise<Line> {
  const open = new Set<Socket>();
  let downUntil = 0;
  const join = (down: Socket, up: Socket) => {
    down.pipe(up).pipe(down);
    up.once("close", () => down.destroy());
    down.once("close", () => up.destroy());
  };
  const attempt = (down: Socket, i: number) => {
    const node = nodes[i];
    if (!node) return down.destroy();
    const up = connect(node.port, "127.0.0.1");
    for (const socket of [up, down]) {
      open.add(socket);
      socket.once("close", () => open.delete(socket));
    }
    up.once("connect", () => join(down, up));
    up.once("error", () => (up.connecting || up.bytesRead === 0 ? attempt(down, i + 1) : down.destroy()));
  };
  const server = createServer((down) => {
    down.on("error", () => {});
    if (performance.now() < downUntil) down.destroy();
    else attempt(down, 0);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    cut(downMs = 0) {
      downUntil = performance.now() + downMs;
      for (const socket of open) socket.destroy();
    },
    end: () => void server.close(),
  };
}
