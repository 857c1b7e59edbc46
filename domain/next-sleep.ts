import type { Happening, Lifecycle } from './happenings.ts';
import { expectedWakeMs } from './sleep.ts';

/** It has no gateway: the tokens of no process count. */
export const NO_GATEWAY = {
  bootId: null,
  gatewayEpoch: 0,
  suspendedAt: null,
  killFirst: false,
  startNotBefore: null,
} as const satisfies Partial<Lifecycle>;

/** It does not sleep. */
export const NO_SLEEP = { sleepState: 'awake', sleepSince: null, wakesAt: null } as const satisfies Partial<Lifecycle>;

/** It sleeps from now on: no gateway takes messages, and the one that there is is to be suspended or ended. */
export function asleepSince(now: Date, wakesAt: Date | null) {
  return {
    status: 'stopped',
    stoppedAt: now,
    bootId: null,
    sleepState: 'asleep',
    sleepSince: now,
    wakesAt,
  } satisfies Partial<Lifecycle>;
}

/** It wakes from now on. */
export function wakingSince(now: Date) {
  return { sleepState: 'waking', sleepSince: now, wakesAt: null } satisfies Partial<Lifecycle>;
}

/** Its gateway takes messages again, if it slept, and how long a start took is measured. */
export function awakeSince(now: Date, { sleepState, sleepSince, suspendedAt, wakeMs }: Lifecycle): Partial<Lifecycle> {
  if (sleepState === 'awake') return {};
  const awake = { sleepState: 'awake', sleepSince: now, wakesAt: null, suspendedAt: null } as const;
  // The next wake may need a start, which takes longer than to resume what was suspended.
  if (sleepState === 'asleep' || sleepSince === null || suspendedAt !== null) return awake;
  return { ...awake, wakeMs: expectedWakeMs(wakeMs, now.getTime() - sleepSince.getTime()) };
}

type OfSleeper = 'gateway-asleep' | 'gateway-suspended' | 'suspension-ended' | 'wake-postponed';

/** What happens to a sleeper but that it wakes. */
export function sleeperChanged(
  { suspendedAt }: Lifecycle,
  happening: Extract<Happening, { kind: OfSleeper }>,
  now: Date,
): Partial<Lifecycle> {
  switch (happening.kind) {
    case 'gateway-asleep':
      return { ...NO_GATEWAY, transitionStep: null };
    case 'gateway-suspended':
      return { suspendedAt: now, transitionStep: null };
    case 'suspension-ended':
      return suspendedAt === null ? {} : { suspendedAt: null, killFirst: true };
    case 'wake-postponed':
      return { wakesAt: happening.wakesAt };
  }
}
