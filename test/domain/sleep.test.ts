import { expect, test } from '@jest/globals';
import { expectedWakeMs, wakeTime } from '../../domain/sleep.ts';

const NOON = new Date('2026-01-01T12:00:00Z');
const before = (ms: number): Date => new Date(NOON.getTime() - ms);

test('a sleeper wakes before its next job by its measured wake, and by the least time where that is longer', () => {
  const pace = { leastLeadMs: 20_000 };
  expect(wakeTime({ nextJobAt: null, wakeMs: 1 }, pace)).toBeNull();
  expect(wakeTime({ nextJobAt: NOON, wakeMs: null }, pace)).toEqual(before(20_000));
  expect(wakeTime({ nextJobAt: NOON, wakeMs: 3_000 }, pace)).toEqual(before(20_000));
  expect(wakeTime({ nextJobAt: NOON, wakeMs: 40_000 }, pace)).toEqual(before(45_000));
});

test('a long wake is expected again at once, a short one lowers what is expected by a quarter, and no wait for room counts as hours', () => {
  expect(expectedWakeMs(null, 14_000)).toBe(14_000);
  expect(expectedWakeMs(14_000, 30_000)).toBe(30_000);
  expect(expectedWakeMs(30_000, 10_000)).toBe(22_500);
  expect(expectedWakeMs(null, 7_200_000)).toBe(300_000);
  expect(expectedWakeMs(null, -5)).toBe(0);
});
