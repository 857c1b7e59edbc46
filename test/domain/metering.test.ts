import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { chargeOf, debitSpans, hoursLeft, lowThreshold, shortage } from '../../domain/money/metering.ts';
import type { Price } from '../../domain/money/metering.ts';

const HOUR = 3_600_000;

const moment = fc.integer({ min: 0, max: 2_000 * HOUR });
const priceList = fc
  .uniqueArray(fc.record({ startsAt: moment, nanoUsdPerHour: fc.bigInt({ min: 0n, max: 5_000_000_000n }) }), {
    selector: ({ startsAt }) => startsAt,
    maxLength: 6,
  })
  .map((prices): Price[] => prices.toSorted((one, other) => one.startsAt - other.startsAt));

/** Adds up the price that holds at each millisecond between two neighbouring moments, in a way of its own. */
function naiveCost(prices: readonly Price[], from: number, to: number): bigint {
  const moments = [from, to, ...prices.map(({ startsAt }) => startsAt)]
    .filter((at) => at >= from && at <= to)
    .toSorted((a, b) => a - b);
  let sum = 0n;
  for (const [index, at] of moments.entries()) {
    const next = moments[index + 1] ?? at;
    const price = prices.filter(({ startsAt }) => startsAt <= at).at(-1)?.nanoUsdPerHour ?? 0n;
    sum += price * BigInt(next - at);
  }
  return sum / BigInt(HOUR);
}

describe('the meter', () => {
  test('charges an hour at 0.03 dollars exactly, and a millisecond rounded down', () => {
    const prices = [{ startsAt: 0, nanoUsdPerHour: 30_000_000n }];
    expect(chargeOf(prices, 0, { from: 0, to: HOUR })).toBe(30_000_000n);
    expect(chargeOf(prices, 0, { from: 0, to: 1 })).toBe(8n);
    // 8.33 each: every third one carries what was left over.
    expect([0, 1, 2].map((ms) => chargeOf(prices, 0, { from: ms, to: ms + 1 }))).toEqual([8n, 8n, 9n]);
  });

  test('adds up to the exact sum, rounded down once, wherever an interval is cut', () => {
    fc.assert(
      fc.property(priceList, moment, fc.array(moment, { minLength: 1, maxLength: 20 }), (prices, startedAt, cuts) => {
        const ends = cuts.filter((at) => at >= startedAt).toSorted((a, b) => a - b);
        let [from, sum] = [startedAt, 0n];
        for (const to of ends) {
          sum += chargeOf(prices, startedAt, { from, to });
          from = to;
        }
        expect(sum).toBe(naiveCost(prices, startedAt, from));
      }),
    );
  });

  test('cuts a span into lines without a gap, each in one hour and with one price', () => {
    fc.assert(
      fc.property(priceList, moment, fc.integer({ min: 0, max: 100 * HOUR }), (prices, from, length) => {
        const span = { from: Math.max(from, prices[0]?.startsAt ?? from), to: from + length };
        const lines = debitSpans(prices, span);
        const covered = lines.reduce((sum, line) => sum + line.to - line.from, 0);
        expect(covered).toBe(prices.length === 0 ? 0 : Math.max(0, span.to - span.from));
        for (const [index, line] of lines.entries()) {
          expect(line.from).toBe(lines[index - 1]?.to ?? span.from);
          expect(Math.floor(line.from / HOUR)).toBe(Math.floor((line.to - 1) / HOUR));
          const held = prices.filter(({ startsAt }) => startsAt <= line.from).at(-1);
          expect(line.nanoUsdPerHour).toBe(held?.nanoUsdPerHour);
          expect(prices.some(({ startsAt }) => startsAt > line.from && startsAt < line.to)).toBe(false);
        }
      }),
    );
  });

  test('says for how long the money lasts', () => {
    expect(hoursLeft(60_000_000n, 30_000_000n)).toBe(2);
    expect(hoursLeft(-1n, 30_000_000n)).toBe(0);
    expect(hoursLeft(1n, 0n)).toBeNull();
    expect([100, 72, 30, 24, 2, 1, 0].map(lowThreshold)).toEqual([null, 72, 72, 24, 24, 1, 1]);
  });

  test('never lets new money pay for what was used before it came', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ at: fc.integer({ min: 0, max: 50 }), nanoUsd: fc.bigInt({ min: 1n, max: 100n }) }), {
          maxLength: 8,
        }),
        fc.integer({ min: 0, max: 10 }),
        (credits, burn) => {
          // One unit of time after the other: what is used is paid from what is there, the rest is lost.
          let [balance, lost] = [0n, 0n];
          for (let at = 0; at <= 60; at += 1) {
            for (const credit of credits) if (credit.at === at) balance += credit.nanoUsd;
            const used = BigInt(at === 60 ? 0 : burn);
            lost += used > balance ? used - balance : 0n;
            balance = used > balance ? 0n : balance - used;
          }
          expect(shortage(credits, (at) => BigInt(Math.min(at, 60) * burn), 60)).toBe(lost);
        },
      ),
    );
  });
});
