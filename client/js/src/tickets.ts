import type { CredentialRequest } from "./connection.js";
import type { Env } from "./env.js";
import { CarillonError, refusedAgain } from "./errors.js";

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
  let refused: string;

  return async ({ purpose, resourceId, ...request }) => {
    for (;;) {
      const token = await getToken(request);
      let error = refusedAgain();
      if (token !== refused) {
        const response = await env.fetch(url, {
          method: "POST",
          headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
          body: JSON.stringify({ purpose, resourceId }),
          signal: request.signal,
        });
        const { ok, status } = response;
        const body = (await response.json().catch(() => ({}))) as Answer;
        if (ok && body.ticket) return body.ticket;
        const { code = "ticket_failed", message = `${url} answered ${status}`, reason } = body.error ?? body;
        error = new CarillonError(code, message, {
          reason,
          retryable: status >= 500 || [401, 408, 429].includes(status),
          retryAfterMs: Number(response.headers.get("Retry-After")) * 1000 || undefined,
        });
        if (status !== 401) throw error;
        refused = token;
      }
      if (request.why === "refused") throw error;
      request = { ...request, why: "refused", refusal: { code: 1008, reason: "token_invalid", status: 401 } };
    }
  };
}

/** `{"ticket"}`, `{"code","message"}` or `{"error":{"code","message","reason"}}`. */
interface Answer extends Partial<Refusal> {
  ticket?: string;
  error?: Partial<Refusal>;
}

interface Refusal {
  code: string;
  message: string;
  reason: string;
}
