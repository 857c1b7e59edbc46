import { describe, expect, test } from '@jest/globals';
import { retryAfterMs, retryPauseMs } from '../../domain/webhooks/retry-schedule.ts';
import { healthAfter } from '../../domain/webhooks/webhook-health.ts';
import type { AttemptOutcome, WebhookHealth } from '../../domain/webhooks/webhook-health.ts';

const NOW = new Date('2026-04-07T09:00:00.000Z');
const HOUR = 3_600_000;
const noJitter = (): number => 0;
const healthy: WebhookHealth = { failures: 0, failingSince: null };
const at = (
  hours: number,
  result: AttemptOutcome['result'],
  retryAfter: number | null = null,
  isProbe = false,
): AttemptOutcome => ({
  isProbe,
  result,
  at: new Date(NOW.getTime() + hours * HOUR),
  retryAfterMs: retryAfter,
});

describe('the retries of a delivery', () => {
  test('come after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h, and then no more', () => {
    const pauses = Array.from({ length: 10 }, (_, index) => retryPauseMs(index + 1, noJitter));
    expect(pauses).toEqual([5_000, 300_000, HOUR / 2, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR, null]);
    expect(retryPauseMs(1, () => 0.999)).toBeLessThanOrEqual(5_500);
  });

  test('wait for as long as the endpoint asks, at most a day', () => {
    expect(retryAfterMs('120', NOW)).toBe(120_000);
    expect(retryAfterMs('Tue, 07 Apr 2026 09:00:30 GMT', NOW)).toBe(30_000);
    for (const long of ['999999999', '9'.repeat(400)]) expect(retryAfterMs(long, NOW)).toBe(24 * HOUR);
    for (const nothing of [null, '', '0', '0.0', '-5', 'soon', 'Tue, 07 Apr 2020 09:00:30 GMT'])
      expect(retryAfterMs(nothing, NOW)).toBeNull();
  });

  test('read a fraction of seconds as seconds, rounded up, and never as a month of a year', () => {
    for (const [text, ms] of [
      ['32.5', 33_000],
      ['40.2', 41_000],
      ['2035.5', 2_036_000],
      ['0.2', 1_000],
    ] as const)
      expect([text, retryAfterMs(text, NOW)]).toEqual([text, ms]);
    for (const odd of ['2-3', '32/5', '49.12.1', '1e3', '60s', '+5', '5,5', '2030', '2030-01-01T00:00:00Z', 'May 2030'])
      expect([odd, retryAfterMs(odd, NOW)]).toEqual([odd, odd === '2030' ? 2_030_000 : null]);
  });

  test('read the three forms of a date in HTTP, all in UTC', () => {
    for (const date of ['Tue, 07 Apr 2026 09:00:30 GMT', 'Tuesday, 07-Apr-26 09:00:30 GMT', 'Tue Apr  7 09:00:30 2026'])
      expect([date, retryAfterMs(date, NOW)]).toEqual([date, 30_000]);
  });
});

describe('an endpoint', () => {
  test('is probed after ten failures in a row, first every 5 s, then more rarely, up to 5 min', () => {
    let health = healthAfter(
      healthy,
      Array.from({ length: 9 }, () => at(0, 'failed')),
      noJitter,
    );
    expect(health).toMatchObject({ failures: 9, restMs: null });
    health = healthAfter(
      health,
      Array.from({ length: 30 }, () => at(0, 'failed')),
      noJitter,
    );
    expect(health).toMatchObject({ failures: 10, restMs: 5_000 });
    const rests = Array.from({ length: 7 }, () => (health = healthAfter(health, [at(0, 'failed', null, true)], noJitter)).restMs);
    expect(rests).toEqual([10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
  });

  test('rests for as long as it asks', () => {
    expect(healthAfter(healthy, [at(0, 'failed', 90_000)], noJitter).restMs).toBe(90_000);
    expect(healthAfter({ failures: 30, failingSince: NOW }, [at(0, 'failed', 9_000, true)], noJitter).restMs).toBe(300_000);
  });

  test('is back after one success', () => {
    expect(healthAfter({ failures: 12, failingSince: NOW }, [at(1, 'succeeded')], noJitter)).toEqual({
      ...healthy,
      restMs: null,
      isRecovered: true,
      disable: null,
    });
    expect(healthAfter({ failures: 12, failingSince: NOW }, [at(1, 'succeeded'), at(1, 'failed')], noJitter)).toMatchObject({
      failures: 1,
      isRecovered: false,
    });
  });

  test('is disabled by a 410 at once, and by five days of failures without a success between', () => {
    expect(healthAfter(healthy, [at(0, 'gone'), at(0, 'succeeded')], noJitter).disable).toBe('gone');
    expect(healthAfter({ failures: 3, failingSince: NOW }, [at(119.9, 'failed')], noJitter).disable).toBeNull();
    expect(healthAfter({ failures: 3, failingSince: NOW }, [at(120, 'failed')], noJitter).disable).toBe('failing');
    expect(
      healthAfter({ failures: 3, failingSince: NOW }, [at(120, 'succeeded'), at(121, 'failed')], noJitter).disable,
    ).toBeNull();
  });
});
