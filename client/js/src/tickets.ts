import { REFUSED_MAX, type CredentialRequest } from "./connection.js";
import type { Env } from "./env.js";
import { CarillonError, refusedAgain } from "./errors.js";
import type { TicketAnswer } from "./protocol.js";

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

/** In place of the user's own. */
export function noToken(): never {
  throw new CarillonError("invalid_options", "getToken");
}

/**
 * Asks the server for tickets: `POST` with the user's token, answered by `{"ticket": …}`.
 * A refused token is asked for once more, and is not sent again.
 */
export function ticketsFrom(env: Env, url: string, getToken: GetToken): GetTicket {
  let refused: readonly string[] = [];

  return async (request) => {
    for (;;) {
      const token = await getToken(request);
      let error = refusedAgain();
      if (!refused.includes(token)) {
        const response = await (0, env.fetch)(url, {
          method: "POST",
          headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
          body: JSON.stringify(request, ["purpose", "resourceId"]),
          signal: request.signal,
        });
        const body = (await response.json().catch(() => ({}))) as TicketAnswer;
        if (body.ticket) return body.ticket;
        const refusal = body.error ?? body;
        error = new CarillonError(refusal.code ?? "ticket_failed", refusal.message ?? `${url} ${response.status}`, {
          reason: refusal.reason,
          retryable: /5..|4(01|08|09|29)/.test(`${response.status}`),
          retryAfterMs: 1000 * +response.headers.get("retry-after")! || undefined,
        });
        if (response.status !== 401) throw error;
        refused = [...refused, token].slice(-REFUSED_MAX);
      }
      if (request.why === "refused") throw error;
      request = { ...request, why: "refused", refusal: { code: 1008, reason: "token_invalid", status: 401 } };
    }
  };
}
