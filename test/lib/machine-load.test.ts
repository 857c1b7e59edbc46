import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { observeMachineLoad, parseRunningThreads } from '../../lib/machine-load.ts';
import type { MachineLoad } from '../../lib/machine-load.ts';

let load: MachineLoad;
let now: number;
let perCore: number;

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['performance'] });
  now = 0;
  perCore = 1;
  load = observeMachineLoad({ monotonicMs: () => now, readLoad: () => perCore });
  // What the machine that runs the test did before is forgotten.
  pass(120_000);
});

afterEach(() => {
  load.stop();
  jest.useRealTimers();
});

/** Time in which the timers of the process are on time. */
function pass(ms: number): void {
  for (let passed = 0; passed < ms; passed += 500) {
    now += 500;
    jest.advanceTimersByTime(500);
  }
}

test('a machine on which some threads wait is not starved, nor is one with a short burst of many', () => {
  perCore = 3.9;
  pass(60_000);
  expect(load.isStarved()).toBe(false);
  perCore = 1;
  pass(60_000);
  perCore = 10;
  pass(2_000);
  expect(load.isStarved()).toBe(false);
});

test('a machine with ten running threads per core is starved within ten seconds, and no more soon after that is over', () => {
  perCore = 10;
  pass(10_000);
  expect(load.isStarved()).toBe(true);
  perCore = 1;
  pass(20_000);
  expect(load.isStarved()).toBe(false);
});

test('a process whose own timers are a second late is starved, also before the late one fires, for ten seconds', () => {
  now += 1_499;
  expect(load.isStarved()).toBe(false);
  now += 1;
  expect(load.isStarved()).toBe(true);
  jest.advanceTimersByTime(500);
  pass(9_000);
  expect(load.isStarved()).toBe(true);
  pass(1_000);
  expect(load.isStarved()).toBe(false);
});

test('the running threads are read without the one that reads; a system that counts none says nothing', () => {
  expect(parseRunningThreads('20.02 15.10 9.99 21/512 4711\n')).toBe(20);
  expect(parseRunningThreads('0.00 0.00 0.00 1/140 4711\n')).toBe(0);
  expect(parseRunningThreads('0.00 0.00 0.00 0/0 0\n')).toBeNull();
  expect(parseRunningThreads('')).toBeNull();
});
