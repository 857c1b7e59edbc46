import type { RuntimeExit } from '../driver.ts';

/** OpenClaw's exit code for a configuration or state that it cannot run with (EX_CONFIG). */
const EXIT_CONFIGURATION = 78;
/** A gateway's own names of what keeps it from being ready. */
export const STATE_DATABASE = 'state-database';
export const AGENT_DATABASE = 'agent-database:';

/** Codes of our own beside the gateway's: the socket went away, or no answer came in time. Both say nothing about the call's effect. */
export const CONNECTION_LOST = 'CONNECTION_LOST';
export const NO_ANSWER = 'NO_ANSWER';
/** The gateway's code for a request that it would refuse again. */
export const INVALID_REQUEST = 'INVALID_REQUEST';

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

/** Whether the gateway found the job itself wrong, and not the moment. Its message then says what is wrong. */
export function isRefusedCron(error: unknown): error is GatewayRequestError {
  return error instanceof GatewayRequestError && error.code === INVALID_REQUEST && !error.retryable;
}

/** The gateway process ended before it was ready. */
export class GatewayDiedError extends Error {
  readonly exit: RuntimeExit | null;
  /** False when it would end the same way again. */
  readonly retryable: boolean;

  constructor(exit: RuntimeExit | null) {
    const how = exit?.signal ?? (exit?.code == null ? 'unknown cause' : `exit code ${exit.code}`);
    super(`The gateway ended before it was ready (${how}).`);
    this.exit = exit;
    this.retryable = exit?.code !== EXIT_CONFIGURATION;
  }
}

/** The gateway runs but was not ready in time. */
export class GatewayNotReadyError extends Error {
  /** What all its agents share cannot be read: another start would not mend that. */
  readonly isDamaged: boolean;

  constructor(message: string, failing: readonly string[]) {
    super(message);
    this.isDamaged = failing.includes(STATE_DATABASE);
  }
}

/** A gateway did not take up its new agents in time. */
export class AgentsNotLiveError extends Error {}

/** A gateway answers, but would refuse every turn until it is restarted. */
export class GatewayBrokenError extends Error {}

/**
 * OpenClaw takes 30 calls a minute of each method that changes the gateway (`cron.add`, `cron.update`, `cron.remove`,
 * `cron.run`, `secrets.store.set`, `secrets.store.delete` of those that we use) from one connection, and refuses the
 * others with the time that is left of the minute.
 */
const WINDOW_MS = 60_000;

/** How long the gateway says to wait before it takes another write of this kind. Null: it refused for another reason. */
export function writeLimitWaitMs(error: unknown): number | null {
  if (!(error instanceof GatewayRequestError) || error.limit === undefined) return null;
  return Math.min(error.retryAfterMs ?? WINDOW_MS, WINDOW_MS);
}
