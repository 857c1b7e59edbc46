/** Codes of our own beside the gateway's: the socket went away, or no answer came in time. Both say nothing about the call's effect. */
export const CONNECTION_LOST = 'CONNECTION_LOST';
export const NO_ANSWER = 'NO_ANSWER';

export interface RefusalFields {
  code: string;
  message: string;
  /** The gateway's `details.reason` or `details.code`. */
  reason?: string | undefined;
  retryable: boolean;
  retryAfterMs?: number | undefined;
  /** The gateway's limit that the request would have passed, such as `30 per 60s`. Nothing was done. */
  limit?: string | undefined;
  /** The gateway's question whether our device may come in. */
  pairingRequest?: string | undefined;
  /** What the gateway sent along with the error. */
  payload?: unknown;
}

/** A gateway refused a request, or its answer never came (CONNECTION_LOST, NO_ANSWER). */
export class GatewayRequestError extends Error {
  readonly code: string;
  readonly reason: string | undefined;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly limit: string | undefined;
  readonly pairingRequest: string | undefined;
  readonly payload: unknown;

  constructor({ code, message, reason, retryable, retryAfterMs, limit, pairingRequest, payload }: RefusalFields) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.retryable = retryable;
    this.retryAfterMs = retryAfterMs;
    this.limit = limit;
    this.pairingRequest = pairingRequest;
    this.payload = payload;
  }
}

/** No connection to the gateway. Not retryable: it refused our token or protocol, and would do so again. */
export class GatewayConnectError extends Error {
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(message: string, { retryable, retryAfterMs }: { retryable: boolean; retryAfterMs?: number | undefined }) {
    super(message);
    this.retryable = retryable;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The connection to a gateway was closed because it sent more than it may. It may be tried again after a pause. */
export class GatewayFloodError extends GatewayConnectError {
  constructor(message: string) {
    super(message, { retryable: true });
  }
}
