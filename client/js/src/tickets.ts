import type { Env } from "./env.js";
import { CarillonError, REFUSED_AGAIN } from "./errors.js";
import type { CredentialRequest } from "./socket.js";

/** Gives the user's token. Throw `Unauthorized` when the user is signed out: then the client does not try again. */
export type GetToken = (request: CredentialRequest) => string | Promise<string>;

/** What a ticket is for. The server compares it with the path that the ticket is used at. */
export interface TicketPurpose {
  /** Such as `chat`. */
  purpose: string;
  /** The one that the ticket is good for. */
  resourceId?: string | undefined;
}

/** Gives a ticket for one connection. */
export type GetTicket = (request: CredentialRequest & TicketPurpose) => string | Promise<string>;

/**
 * Asks the server for tickets: `POST` with the user's token, answered by `{"ticket": …}`.
 * A refused token is asked for once more, and is not sent again.
 */
export function ticketsFrom(env: Env, url: string, getToken: GetToken): GetTicket {
  let refused: string | undefined;

  async function post({ purpose, resourceId, ...request }: CredentialRequest & TicketPurpose): Promise<Response | undefined> {
    const token = await getToken(request);
    if (token === refused) return undefined;
    const response = await env.fetch(url, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: JSON.stringify({ purpose, resourceId }),
      cache: "no-store",
      signal: request.signal,
    });
    if (response.status === 401) refused = token;
    return response;
  }

  return async (request) => {
    let response = await post(request);
    if (!response || response.status === 401)
      response = await post({ ...request, why: "refused", refusal: { code: 1008, reason: "token_invalid", status: 401 } });
    if (!response) throw new CarillonError("unauthorized", REFUSED_AGAIN, { retryable: true });
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
  return new CarillonError(code ?? `http_${status}`, message ?? `${response.url} answered ${status}`, {
    reason,
    retryable: status >= 500 || [401, 408, 429].includes(status),
    retryAfterMs: Number(response.headers.get("Retry-After")) * 1000 || undefined,
  });
}

interface Refusal {
  code: string;
  message: string;
  reason: string;
}
