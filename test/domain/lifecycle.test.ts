import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  afterDeath,
  decidePower,
  holdsMessages,
  isAsleep,
  MAX_FAILED_STARTS,
  nextStep,
  startAfterFailures,
  takesMessages,
} from '../../domain/lifecycle.ts';
import type { PowerAction } from '../../domain/lifecycle.ts';
import type { Happening, Lifecycle } from '../../domain/happenings.ts';
import { next } from '../../domain/next-lifecycle.ts';

const NOW = new Date('2026-01-01T12:00:00Z');

const NEW: Lifecycle = {
  desiredStatus: 'running',
  status: 'provisioning',
  powerGeneration: 1,
  errorGeneration: null,
  contentGeneration: 0,
  appliedContentGeneration: 0,
  restartGeneration: 0,
  appliedRestartGeneration: 0,
  transitionKind: 'starting',
  transitionStartedAt: NOW,
  transitionAttempt: 0,
  transitionStep: null,
  reasonCode: null,
  reasonMessage: null,
  reasonAt: null,
  reasonRetryable: null,
  epoch: 0,
  bootId: null,
  gatewayEpoch: null,
  killFirst: false,
  startNotBefore: null,
  restartNotBefore: null,
  queuedAt: null,
  deaths: [],
  failedStarts: [],
  breakdowns: [],
  giveUpFor: null,
  deletedAt: null,
  startedAt: null,
  stoppedAt: null,
  sleepState: 'awake',
  sleepSince: null,
  wakesAt: null,
  wakeMs: null,
  suspendedAt: null,
  moveNode: null,
  moveRuntimeId: null,
};

const actions = fc.constantFrom<PowerAction>('start', 'stop', 'destroy');
const generations = fc.nat({ max: 3 });
const anyHappening = fc.oneof<fc.Arbitrary<Happening>[]>(
  fc.record({ kind: fc.constant('power-asked'), action: actions }),
  fc.constantFrom<Happening>(
    { kind: 'look-asked' },
    { kind: 'restart-asked' },
    { kind: 'content-asked' },
    { kind: 'content-drifted' },
    { kind: 'queued' },
    { kind: 'slot-taken' },
    { kind: 'stopped' },
    { kind: 'move-asked', nodeId: 2, runtimeId: 'run_2' },
    { kind: 'vacated' },
    { kind: 'moved' },
    { kind: 'move-given-up' },
    { kind: 'fell-asleep', wakesAt: null },
    { kind: 'fell-asleep', wakesAt: NOW },
    { kind: 'gateway-asleep' },
    { kind: 'gateway-suspended' },
    { kind: 'suspension-ended' },
    { kind: 'woken' },
    { kind: 'wake-postponed', wakesAt: NOW },
    { kind: 'destroyed' },
    { kind: 'found-lost' },
    { kind: 'calmed' },
    { kind: 'local-stop' },
    { kind: 'step-moved', doing: 'starting_gateway' },
    { kind: 'noted', note: 'file_refused' },
    { kind: 'change-failed', failure: 'agents_not_live' },
    { kind: 'given-up', failure: 'gateway_died' },
    { kind: 'broke-down', failure: 'gateway_broken' },
    { kind: 'broke-down', failure: 'gateway_damaged' },
  ),
  fc.record({
    kind: fc.constant('step-begun'),
    step: fc.constantFrom('start', 'stop', 'destroy', 'restart', 'apply', 'sleep', 'vacate', 'move'),
    fence: generations,
  }),
  fc.record({ kind: fc.constant('published'), bootId: fc.constantFrom('b1', 'b2'), contentGeneration: generations }),
  fc.record({ kind: fc.constantFrom('content-applied', 'content-given-up'), contentGeneration: generations }),
  fc.record({ kind: fc.constant('released'), killFirst: fc.boolean() }),
  fc.record({ kind: fc.constant('gateway-gone'), restartGeneration: generations }),
  fc.record({
    kind: fc.constant('died'),
    endedAt: fc.constantFrom(null, NOW),
    killFirst: fc.boolean(),
    isDisruption: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('start-failed'), failure: fc.constant('gateway_died'), fence: generations }),
  fc.record({ kind: fc.constant('tombstone-raised'), fence: generations }),
);
const rows = fc
  .array(anyHappening, { maxLength: 20 })
  .map((happenings) => happenings.reduce((row, happening) => next(row, happening, NOW), NEW));

const call = (row: Lifecycle, action: PowerAction): Lifecycle => next(row, { kind: 'power-asked', action }, NOW);
const stepOf = (row: Lifecycle, hasOpenInterval = false, hasWaitingTurn = false) =>
  nextStep({ ...row, hasOpenInterval, hasWaitingTurn, isGone: row.deletedAt !== null });

/** The row once the next step is done. */
function work(row: Lifecycle): Lifecycle {
  const step = stepOf(row, row.bootId !== null);
  const done: Record<typeof step, readonly Happening[]> = {
    none: [],
    wake: [{ kind: 'woken' }],
    sleep: [{ kind: 'gateway-asleep' }],
    destroy: [{ kind: 'destroyed' }],
    stop: [{ kind: 'stopped' }],
    restart: [
      { kind: 'released', killFirst: true },
      { kind: 'gateway-gone', restartGeneration: row.restartGeneration },
    ],
    apply: [{ kind: 'content-applied', contentGeneration: row.contentGeneration }],
    vacate: [{ kind: 'released', killFirst: true }, { kind: 'vacated' }],
    move: [{ kind: 'moved' }],
    start: [{ kind: 'published', bootId: 'b1', contentGeneration: row.contentGeneration }],
  };
  const begun = step === 'none' || step === 'wake' ? row : next(row, { kind: 'step-begun', step, fence: 0 }, NOW);
  return done[step].reduce((last, happening) => next(last, happening, NOW), begun);
}

test('whatever happens, no counter goes back, and what a row says fits together', () => {
  fc.assert(
    fc.property(rows, anyHappening, (row, happening) => {
      const after = next(row, happening, NOW);
      const counters = [
        'epoch',
        'powerGeneration',
        'contentGeneration',
        'restartGeneration',
        'appliedRestartGeneration',
      ] as const;
      expect(counters.filter((counter) => after[counter] < row[counter])).toEqual([]);
      expect([after.reasonCode === null, after.reasonCode === null]).toEqual([
        after.reasonMessage === null,
        after.reasonAt === null,
      ]);
      expect(after.transitionKind !== null && after.transitionStartedAt === null).toBe(false);
      expect(after.failedStarts.length).toBeLessThanOrEqual(MAX_FAILED_STARTS);
      // A sleeper holds no gateway that takes messages, and only a sleeper has a time to wake at.
      expect(isAsleep(after) && after.bootId !== null && !isAsleep(row)).toBe(false);
      expect(after.wakesAt !== null && after.sleepState !== 'asleep').toBe(false);
      // Only the gateway of a sleeper, or of one that wakes, is suspended, and it has the tokens that it was started with.
      expect(after.suspendedAt !== null && (after.sleepState === 'awake' || after.gatewayEpoch === 0)).toBe(false);
      expect(holdsMessages(after) && takesMessages(after)).toBe(false);
      // What is wanted is changed by a call only.
      expect(after.desiredStatus === row.desiredStatus || happening.kind === 'power-asked').toBe(true);
    }),
  );
});

test('of any calls the last start or stop wins, and a delete wins over all of them', () => {
  const calls = fc.array(actions, { maxLength: 20 });
  fc.assert(
    fc.property(calls, fc.array(fc.boolean()), (order, worked) => {
      const end = order.reduce((row, action, index) => (worked[index] ? work(call(row, action)) : call(row, action)), NEW);
      const last = order.at(-1);
      const wanted = order.includes('destroy') ? 'destroyed' : last === 'stop' ? 'stopped' : 'running';
      expect(end.desiredStatus).toBe(wanted);
    }),
  );
});

test('a call that changes nothing makes no new generation, and whatever changes something does', () => {
  fc.assert(
    fc.property(rows, actions, (row, action) => {
      const after = call(row, action);
      expect(after.powerGeneration > row.powerGeneration).toBe(decidePower(row, action).kind === 'changed');
      expect(call(after, action)).toEqual(after);
    }),
  );
});

test('a start or stop of an instance that is being deleted is refused', () => {
  const row = call(NEW, 'destroy');
  expect(decidePower(row, 'start')).toEqual({ kind: 'refused' });
  expect(decidePower(row, 'stop')).toEqual({ kind: 'refused' });
});

test('a start from error is a retry, and an error that nobody asked about again stays', () => {
  const failed: Lifecycle = { ...NEW, status: 'error', errorGeneration: 1 };
  expect(stepOf(failed)).toBe('none');
  expect(stepOf(call(failed, 'start'))).toBe('start');
  expect(stepOf(call(failed, 'stop'))).toBe('stop');
});

test('five deaths in ten minutes are too many, and the pauses before them grow', () => {
  const now = new Date('2026-01-01T12:00:00Z');
  const minutesAgo = (minutes: number) => new Date(now.getTime() - minutes * 60_000);
  expect(
    [1, 2, 3, 4].map(
      (count) =>
        afterDeath(
          Array.from({ length: count }, () => now),
          now,
        ).pauseMs,
    ),
  ).toEqual([0, 1_000, 2_000, 4_000]);
  expect(afterDeath([4, 3, 2, 1, 0].map(minutesAgo), now).giveUp).toBe(true);
  expect(afterDeath([11, 3, 2, 1, 0].map(minutesAgo), now)).toMatchObject({
    giveUp: false,
    recent: [3, 2, 1, 0].map(minutesAgo),
  });
});

test('a start after five that failed within six hours is given a pause, which each five more double, up to half an hour', () => {
  const now = new Date('2026-01-01T12:00:00Z');
  const failed = (count: number, secondsAgo = 0) =>
    Array.from({ length: count }, () => new Date(now.getTime() - secondsAgo * 1_000));
  const pauseOf = (failedStarts: Date[]) => {
    const notBefore = startAfterFailures(failedStarts, now);
    return notBefore && (notBefore.getTime() - now.getTime()) / 1_000;
  };
  expect([0, 4, 5, 9, 10, 15, 40, 45, MAX_FAILED_STARTS].map((count) => pauseOf(failed(count)))).toEqual([
    null,
    null,
    10,
    10,
    20,
    40,
    1_280,
    1_800,
    1_800,
  ]);
  // It begins with the last one.
  expect(pauseOf([...failed(4, 3_600), ...failed(1, 7)])).toBe(3);
  expect(pauseOf(failed(5, 10))).toBeNull();
  expect(pauseOf([...failed(4, 6 * 3_600), ...failed(4)])).toBeNull();
});

const RUNNING = next(NEW, { kind: 'published', bootId: 'b1', contentGeneration: 0 }, NOW);
const ASLEEP = next(RUNNING, { kind: 'fell-asleep', wakesAt: null }, NOW);
const later = (ms: number): Date => new Date(NOW.getTime() + ms);

test('a sleeper is stopped and wanted, its gateway ends, and then nothing is left to do', () => {
  expect(ASLEEP).toMatchObject({ status: 'stopped', desiredStatus: 'running', bootId: null, transitionKind: null });
  expect(stepOf(ASLEEP)).toBe('sleep');
  expect(stepOf(work(ASLEEP))).toBe('none');
  expect(stepOf(next(work(ASLEEP), { kind: 'content-asked' }, NOW))).toBe('none');
});

test('a sleeper wakes once, by a message that waits for it or by a start, and says how long that took', () => {
  for (const sleeper of [ASLEEP, work(ASLEEP)]) {
    expect(stepOf(sleeper, false, true)).toBe('wake');
    const woken = next(sleeper, { kind: 'woken' }, NOW);
    expect(woken).toMatchObject({ status: 'provisioning', transitionKind: 'starting', sleepState: 'waking' });
    expect(call(sleeper, 'start')).toEqual(woken);
    expect(next(woken, { kind: 'woken' }, NOW)).toEqual(woken);
    expect(call(woken, 'start')).toEqual(woken);
    expect(stepOf(woken)).toBe('start');
    const awake = next(woken, { kind: 'published', bootId: 'b2', contentGeneration: 0 }, later(7_000));
    expect(awake).toMatchObject({ status: 'running', sleepState: 'awake', sleepSince: later(7_000), wakeMs: 7_000 });
  }
});

test('a stop ends a sleep, also while it begins and while the instance wakes, and leaves no gateway', () => {
  for (const row of [ASLEEP, work(ASLEEP), next(ASLEEP, { kind: 'woken' }, NOW)]) {
    const stopping = call(row, 'stop');
    expect(stepOf(stopping)).toBe('stop');
    expect(work(stopping)).toMatchObject({ status: 'stopped', sleepState: 'awake', wakesAt: null });
    expect(stepOf(work(stopping))).toBe('none');
    expect(stepOf(next(stopping, { kind: 'woken' }, NOW))).toBe('stop');
    expect(stepOf(call(row, 'destroy'))).toBe('destroy');
  }
});

test('a stop of the machine leaves a sleeper asleep', () => {
  for (const before of [work(ASLEEP), next(ASLEEP, { kind: 'gateway-suspended' }, NOW)])
    expect(next(before, { kind: 'local-stop' }, NOW)).toEqual({ ...before, epoch: before.epoch + 1 });
});

const SUSPENDED = next({ ...ASLEEP, gatewayEpoch: 3 }, { kind: 'gateway-suspended' }, NOW);

test('a sleeper whose gateway is suspended is at rest, keeps its tokens, and wakes like every other', () => {
  expect(SUSPENDED).toMatchObject({ status: 'stopped', suspendedAt: NOW, gatewayEpoch: 3, killFirst: false });
  expect(stepOf(SUSPENDED)).toBe('none');
  expect(stepOf(SUSPENDED, false, true)).toBe('wake');
  const woken = next(SUSPENDED, { kind: 'woken' }, NOW);
  expect(stepOf(woken)).toBe('start');
  expect(next(woken, { kind: 'published', bootId: 'b1', contentGeneration: 0 }, later(700))).toMatchObject({
    status: 'running',
    suspendedAt: null,
    gatewayEpoch: 3,
    // The next one may take a start, of which this says nothing.
    wakeMs: null,
  });
});

test('a suspended gateway that is to end, or has ended, is ended by the next step, and nothing counts as its death', () => {
  const ending = next(SUSPENDED, { kind: 'suspension-ended' }, NOW);
  expect(ending).toMatchObject({ suspendedAt: null, killFirst: true, deaths: [] });
  expect(stepOf(ending)).toBe('sleep');
  expect(work(ending)).toMatchObject({ sleepState: 'asleep', gatewayEpoch: 0, killFirst: false });
  expect(next(ASLEEP, { kind: 'suspension-ended' }, NOW)).toEqual(ASLEEP);
  for (const action of ['stop', 'destroy'] as const)
    expect(work(call(SUSPENDED, action))).toMatchObject({ suspendedAt: null, gatewayEpoch: 0 });
});

test('what needs a new process is remembered while the gateway of a sleeper is suspended, and while it is resumed', () => {
  const waking = next(SUSPENDED, { kind: 'woken' }, NOW);
  for (const row of [SUSPENDED, waking])
    expect(next(row, { kind: 'restart-asked' }, NOW)).toEqual({ ...row, restartGeneration: row.restartGeneration + 1 });
  const resumed = next(
    next(waking, { kind: 'restart-asked' }, NOW),
    { kind: 'published', bootId: 'b1', contentGeneration: 0 },
    NOW,
  );
  expect(stepOf(resumed, true)).toBe('restart');
});

test('a gateway that ends because its machine is drained starts again at once, and that is no death', () => {
  const running = work(next(NEW, { kind: 'slot-taken' }, NOW));
  const after = next(running, { kind: 'died', endedAt: NOW, killFirst: false, isDisruption: true }, NOW);
  expect(after).toMatchObject({
    status: 'provisioning',
    transitionKind: 'recovering',
    bootId: null,
    deaths: [],
    failedStarts: [],
  });
  expect([stepOf(after), after.startNotBefore]).toEqual(['start', null]);
  expect(next(running, { kind: 'died', endedAt: NOW, killFirst: false }, NOW)).toMatchObject({
    deaths: [NOW],
    failedStarts: [NOW],
  });
});
