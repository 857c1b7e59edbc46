import { describe, expect, test } from '@jest/globals';
import { afterBreakdown, GATEWAY_RUNS_AT_ONCE, judgeGateway } from '../../domain/gateway-verdict.ts';
import type { GatewayVerdict, RefusalEvidence, RefusalSign } from '../../domain/gateway-verdict.ts';

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;

/** Refused so often, over so long, in its only conversation. */
function seen(sign: RefusalSign, times: number, seconds: number, changes: Partial<RefusalEvidence> = {}): RefusalEvidence {
  return {
    ...{ sign, times, spanMs: seconds * SECOND_MS, timesHere: times, conversations: 1 },
    ...{ othersAnswered: false, othersInFlight: 0, ...changes },
  };
}

test.each<[RefusalSign, number, number]>([
  ['cleanup_failed', 1, 0],
  ['unsettled', 3, 20],
  ['unknown', 3, 20],
  ['tools_closed', 3, 20],
  ['flooding', 3, 20],
  ['not_ready', 3, 60],
  ['draining', 3, 120],
  ['preparing', 3, 120],
  ['not_begun', 3, 120],
])('%s: a process is broken from the %dth time on, when that lasted %d s', (sign, times, seconds) => {
  expect(judgeGateway(seen(sign, times, seconds))).toBe('restart');
  expect(times === 1 ? 'wait' : judgeGateway(seen(sign, times - 1, seconds))).toBe('wait');
  expect(seconds === 0 ? 'wait' : judgeGateway(seen(sign, times, seconds - 0.001))).toBe('wait');
});

describe('one conversation of several', () => {
  const answered = { othersAnswered: true };
  test.each<[string, RefusalEvidence, GatewayVerdict]>([
    ['is given up at its sixth refusal while others are answered', seen('unsettled', 6, 30, answered), 'end_turn'],
    ['is tried on before that', seen('unsettled', 5, 119, answered), 'wait'],
    ['is given up after two minutes however often it was tried', seen('unsettled', 3, 120, answered), 'end_turn'],
    ['waits for turns that run to show which it is', seen('unsettled', 3, 119, { othersInFlight: 1 }), 'wait'],
    ['is given up when they run on', seen('unsettled', 3, 120, { othersInFlight: 1 }), 'end_turn'],
    ['is not alone any more once another one is refused', seen('unsettled', 3, 20, { ...answered, conversations: 2 }), 'restart'],
    ['stuck in its start is given up, though it is the only one', seen('start_changed', 3, 120), 'end_turn'],
    ['stuck in its start waits two minutes', seen('start_changed', 9, 119), 'wait'],
    ['stuck like another one is the process', seen('start_changed', 3, 120, { conversations: 2 }), 'restart'],
  ])('%s', (_, evidence, verdict) => {
    expect(judgeGateway(evidence)).toBe(verdict);
  });

  test.each<RefusalSign>(['cleanup_failed', 'not_ready', 'tools_closed', 'flooding'])(
    '%s is about the process, whatever others do',
    (sign) => {
      expect(judgeGateway(seen(sign, 3, 60, { othersAnswered: true, othersInFlight: 5 }))).toBe('restart');
    },
  );
});

test('a turn that is not begun waits for as long as the gateway runs as many as it can', () => {
  const full = { othersInFlight: GATEWAY_RUNS_AT_ONCE };
  expect(judgeGateway(seen('not_begun', 100, 3_600, full))).toBe('wait');
  expect(judgeGateway(seen('not_begun', 100, 3_600, { othersInFlight: GATEWAY_RUNS_AT_ONCE - 1 }))).toBe('end_turn');
});

describe('restarts', () => {
  const now = new Date('2026-11-29T12:00:00Z');
  const before = (minutes: number): Date => new Date(now.getTime() - minutes * MINUTE_MS);

  test('the first one is made at once', () => {
    expect(afterBreakdown([now], now)).toEqual({ recent: [now], pauseMs: 0, giveUp: false });
  });

  test('the next one is two minutes later at the earliest', () => {
    expect(afterBreakdown([before(0.5), now], now)).toMatchObject({ pauseMs: 1.5 * MINUTE_MS, giveUp: false });
    expect(afterBreakdown([before(2), now], now)).toMatchObject({ pauseMs: 0, giveUp: false });
  });

  test('three are made in an hour, and no fourth', () => {
    expect(afterBreakdown([before(59), before(30), now], now).giveUp).toBe(false);
    expect(afterBreakdown([before(59), before(30), before(10), now], now).giveUp).toBe(true);
  });

  test('what is an hour old counts no more', () => {
    const { recent, giveUp } = afterBreakdown([before(60), before(30), before(10), now], now);
    expect(giveUp).toBe(false);
    expect(recent).toEqual([before(30), before(10), now]);
  });
});
