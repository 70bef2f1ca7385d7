import { Agent, request, type IncomingMessage } from "node:http";
import type { ErrorAnswer } from "./types.js";

/** The server has refused an order. The message says what was wrong with it. */
export class CarillonError extends Error {
  override readonly name: string = "CarillonError";
  constructor(
    message: string,
    /** Of the HTTP answer. */
    readonly status: number,
    /** For programs, such as `invalid_request`. */
    readonly code: string,
  ) {
    super(message);
  }
}

/** An answer, whatever its status. */
export interface Answer {
  status: number;
  text: string;
}

/** The internal listener of a server: one connection is used again and again. */
export class Api {
  private readonly agent = new Agent({ keepAlive: true });
  private isClosing = false;

  constructor(
    readonly url: string,
    private readonly key: string,
    /** Why the server does not answer any more, if it has ended. */
    private readonly whyEnded: () => Promise<string | undefined>,
  ) {}

  /** The JSON of an answer that is a success. `undefined` for an empty one. */
  async order<T>(method: string, path: string, body?: object): Promise<T> {
    const { status, text } = await this.ask(method, path, body);
    if (status >= 300) throw refusal(method, path, status, text);
    return (text ? JSON.parse(text) : undefined) as T;
  }

  async ask(method: string, path: string, body?: object): Promise<Answer> {
    try {
      const { answer, text } = await this.send(method, path, body);
      return { status: answer.statusCode ?? 0, text };
    } catch (error) {
      throw await this.explained(method, path, error);
    }
  }

  /** An answer without end: its pieces, as they come, until the server is stopped. */
  async *stream(path: string): AsyncGenerator<string, void, undefined> {
    const call = request(new URL(path, this.url), { headers: { Accept: "text/event-stream" }, agent: false });
    try {
      const answer = await new Promise<IncomingMessage>((resolve, reject) => call.once("response", resolve).once("error", reject).end());
      answer.setEncoding("utf8");
      if (answer.statusCode !== 200) throw refusal("GET", path, answer.statusCode ?? 0, await all(answer));
      for await (const piece of answer) yield piece as string;
    } catch (error) {
      if (!this.isClosing) throw error instanceof CarillonError ? error : await this.explained("GET", path, error);
    } finally {
      call.destroy();
    }
  }

  /** Streams that end now end as expected. */
  willClose(): void {
    this.isClosing = true;
  }

  close(): void {
    this.agent.destroy();
  }

  private send(method: string, path: string, body: object | undefined, isAgain = false): Promise<{ answer: IncomingMessage; text: string }> {
    const headers = { "X-API-Key": this.key, "Content-Type": "application/json" };
    return new Promise((resolve, reject) => {
      const call = request(new URL(path, this.url), { method, headers, agent: this.agent });
      call.once("response", (answer) => void all(answer).then((text) => resolve({ answer, text }), reject));
      // A connection that was kept may have ended just now: the order has not arrived.
      call.once("error", (error) => (call.reusedSocket && !isAgain ? resolve(this.send(method, path, body, true)) : reject(error)));
      call.end(body && JSON.stringify(body));
    });
  }

  private async explained(method: string, path: string, error: unknown): Promise<Error> {
    const why = await this.whyEnded();
    return new Error(`${method} ${path}: ${why ?? (error as Error).message}`, { cause: error });
  }
}

async function all(answer: IncomingMessage): Promise<string> {
  answer.setEncoding("utf8");
  let text = "";
  for await (const piece of answer) text += piece as string;
  return text;
}

/** The error of an answer that is no success. */
export function refusal(method: string, path: string, status: number, text: string): CarillonError {
  let { code, message } = { code: "", message: text };
  try {
    ({ code, message } = (JSON.parse(text) as ErrorAnswer).error);
  } catch {
    // It is no JSON: an answer of something else than the server.
  }
  return new CarillonError(`${method} ${path}: ${status} ${message}`, status, code);
}
