/** Where each code and reason is explained. */
const PAGE = "https://carillon.dev/reference/errors";

export interface ErrorDetails {
  reason?: string | undefined;
  retryable?: boolean;
  retryAfterMs?: number | undefined;
  cause?: unknown;
}

/** Every error of this package. */
export class CarillonError extends Error {
  /** For logs. */
  override readonly name: string = "CarillonError";
  /** What kind of error it is: a code of the server, such as `forbidden`, or one of this package, such as `offline`. */
  declare readonly code: string;
  /** More exactly, where there is more to say, such as `token_expired`. */
  declare readonly reason: string | undefined;
  /** Whether the same call may succeed later. */
  declare readonly retryable: boolean;
  /** How long the server wants to be left alone. */
  declare readonly retryAfterMs: number | undefined;
  /** The page of this code. */
  declare readonly link: string;

  constructor(code: string, message: string, more: ErrorDetails = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    this.reason = more.reason;
    this.retryable = more.retryable ?? RETRYABLE.includes(code);
    this.retryAfterMs = more.retryAfterMs;
    this.link = `${PAGE}#${more.reason ?? code}`;
  }
}

export const REFUSED_AGAIN = "getToken gave a token that the server has refused";

const RETRYABLE = ["rate_limited", "internal_error", "unavailable", "offline", "timeout"];

/** Throw this from `getToken` when the user is signed out. The client closes, and does not try again. */
export class Unauthorized extends CarillonError {
  /** For logs. */
  override readonly name = "Unauthorized";
  constructor(message = "the user is signed out") {
    super("unauthorized", message, { reason: "signed_out", retryable: false });
  }
}

/** An `AbortSignal`'s own reason if there is one. */
export function abortReason(signal: AbortSignal): unknown {
  return signal.reason ?? new CarillonError("aborted", "the call was aborted", { retryable: false });
}
