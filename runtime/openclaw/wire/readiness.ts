import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Endpoint, RuntimeExit } from '../../driver.ts';
import { GatewayDiedError, GatewayNotReadyError } from '../../gateway/gateway-errors.ts';
import { textUpTo } from './bounded-text.ts';
import { gatewayFetch } from './gateway-fetch.ts';

const POLL_MS = 75;
const PROBE_MS = 5_000;
/** What a slow gateway gets at a time. */
const EXTENSION_MS = 10_000;
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
  let failing: readonly string[] = [];
  for (;;) {
    const seen = await probeReadiness(endpoint, PROBE_MS, AbortSignal.any([signal, deadline]));
    if (seen?.failing === null) return;
    failing = seen?.failing ?? failing;
    signal.throwIfAborted();
    if (!(await isAlive())) throw new GatewayDiedError(await exitOf());
    if (deadline.aborted) {
      if (limit.aborted || !(await whenSlow?.isSlow()))
        throw new GatewayNotReadyError('The gateway was not ready in time.', failing);
      deadline = AbortSignal.any([AbortSignal.timeout(EXTENSION_MS), limit]);
    }
    await sleep(POLL_MS, undefined, { signal });
  }
}

/** So much of a name is kept: they go into the log. */
const NAME_BYTES = 200;
const MAX_NAMES = 100;
const readyzAnswer = z.looseObject({ failing: z.array(textUpTo(NAME_BYTES)).max(MAX_NAMES).catch([]) });

/**
 * What a gateway's /readyz answers within the time: `failing` is null when it is ready, else what it names. Null when
 * nothing answers. Whatever it answers, it lives.
 */
export async function probeReadiness(
  { httpUrl }: Pick<Endpoint, 'httpUrl'>,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<{ failing: readonly string[] | null } | null> {
  try {
    const { status, text } = await gatewayFetch(`${httpUrl}/readyz`, { timeoutMs, signal });
    return { failing: status === 200 ? null : failingIn(text) };
  } catch {
    return null;
  }
}

function failingIn(body: string): readonly string[] {
  try {
    return readyzAnswer.safeParse(JSON.parse(body)).data?.failing ?? [];
  } catch {
    return [];
  }
}
