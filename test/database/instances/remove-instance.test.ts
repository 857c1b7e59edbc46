import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { recordEvent } from '../../../database/events/record-event.ts';
import { removeInstanceData } from '../../../database/instances/lifecycle/remove-instance.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { startApi } from '../../api/api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../../api/api-under-test.ts';
import { newAgent, newInstance } from '../../api/rows.ts';

let api: ApiUnderTest;
let account: AccountClient;

beforeAll(async () => {
  api = await startApi({ env: { WEBHOOK_ALLOW_PRIVATE: 'true' } });
  account = await api.newAccount();
});
afterAll(() => api.close());

async function subscribe(scope: object): Promise<string> {
  return (await account.ok('POST', '/webhooks', { url: 'http://127.0.0.1:9/hook', events: ['*'], ...scope })).webhookId;
}

async function happens(instanceId: string, agentId: string): Promise<void> {
  const id = api.deps.makeId('evt');
  await runTransaction(api.orm.em, (em) =>
    recordEvent(em, {
      ...{ id, accountId: account.accountId, instanceId, agentId, type: 'agent.message', agentSlug: 'bot', agentName: 'Bot' },
      ...{ source: 'agent', messageId: null, content: 'hello', jobName: null, error: null, createdAt: new Date() },
      occurrenceKey: id,
    }),
  );
}

const deliveriesOf = async (webhookId: string): Promise<object[]> =>
  (await account.ok('GET', `/webhooks/${webhookId}/deliveries`)).deliveries;

test('an instance takes the webhooks that were for it or its agents along; those of the account, and what they wait to send, stay', async () => {
  const [gone, kept] = [await newInstance(account, 'gone'), await newInstance(account, 'kept')];
  const [agent, other] = [await newAgent(account, gone), await newAgent(account, kept)];
  const ofInstance = await subscribe({ instanceId: gone });
  const ofAgent = await subscribe({ agentId: agent });
  const ofOther = await subscribe({ instanceId: kept });
  const ofAccount = await subscribe({});
  await happens(gone, agent);
  expect((await Promise.all([ofInstance, ofAgent, ofOther, ofAccount].map(deliveriesOf))).map(({ length }) => length)).toEqual([
    1, 1, 0, 1,
  ]);

  const signal = new AbortController().signal;
  for (let times = 0; times < 2; times += 1) await removeInstanceData(api.orm.em.fork(), gone, signal);

  const { webhooks } = await account.ok('GET', '/webhooks');
  expect(new Set(webhooks.map(({ webhookId }: { webhookId: string }) => webhookId))).toEqual(new Set([ofOther, ofAccount]));
  for (const webhookId of [ofInstance, ofAgent])
    expect(await account.call('GET', `/webhooks/${webhookId}`)).toMatchObject({ status: 404 });
  const secrets = await api.sql("select secret, previous_secret from webhooks where id = any (?) and secret <> ''", [
    `{${ofInstance},${ofAgent}}`,
  ]);
  expect(secrets).toEqual([]);
  expect(await deliveriesOf(ofAccount)).toMatchObject([{ status: 'pending', eventType: 'agent.message' }]);
  await happens(kept, other);
  expect(await deliveriesOf(ofAccount)).toHaveLength(2);
  expect(await deliveriesOf(ofOther)).toHaveLength(1);
});
