import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { afterDeath, converged, decidePower, MAX_FAILED_STARTS, nextStep, startAfterFailures } from '../../domain/lifecycle.ts';
import type { LifecycleRow, PowerAction } from '../../domain/lifecycle.ts';

const NEW: LifecycleRow = {
  desiredStatus: 'running',
  status: 'provisioning',
  powerGeneration: 1,
  errorGeneration: null,
  contentGeneration: 0,
  appliedContentGeneration: 0,
  restartGeneration: 0,
  appliedRestartGeneration: 0,
  bootId: null,
  hasOpenInterval: false,
  isGone: false,
};

/** What happens to an instance from outside. */
type Happening = PowerAction | 'content' | 'restart' | 'death' | 'failed-start' | 'step' | 'half-step';
const happenings = fc.array(
  fc.constantFrom<Happening>('start', 'stop', 'destroy', 'content', 'restart', 'death', 'failed-start', 'step', 'half-step'),
  { maxLength: 40 },
);

/** A call of the API, as changePower writes it. */
function call(row: LifecycleRow, action: PowerAction): LifecycleRow {
  const decision = decidePower(row, action);
  if (decision.kind !== 'changed') return row;
  const { desiredStatus, status } = decision;
  const hasOpenInterval = action === 'start' ? row.hasOpenInterval : false;
  return { ...row, desiredStatus, status, hasOpenInterval, powerGeneration: row.powerGeneration + 1 };
}

/** The row once the next step is done; `isHalf`: its worker died after the gateway was taken out of use. */
function work(row: LifecycleRow, isHalf = false): LifecycleRow {
  const released = { ...row, bootId: null, hasOpenInterval: false };
  switch (nextStep(row)) {
    case 'none':
      return row;
    case 'destroy':
      return isHalf ? row : { ...released, isGone: true };
    case 'stop':
      return isHalf ? released : { ...released, status: 'stopped' };
    case 'restart':
      return isHalf ? released : { ...released, appliedRestartGeneration: row.restartGeneration };
    case 'apply':
      return isHalf ? row : { ...row, appliedContentGeneration: row.contentGeneration };
    case 'start':
      return isHalf
        ? { ...released, status: 'provisioning' }
        : {
            ...row,
            status: 'running',
            bootId: 'boot',
            hasOpenInterval: true,
            appliedContentGeneration: row.contentGeneration,
            appliedRestartGeneration: row.restartGeneration,
          };
  }
}

function happen(row: LifecycleRow, what: Happening): LifecycleRow {
  switch (what) {
    case 'content':
      return { ...row, contentGeneration: row.contentGeneration + 1 };
    case 'restart':
      return { ...row, restartGeneration: row.restartGeneration + 1 };
    case 'death':
      return row.bootId === null ? row : { ...row, bootId: null, hasOpenInterval: false };
    case 'failed-start':
      return nextStep(row) === 'start'
        ? { ...row, status: 'error', errorGeneration: row.powerGeneration, bootId: null, hasOpenInterval: false }
        : row;
    case 'step':
    case 'half-step':
      return work(row, what === 'half-step');
    default:
      return call(row, what);
  }
}

function settle(row: LifecycleRow): LifecycleRow {
  let settled = row;
  // More than the longest way: a restart, its start, and content.
  for (let steps = 0; steps < 5 && !converged(settled); steps += 1) settled = work(settled);
  return settled;
}

/** How an instance that nothing is left to do for must look. */
function restOf({ desiredStatus, status, contentGeneration }: LifecycleRow): Partial<LifecycleRow> {
  if (desiredStatus === 'destroyed') return { isGone: true };
  if (status === 'error' || desiredStatus === 'stopped')
    return { status: status === 'error' ? 'error' : 'stopped', bootId: null, hasOpenInterval: false };
  return { status: 'running', bootId: 'boot', hasOpenInterval: true, appliedContentGeneration: contentGeneration };
}

test('whatever happens, and wherever a worker dies, the reconciler comes to rest where the instance is wanted', () => {
  fc.assert(
    fc.property(happenings, (order) => {
      const row = settle(order.reduce(happen, NEW));
      expect(converged(row)).toBe(true);
      expect(row).toMatchObject(restOf(row));
    }),
  );
});

test('of any calls the last start or stop wins, and a delete wins over all of them', () => {
  const calls = fc.array(fc.constantFrom<PowerAction>('start', 'stop', 'destroy'), { maxLength: 20 });
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
    fc.property(happenings, fc.constantFrom<PowerAction>('start', 'stop', 'destroy'), (order, action) => {
      const row = order.reduce(happen, NEW);
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
  const failed: LifecycleRow = { ...NEW, status: 'error', errorGeneration: 1 };
  expect(nextStep(failed)).toBe('none');
  expect(nextStep(call(failed, 'start'))).toBe('start');
  expect(nextStep(call(failed, 'stop'))).toBe('stop');
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
