import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ApiClient } from '../support/api-client.ts';
import { campaignRounds, createDice } from '../support/campaign.ts';
import type { Dice } from '../support/campaign.ts';
import { eventually, TEST_LIMIT_MS } from '../support/eventually.ts';
import { untilStatus } from '../support/patient-client.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { installScriptedOpenClaw } from '../support/stand-in-openclaw.ts';
import type { StandIn } from '../support/stand-in-openclaw.ts';

const ACTIONS = ['start', 'stop'] as const;

let openClaw: StandIn;
let stack: StackUnderTest;
let account: ApiClient;
beforeAll(async () => {
  openClaw = await installScriptedOpenClaw();
  stack = await startStack({ openClaw });
  account = await stack.newAccount();
});
afterAll(async () => {
  await stack?.close();
  await openClaw?.remove();
});

test(
  'starts, stops and deletes fired at once end as the last accepted one says',
  async () => {
    const dice = createDice('power sequences');
    for (let round = 1; round <= campaignRounds(); round += 1) {
      const { instanceId } = await account.ok('POST', '/instances', { name: `round ${round}` });
      const last = await fire(dice, instanceId);
      const deleted = dice.next() < 0.5;
      if (deleted) await deleteAmongStarts(instanceId);
      else await untilStatus(account, instanceId, last === 'start' ? 'running' : 'stopped');
      await account.ok('DELETE', `/instances/${instanceId}`).catch(() => undefined);
      await isGone(instanceId);
    }
  },
  TEST_LIMIT_MS * campaignRounds(),
);

test(
  'a worker that is killed at random moments of stop and start ends where it was to go',
  async () => {
    const dice = createDice('worker kills');
    const { instanceId } = await account.ok('POST', '/instances', { name: 'kills' });
    await untilStatus(account, instanceId, 'running');
    for (let round = 1; round <= campaignRounds(); round += 1) {
      await killWorkerDuring(instanceId, 'stop', dice.below(2_000));
      await killWorkerDuring(instanceId, 'start', dice.below(4_000));
    }
  },
  TEST_LIMIT_MS * campaignRounds(),
);

async function killWorkerDuring(instanceId: string, action: 'start' | 'stop', afterMs: number): Promise<void> {
  await account.ok('POST', `/instances/${instanceId}/${action}`);
  await sleep(afterMs);
  await stack.kill('worker');
  await stack.start('worker');
  await untilStatus(account, instanceId, action === 'start' ? 'running' : 'stopped');
  const running = (await stack.driver.list()).filter(({ status }) => status === 'running');
  expect(running).toHaveLength(action === 'start' ? 1 : 0);
}

/** Up to eight calls, whose work nobody waits for; each is accepted before the next, so that the last one is known. */
async function fire(dice: Dice, instanceId: string): Promise<string> {
  let last = 'start';
  for (let call = dice.below(8); call >= 0; call -= 1) {
    last = dice.pick(ACTIONS);
    expect(await account.call('POST', `/instances/${instanceId}/${last}`)).toMatchObject({ status: 200 });
    if (dice.next() < 0.3) await sleep(dice.below(4_000));
  }
  return last;
}

/** Whatever comes with a delete or after it: the delete is final. */
async function deleteAmongStarts(instanceId: string): Promise<void> {
  await Promise.all([account.call('DELETE', `/instances/${instanceId}`), account.call('POST', `/instances/${instanceId}/start`)]);
}

async function isGone(instanceId: string): Promise<void> {
  await eventually(async () => expect(await account.call('GET', `/instances/${instanceId}`)).toMatchObject({ status: 404 }));
  await eventually(async () => expect(await stack.driver.list()).toEqual([]));
}
