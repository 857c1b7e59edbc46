import { expect, test } from '@jest/globals';
import { tokenPricesOf } from '../../domain/money/token-cost.ts';

test('prices of MODELS are nano-dollars for a million tokens; cached input without a price costs as other input', () => {
  const models = {
    whole: { priceUsdPerMillion: { input: '3', output: '15.5', cacheRead: '0.30', cacheWrite: '0.000000001' } },
    short: { priceUsdPerMillion: { input: '2' } },
    unpriced: {},
  };
  expect(tokenPricesOf(models)).toEqual([
    { model: 'whole', input: 3_000_000_000n, output: 15_500_000_000n, cacheRead: 300_000_000n, cacheWrite: 1n },
    { model: 'short', input: 2_000_000_000n, output: 0n, cacheRead: 2_000_000_000n, cacheWrite: 2_000_000_000n },
  ]);
});
