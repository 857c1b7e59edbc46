import { probePauseMs } from './retry-schedule.ts';
import type { Random } from './retry-schedule.ts';
import type { DisabledReason } from './webhook-events.ts';

/** After this many failures in a row an endpoint gets one delivery at a time, as a probe. */
export const FAILURES_UNTIL_PROBING = 10;
const DISABLE_AFTER_MS = 5 * 24 * 60 * 60_000;

/** What is known of an endpoint. */
export interface WebhookHealth {
  /** In a row; from ten on only probes count. */
  failures: number;
  /** The first of them; null while there is none. */
  failingSince: Date | null;
}

/** How one attempt went. */
export interface AttemptOutcome {
  /** `gone`: it answered 410, for good. */
  result: 'succeeded' | 'failed' | 'gone';
  at: Date;
  retryAfterMs: number | null;
  /** It was sent to an endpoint that was failing already, to see whether it is back. */
  isProbe: boolean;
}

export interface HealthChange extends WebhookHealth {
  /** Nothing is sent for as long as this; null: no change, or no rest. */
  restMs: number | null;
  /** The endpoint is back after failures: everything that waits is due. */
  isRecovered: boolean;
  disable: DisabledReason | null;
}

export function isProbed({ failures }: Pick<WebhookHealth, 'failures'>): boolean {
  return failures >= FAILURES_UNTIL_PROBING;
}

/** What some attempts, in the order in which they ended, say about an endpoint. */
export function healthAfter(health: WebhookHealth, outcomes: readonly AttemptOutcome[], random: Random): HealthChange {
  let { failures, failingSince } = health;
  let retryAfterMs: number | null = null;
  let isRecovered = false;
  let disable: DisabledReason | null = null;
  for (const outcome of outcomes) {
    if (outcome.result === 'succeeded') {
      isRecovered ||= failures > 0;
      [failures, failingSince, retryAfterMs] = [0, null, null];
      if (disable === 'failing') disable = null;
      continue;
    }
    // What was under way when probing began says nothing about the probes.
    if (outcome.isProbe || failures < FAILURES_UNTIL_PROBING) failures += 1;
    failingSince ??= outcome.at;
    if (outcome.retryAfterMs !== null) retryAfterMs = Math.max(retryAfterMs ?? 0, outcome.retryAfterMs);
    if (outcome.result === 'gone') disable = 'gone';
    else if (outcome.at.getTime() - failingSince.getTime() >= DISABLE_AFTER_MS) disable ??= 'failing';
  }
  const probeMs = failures >= FAILURES_UNTIL_PROBING ? probePauseMs(failures - FAILURES_UNTIL_PROBING, random) : null;
  const restMs = probeMs === null && retryAfterMs === null ? null : Math.max(probeMs ?? 0, retryAfterMs ?? 0);
  return { failures, failingSince, restMs, isRecovered: isRecovered && failures === 0, disable };
}
