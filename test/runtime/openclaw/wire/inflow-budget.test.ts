import { expect, test } from '@jest/globals';
import { InflowBudget } from '../../../../runtime/openclaw/wire/inflow-budget.ts';

const LIMITS = { bytesPerSecond: 1_000_000, framesPerSecond: 1_000, behindMs: 10_000 };

/** Takes so many frames of this size in at one moment. */
function takeAll(budget: InflowBudget, frames: number, bytes: number, nowMs: number) {
  let last = { pauseMs: 0, isFlood: false };
  for (let frame = 0; frame < frames; frame += 1) last = budget.take(bytes, nowMs);
  return last;
}

test.each([
  ['frames', 1, 2_000],
  ['bytes', 100_000, 20],
])('two seconds of %s come at once without a pause, and no more', (_, bytes, frames) => {
  const budget = new InflowBudget(LIMITS);
  expect(takeAll(budget, frames, bytes, 5_000)).toEqual({ pauseMs: 0, isFlood: false });
  expect(budget.take(bytes, 5_000).pauseMs).toBeGreaterThan(0);
});

test('a frame that is larger than the allowance makes a pause for as long as its bytes may take', () => {
  const budget = new InflowBudget(LIMITS);
  expect(budget.take(4_000_000, 5_000).pauseMs).toBeGreaterThanOrEqual(2_000);
});

test('a connection that reads on after each pause stays within the rate', () => {
  const budget = new InflowBudget({ ...LIMITS, behindMs: Infinity });
  let frames = 0;
  for (let nowMs = 0; nowMs < 60_000; frames += 1) nowMs += budget.take(1, nowMs).pauseMs;
  expect(frames).toBeLessThanOrEqual(62_000);
});

test('one that is behind for as long as it may be is flooded, and one that rests in between is not', () => {
  const flooded = new InflowBudget(LIMITS);
  let nowMs = 0;
  for (let taken = flooded.take(1, nowMs); !taken.isFlood; taken = flooded.take(1, nowMs)) nowMs += taken.pauseMs;
  expect(nowMs).toBeGreaterThanOrEqual(10_000);
  expect(nowMs).toBeLessThan(13_000);

  const lively = new InflowBudget(LIMITS);
  for (let second = 0; second < 60; second += 3)
    expect(takeAll(lively, 2_500, 1, second * 1_000)).toMatchObject({ isFlood: false });
});
