import type { Env } from "./env.js";
import { CarillonError } from "./errors.js";
import type { CredentialRequest } from "./socket.js";

/** Gives the user's token. Throw `Unauthorized` when the user is signed out: then the client does not try again. */
export type GetToken = (request: CredentialRequest) => string | Promise<string>;

/** What a ticket is for. The server compares it with the path that the ticket is used at. */
export interface TicketPurpose {
  purpose: string;
  resourceId?: string | undefined;
}

/** Gives a ticket for one connection. */
export type GetTicket = (request: CredentialRequest & TicketPurpose) => string | Promise<string>;

/**
 * Asks the server for tickets: `POST` with the user's token, answered by `{"ticket": …}`.
 * A refused token is asked for once more.
 */
export function ticketsFrom(env: Env, url: string, getToken: GetToken): GetTicket {
  return async ({ purpose, resourceId, ...request }) => {
    const body = JSON.stringify({ purpose, resourceId });
    const post = (token: string) =>
      env.fetch(url, {
        method: "POST",
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        body,
        cache: "no-store",
        signal: request.signal,
      });
    let token = await getToken(request);
    let response = await post(token);
    if (response.status === 401) {
      const refused = token;
      const refusal = { code: 1008, reason: "token_invalid", status: 401 };
      token = await getToken({ signal: request.signal, why: "refused", refusal });
      if (token !== refused) response = await post(token);
    }
    if (!response.ok) throw await refusalOf(response);
    const { ticket } = (await response.json()) as { ticket?: unknown };
    if (typeof ticket === "string" && ticket !== "") return ticket;
    throw new CarillonError("invalid_answer", `${url} answered without a "ticket"`, { retryable: false });
  };
}

/** An HTTP answer as an error. Its body may be `{"code","message"}` or `{"error":{"code","message","reason"}}`. */
export async function refusalOf(response: Response): Promise<CarillonError> {
  const { status } = response;
  const body = (await response.json().catch(() => ({}))) as Partial<Refusal> & { error?: Partial<Refusal> };
  const { code, message, reason } = body.error ?? body;
  const after = Number(response.headers.get("Retry-After") ?? NaN);
  return new CarillonError(code ?? `http_${status}`, message ?? `${response.url} answered ${status}`, {
    reason,
    retryable: status === 401 || status === 408 || status === 429 || status >= 500,
    retryAfterMs: Number.isFinite(after) ? after * 1000 : undefined,
  });
}

interface Refusal {
  code: string;
  message: string;
  reason: string;
}
