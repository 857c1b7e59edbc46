import type { Lifecycle } from './happenings.ts';
import { expectedWakeMs } from './sleep.ts';

/** It does not sleep. */
export const NO_SLEEP = { sleepState: 'awake', sleepSince: null, wakesAt: null } as const satisfies Partial<Lifecycle>;

/** It sleeps from now on: no gateway takes messages, and the one that there is is to be ended. */
export function asleepSince(now: Date, wakesAt: Date | null) {
  return {
    status: 'stopped',
    stoppedAt: now,
    bootId: null,
    // What changes from now on needs a new process.
    killFirst: true,
    sleepState: 'asleep',
    sleepSince: now,
    wakesAt,
  } satisfies Partial<Lifecycle>;
}

/** It wakes from now on. */
export function wakingSince(now: Date) {
  return { sleepState: 'waking', sleepSince: now, wakesAt: null } satisfies Partial<Lifecycle>;
}

/** Its gateway takes messages again, if it slept, and how long that took is measured. */
export function awakeSince(now: Date, { sleepState, sleepSince, wakeMs }: Lifecycle): Partial<Lifecycle> {
  if (sleepState === 'awake') return {};
  const awake = { sleepState: 'awake', sleepSince: now, wakesAt: null } as const;
  if (sleepState === 'asleep' || sleepSince === null) return awake;
  return { ...awake, wakeMs: expectedWakeMs(wakeMs, now.getTime() - sleepSince.getTime()) };
}
