/** What a `CarillonError` has beside its code and its sentence. */
export interface ErrorDetails {
  /** More exactly, where there is more to say. */
  reason?: string | undefined;
  /** Whether the same call may succeed later. Default: no. */
  retryable?: boolean;
  /** How long the server wants to be left alone. */
  retryAfterMs?: number | undefined;
  /** What somebody else has thrown. */
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
  /** Of a publish: with it the same event may be published again, and is one event. The outbox gives each one. */
  declare readonly eventId: string | undefined;
  /** The section about this code: a file of the package, and of the repository of Carillon. */
  declare readonly link: string;

  constructor(code: string, message: string, details?: ErrorDetails) {
    super(message);
    Object.assign(this, { code, retryable: false, link: `docs/client-errors.md#${details?.reason ?? code}`, ...details });
  }
}

/** A credential that the server has refused is not sent again. */
export function refusedAgain(): CarillonError {
  return new CarillonError("unauthorized", "refused", { retryable: true });
}

/** Throw this from `getToken` when the user is signed out. The client closes, and does not try again. */
export class Unauthorized extends CarillonError {
  /** For logs. */
  override readonly name = "Unauthorized";
  constructor(message = "signed out") {
    super("unauthorized", message, { reason: "signed_out" });
  }
}

/** Whatever somebody else has thrown. */
export type Thrown = Partial<CarillonError> | null | undefined;

/** It as an error of this package. One of another copy of the package stays as it is. */
export function asError(code: string, cause: unknown): CarillonError {
  return (cause as Thrown)?.retryable === undefined ? new CarillonError(code, `${cause}`, { retryable: true, cause }) : (cause as CarillonError);
}

/** The reason with which an error of `getToken` or `getTicket` ends the connection. Nothing: it may be tried again. */
export function finalReason(error: Thrown): string | false | undefined {
  return error?.retryable === false && (error.reason ?? error.code);
}
