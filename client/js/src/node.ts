import type { SocketConstructor, SocketLike } from "./env.js";

export type { SocketConstructor, SocketLike } from "./env.js";

/** Of the body of a refusal. Carillon's own are some hundred bytes long. */
const BODY_MAX_BYTES = 16_384;
const BODY_TIMEOUT_MS = 2000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The class `WebSocket` of the package `ws`. A class that extends it can give options, such as an `agent` or `headers`. */
export type WsConstructor = new (url: string, protocols?: string[]) => {
  /** As of each emitter of events in Node. */
  on(event: string, listener: (...told: never[]) => void): unknown;
};

/** The part of the class of `ws` that is used here. */
interface WsSocket extends SocketLike {
  on(event: "unexpected-response", listener: (request: unknown, response: HttpAnswer) => void): unknown;
  addEventListener(type: "close", listener: (event: object) => void): void;
  terminate(): void;
}

/** The HTTP answer in place of an upgrade, as Node gives it. */
interface HttpAnswer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  on(event: "data", listener: (part: Uint8Array) => void): unknown;
  on(event: "close", listener: () => void): unknown;
  destroy(): void;
}

/**
 * The `WebSocket` of the package `ws`, which also tells why an upgrade was refused: `new Carillon({ …, env: { WebSocket: nodeWebSocket(WebSocket) } })`.
 * The `close` event has the `reason` of Carillon's answer, the HTTP `status`, and `Retry-After` as `retryAfterMs`.
 * The answer of a proxy has no reason.
 */
export function nodeWebSocket(WebSocket: WsConstructor): SocketConstructor {
  return function (url: string, protocols?: string[]) {
    const socket = new WebSocket(url, protocols) as unknown as WsSocket;
    let listener: SocketLike["onclose"] = null;
    let refusal: PropertyDescriptorMap = {};
    Object.defineProperty(socket, "onclose", { get: () => listener, set: (given: typeof listener) => (listener = given) });
    socket.addEventListener("close", (event) => listener?.call(socket, Object.defineProperties(event, refusal) as never));
    socket.on("unexpected-response", (_, response) => {
      readBody(response, (body) => {
        refusal = { reason: { value: reasonOf(body) }, status: { value: response.statusCode }, retryAfterMs: { value: delayOf(response.headers["retry-after"]) } };
        socket.terminate(); // nobody else ends it, once somebody listens to that event
      });
    });
    return socket;
  } as unknown as SocketConstructor;
}

/** Reads a body until its end, or until it is too long or too late. What has come by then is told, once. */
function readBody(response: HttpAnswer, told: (body: string) => void): void {
  const decoder = new TextDecoder();
  let body = "";
  let bytes = 0;
  const stop = () => response.destroy();
  const timer = setTimeout(stop, BODY_TIMEOUT_MS);
  response.on("data", (part) => {
    body += decoder.decode(part, { stream: true });
    bytes += part.length;
    if (bytes > BODY_MAX_BYTES) stop();
  });
  response.on("close", () => {
    clearTimeout(timer);
    told(body);
  });
}

/** The word of Carillon's body: the reason, or else the error's code. Empty: the body is that of somebody else. */
function reasonOf(body: string): string {
  try {
    const { code, reason = code } = JSON.parse(body).error;
    return [code, reason].every((word) => typeof word === "string" && /^[a-z][a-z_]*$/.test(word)) ? reason : "";
  } catch {
    return "";
  }
}

/** `Retry-After` in seconds. A date, its other form, is too rare to be read. */
function delayOf(header: string | undefined): number | undefined {
  return /^\d+$/.test(header ?? "") ? Math.min(LONGEST_TIMER_MS, Number(header) * 1000) || undefined : undefined;
}
