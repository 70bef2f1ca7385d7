import type { Ending } from "./backoff.js";
import type { Env, SocketLike } from "./env.js";
import { CarillonError } from "./errors.js";

/** What is told of a socket, until it is hung up. */
export interface SocketListener {
  onopen(): void;
  onmessage(event: MessageEvent): void;
}

/** Opens a socket. Throws where the address is none. */
export function dial(env: Env, address: [url: string, protocols?: string[]], onEnd: (ending: Ending) => void, handlers: SocketListener): SocketLike {
  let message: string | undefined;
  try {
    return Object.assign(new env.WebSocket(...address), {
      binaryType: "arraybuffer",
      ...handlers,
      onerror: (event: { message?: string }) => (message = event.message),
      // `@carillon/client/node` tells all of a refused upgrade. The package `ws` alone tells the status, at the end of its message.
      onclose: ({ code, reason, status = +/ \d..$/.exec(message!)! || undefined, retryAfterMs }: Ending) => onEnd({ code, reason, status, retryAfterMs }),
    });
  } catch (error) {
    throw new CarillonError("invalid_target", `${error}`);
  }
}

/** Nothing is told any more. */
export function hangUp(socket: SocketLike): void {
  // `ws` calls the end of a socket that has not opened an error, which somebody must listen to.
  socket.onopen = socket.onmessage = socket.onclose = socket.onerror = () => {};
  socket.close(1000);
}
