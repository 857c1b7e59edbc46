import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ApiClient } from '../support/api-client.ts';
import { eventually } from '../support/eventually.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { installScriptedOpenClaw } from '../support/stand-in-openclaw.ts';
import type { StandIn } from '../support/stand-in-openclaw.ts';

/** What four seconds of a running instance cost, in US dollars and in nano-dollars. */
const FOUR_SECONDS = { limitUsd: '0.000034', nanoUsd: 34_000 };

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

const becomes = (instanceId: string, status: string) =>
  eventually(async () => expect(await account.ok('GET', `/instances/${instanceId}`)).toMatchObject({ status, transition: null }));

test('an instance whose running time a budget covers is stopped once the limit is reached, alone, and starts again when it is raised', async () => {
  const { instanceId: other } = await account.ok('POST', '/instances', { name: 'other' });
  const { instanceId } = await account.ok('POST', '/instances', { name: 'capped' });
  const budget = { name: 'four seconds', scope: { instanceId }, period: 'total', limitUsd: FOUR_SECONDS.limitUsd };
  const { budgetId } = await account.ok('POST', '/budgets', budget);

  await becomes(instanceId, 'stopped');
  const { spentNanoUsd } = await account.ok('GET', `/budgets/${budgetId}`);
  expect(Number(spentNanoUsd)).toBeGreaterThanOrEqual(FOUR_SECONDS.nanoUsd);
  const { events } = await account.ok('GET', '/events');
  expect(events.map(({ eventType }: { eventType: string }) => eventType)).toEqual(['budget.warning', 'budget.reached']);
  expect(events[1]).toMatchObject({ data: { budgetId, name: 'four seconds', key: null } });
  await becomes(other, 'running');

  const refused = await account.call('POST', `/instances/${instanceId}/start`);
  expect(refused).toMatchObject({ status: 402, body: { error: { code: 'payment_required', reason: 'budget_reached' } } });
  await account.ok('PATCH', `/budgets/${budgetId}`, { limitUsd: '1' });
  await account.ok('POST', `/instances/${instanceId}/start`);
  await becomes(instanceId, 'running');
});
