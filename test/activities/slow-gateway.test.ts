import { expect, test } from '@jest/globals';
import { failedForSlowness, LONGEST_START_MS } from '../../activities/slow-gateway.ts';
import type { RuntimeState } from '../../runtime/driver.ts';
import {
  AgentsNotLiveError,
  GatewayConnectError,
  GatewayDiedError,
  GatewayRequestError,
  NO_ANSWER,
} from '../../runtime/gateway/gateway-errors.ts';

const NOW = new Date('2026-11-30T12:00:00Z');
const unreachable = new GatewayConnectError('it did not let us in', { retryable: true });
const unanswered = new GatewayRequestError({ code: NO_ANSWER, message: 'no answer', retryable: true });
const refused = new GatewayConnectError('a wrong token', { retryable: false });
const notLive = new AgentsNotLiveError('its agents are not there');

interface World {
  error: unknown;
  ageMs?: number;
  status?: RuntimeState['status'];
  isStarved?: boolean;
  /** CPU time that the gateway uses from one look to the next. */
  usesMs?: number;
  isFrozen?: boolean;
}

function isOnlySlow(world: World): Promise<boolean> {
  const { error, ageMs = 30_000, status = 'running', isStarved = false, usesMs = 0, isFrozen = false } = world;
  let cpuMs = 10_000;
  const deps = {
    driver: {
      inspect: async (runtimeId: string) => ({ runtimeId, status, startedAt: new Date(NOW.getTime() - ageMs) }),
      activityOf: async () => ({ cpuMs: (cpuMs += usesMs), isFrozen }),
    },
    load: { isStarved: () => isStarved },
    monotonicMs: () => performance.now(),
    clock: () => NOW,
  };
  return failedForSlowness(deps, { runtimeId: 'run_1', signal: new AbortController().signal }, error);
}

test.each([
  ['on a starved machine a gateway that does not let us in', { error: unreachable, isStarved: true }],
  ['on a starved machine one that does not answer a request', { error: unanswered, isStarved: true }],
  ['on a starved machine one that has not taken up its agents', { error: notLive, isStarved: true }],
  ['on a calm machine one that does not answer and works', { error: unanswered, usesMs: 2_000 }],
  [
    'one that was spawned just within the time that a start may take',
    { error: unreachable, isStarved: true, ageMs: LONGEST_START_MS - 1 },
  ],
])('only slow: %s', async (_which, world) => {
  expect(await isOnlySlow(world)).toBe(true);
});

test.each([
  ['a calm machine, and the gateway does nothing', { error: unreachable }],
  ['a calm machine, and a gateway that works has not taken up its agents', { error: notLive, usesMs: 2_000 }],
  ['a gateway that was stopped by a signal', { error: unreachable, isStarved: true, isFrozen: true }],
  ['a gateway that is gone', { error: unreachable, isStarved: true, status: 'exited' as const }],
  [
    'a gateway that was spawned as long ago as a start may take',
    { error: unreachable, isStarved: true, ageMs: LONGEST_START_MS },
  ],
  ['a refused token', { error: refused, isStarved: true }],
  ['a death', { error: new GatewayDiedError(null), isStarved: true }],
])('not slow: %s', async (_which, world) => {
  expect(await isOnlySlow(world)).toBe(false);
});
