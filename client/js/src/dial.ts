import type { Ending } from "./backoff.js";
import type { SocketData } from "./connection.js";
import type { Env, SocketLike } from "./env.js";

/** What is told of a socket, until it is hung up. */
export interface SocketListener {
  onOpen(): void;
  onMessage(event: MessageEvent): void;
  onEnd(ending: Ending): void;
}

const OPEN = 1;

/** Opens a socket. Throws where the address is not one. */
export function dial(env: Env, address: [url: string, protocols?: string[]], { onOpen, onMessage, onEnd }: SocketListener): SocketLike {
  const socket = new env.WebSocket(...address);
  let status: number | undefined;
  socket.binaryType = "arraybuffer";
  socket.onopen = onOpen;
  socket.onmessage = onMessage;
  // The package `ws` tells the status of a refused upgrade in its message alone.
  socket.onerror = ({ message }: { message?: string }) => {
    status = Number(/ (\d{3})$/.exec(message!)?.[1]) || undefined;
  };
  socket.onclose = ({ code, reason }: CloseEvent) => onEnd({ code, reason, status });
  return socket;
}

/** `false`: the socket is not open, and nothing was sent. */
export function sendOver(socket: SocketLike | undefined, data: SocketData): boolean {
  if (socket?.readyState !== OPEN) return false;
  socket.send(data);
  return true;
}

/** Nothing is told any more. `dead`: nobody may be there to answer a close frame, so `ws` is not to wait for one. */
export function hangUp(socket: SocketLike, dead: boolean): void {
  socket.onopen = socket.onmessage = socket.onclose = null;
  socket.onerror = () => {}; // `ws` calls the end of a socket that has not opened an error
  if (dead && socket.terminate) socket.terminate();
  else socket.close(1000);
}
