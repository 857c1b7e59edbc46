import { setTimeout as sleep } from 'node:timers/promises';
import type { Endpoint, RuntimeExit } from '../driver.ts';

const POLL_MS = 75;
const PROBE_MS = 5_000;
/** What a slow gateway gets at a time. */
const EXTENSION_MS = 10_000;
/** OpenClaw's exit code for a configuration or state that it cannot run with (EX_CONFIG). */
const EXIT_CONFIGURATION = 78;

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
export class GatewayNotReadyError extends Error {}

export interface ReadinessOptions {
  signal: AbortSignal;
  /** How long to wait, from now. */
  deadlineMs: number;
  isAlive: () => Promise<boolean>;
  exitOf: () => Promise<RuntimeExit | null>;
  /** For a gateway that is slow; without it no gateway gets more time. */
  whenSlow?: {
    /** How long it may get in all, from now. */
    limitMs: number;
    /** Asked at the end of the time that it has got. */
    isSlow: () => Promise<boolean>;
  };
}

/**
 * Waits until the gateway says that it is ready. Throws GatewayDiedError as soon as its process is gone,
 * GatewayNotReadyError after deadlineMs (for as long as it is slow, after the limit), and the signal's reason when it
 * is aborted.
 */
export async function waitUntilReady(endpoint: Pick<Endpoint, 'httpUrl'>, options: ReadinessOptions): Promise<void> {
  const { signal, deadlineMs, isAlive, exitOf, whenSlow } = options;
  const limit = AbortSignal.timeout(whenSlow?.limitMs ?? deadlineMs);
  let deadline = AbortSignal.timeout(deadlineMs);
  while (!(await isReady(endpoint, AbortSignal.any([signal, deadline])))) {
    signal.throwIfAborted();
    if (!(await isAlive())) throw new GatewayDiedError(await exitOf());
    if (deadline.aborted) {
      if (limit.aborted || !(await whenSlow?.isSlow())) throw new GatewayNotReadyError('The gateway was not ready in time.');
      deadline = AbortSignal.any([AbortSignal.timeout(EXTENSION_MS), limit]);
    }
    await sleep(POLL_MS, undefined, { signal });
  }
}

/** One look at /readyz; no answer within five seconds counts as no. */
export async function isReady({ httpUrl }: Pick<Endpoint, 'httpUrl'>, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await fetch(`${httpUrl}/readyz`, { signal: AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS)]) });
    await response.body?.cancel();
    return response.status === 200;
  } catch {
    return false;
  }
}
