import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { campaignRounds, createDice } from '../support/campaign.ts';
import { eventually } from '../support/eventually.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';

const LONG_MS = 120_000;
const ROUND_MS = 180_000;
const ACTIONS = ['start', 'stop'] as const;

let stack: StackUnderTest;
beforeAll(async () => {
  stack = await startStack();
}, LONG_MS);
afterAll(() => stack?.close(), LONG_MS);

test('starts, stops and deletes fired at once end as the last accepted one says', async () => {
  const dice = createDice('power sequences');
  const account = await stack.newAccount();
  for (let round = 1; round <= campaignRounds(); round += 1) {
    const { instanceId } = await account.ok('POST', '/instances', { name: `round ${round}` });
    let last = 'start';
    // One after the other, so that the order in which they were accepted is known, but without waiting for their work.
    for (let call = dice.below(8); call >= 0; call -= 1) {
      last = dice.pick(ACTIONS);
      expect(await account.call('POST', `/instances/${instanceId}/${last}`)).toMatchObject({ status: 200 });
      if (dice.next() < 0.3) await new Promise((resolve) => setTimeout(resolve, dice.below(4_000)));
    }
    const ends = dice.next() < 0.5;
    if (ends) {
      // Whatever comes with it or after it: a delete is final.
      const together = [account.call('DELETE', `/instances/${instanceId}`), account.call('POST', `/instances/${instanceId}/start`)];
      await Promise.all(together);
      await eventually(async () => expect(await account.call('GET', `/instances/${instanceId}`)).toMatchObject({ status: 404 }), 60_000);
    } else {
      const status = last === 'start' ? 'running' : 'stopped';
      await eventually(
        async () => expect(await account.ok('GET', `/instances/${instanceId}`)).toMatchObject({ status, transition: null }),
        60_000,
      );
      await account.ok('DELETE', `/instances/${instanceId}`);
      await eventually(async () => expect(await account.call('GET', `/instances/${instanceId}`)).toMatchObject({ status: 404 }), 60_000);
    }
    await eventually(async () => expect(await stack.driver.list()).toEqual([]), 30_000);
  }
}, ROUND_MS * campaignRounds());
