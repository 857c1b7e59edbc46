/** Where an instance stands between two uses. `waking`: it starts because it is used again. */
export type SleepState = 'awake' | 'asleep' | 'waking';

/** The least that a customer may give as `sleepAfterMs`. */
export const LEAST_SLEEP_AFTER_MS = 60_000;

/** How long a message waits for room on the machine before it is given back. */
export const WAKE_ROOM_MS = 60_000;

/** The pace of falling asleep and waking. */
export interface SleepPace {
  /** How often a worker looks for idle instances and for sleepers whose job is due. */
  everyMs: number;
  /** No instance falls asleep whose next job is nearer. */
  leastRestMs: number;
  /** A sleeper wakes at least so long before its next job. */
  leastLeadMs: number;
  /** One whose gateway is suspended wakes so much later than one that has to start. Less than a job may be late, in case that it starts. */
  suspendedLaterMs: number;
}

export const SLEEP_PACE: SleepPace = { everyMs: 2_000, leastRestMs: 120_000, leastLeadMs: 20_000, suspendedLaterMs: 12_000 };

/** How much later than the measured one a wake may be ready. */
const LEAD_MARGIN_MS = 5_000;
/** No longer wake is expected again: by then it waited for room, which says nothing of the next one. */
const LONGEST_WAKE_MS = 300_000;

/** What the next wake is expected to take after one that took so long: a short one lowers it by a quarter at most. */
export function expectedWakeMs(beforeMs: number | null, tookMs: number): number {
  const took = Math.min(Math.max(0, Math.round(tookMs)), LONGEST_WAKE_MS);
  return Math.max(took, Math.round((beforeMs ?? 0) * 0.75));
}

/** When a sleeper wakes for its next job; null when it has none. */
export function wakeTime(
  { nextJobAt, wakeMs }: { nextJobAt: Date | null; wakeMs: number | null },
  { leastLeadMs }: Pick<SleepPace, 'leastLeadMs'>,
): Date | null {
  if (nextJobAt === null) return null;
  const leadMs = wakeMs === null ? leastLeadMs : Math.max(leastLeadMs, wakeMs + LEAD_MARGIN_MS);
  return new Date(nextJobAt.getTime() - leadMs);
}
