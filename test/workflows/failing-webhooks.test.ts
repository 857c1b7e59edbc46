import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { createEncryption } from '../../lib/crypto/encryption.ts';
import { signHex } from '../../lib/crypto/signing-secret.ts';
import { wakeDueWebhooks, wakeWebhook } from '../../database/webhooks/wake-webhooks.ts';
import { enableWebhook, queueDelivery } from '../../database/webhooks/webhooks.ts';
import { webhookWorkflowId } from '../../domain/temporal/workflow-ids.ts';
import { campaignRounds } from '../support/campaign.ts';
import { startDeliveries } from '../support/deliveries-under-test.ts';
import type { DeliveriesUnderTest } from '../support/deliveries-under-test.ts';
import { eventually } from '../support/eventually.ts';
import { answering, hanging } from '../support/webhook-receiver.ts';

/** Of a dead endpoint: the full number with ROUNDS=20 or more. */
const WAITING = campaignRounds() >= 20 ? 10_000 : 1_000;

let deliveries: DeliveriesUnderTest;
let webhooks: DeliveriesUnderTest['webhooks'];
let receiver: DeliveriesUnderTest['receiver'];
let endpoint: DeliveriesUnderTest['endpoint'];

beforeAll(async () => {
  deliveries = await startDeliveries();
  ({ webhooks, receiver, endpoint } = deliveries);
});
afterAll(() => deliveries.close());

/** As if the time had come for whatever waits. */
async function letTimePass(webhookId: string): Promise<void> {
  await webhooks.sql('update webhooks set not_before = null where id = ? returning id', [webhookId]);
  await webhooks.sql(
    `update webhook_deliveries set next_attempt_at = now() where webhook_id = ? and status = 'pending' returning id`,
    [webhookId],
  );
  await wakeWebhook(webhooks.orm.em.fork(), webhookId);
}

describe('a delivery', () => {
  test('is tried again on its schedule with the same bytes, and ends as failed after the last try', async () => {
    const { accountId, webhookId } = await endpoint('/always-500');
    receiver.behave('/always-500', answering(500));
    await webhooks.record(accountId, { content: 'again' });
    await eventually(async () =>
      expect(await webhooks.deliveriesOf(webhookId)).toMatchObject([{ attempts: 1, tries: 1, isDue: false }]),
    );
    await webhooks.sql('update webhook_deliveries set tries = 9 where webhook_id = ? returning id', [webhookId]);
    await letTimePass(webhookId);
    await eventually(async () =>
      expect(await webhooks.deliveriesOf(webhookId)).toMatchObject([{ status: 'failed', attempts: 2, tries: 10 }]),
    );
    const bodies = receiver.received.filter(({ path }) => path === '/always-500').map(({ body }) => body);
    expect(new Set(bodies).size).toBe(1);
    const attempts = await webhooks.sql(
      `select number, status_code, error, response from webhook_attempts
          where delivery_id = (select id from webhook_deliveries where webhook_id = ?) order by number`,
      [webhookId],
    );
    const attempt = { status_code: 500, error: 'The endpoint responded with status 500.', response: 'answer 500' };
    expect(attempts).toEqual([
      { number: 1, ...attempt },
      { number: 2, ...attempt },
    ]);
  });

  test('waits for as long as Retry-After asks, and so does the whole endpoint', async () => {
    const { accountId, webhookId } = await endpoint('/busy');
    receiver.behave('/busy', answering(429, { 'retry-after': '3600' }));
    await webhooks.record(accountId);
    await eventually(async () => expect(await webhooks.webhook(webhookId)).toMatchObject({ isResting: true, failures: 1 }));
    await webhooks.record(accountId);
    expect(await wakeDueWebhooks(webhooks.orm.em.fork())).toBe(0);
    receiver.behave('/busy', answering(200));
    await letTimePass(webhookId);
    await eventually(async () =>
      expect((await webhooks.deliveriesOf(webhookId)).map(({ status }) => status)).toEqual(['succeeded', 'succeeded']),
    );
    expect(receiver.received.filter(({ path }) => path === '/busy')).toHaveLength(3);
  });

  test('of a test goes once to a disabled webhook, and says nothing about its health', async () => {
    const { webhookId } = await endpoint('/test-only');
    receiver.behave('/test-only', answering(500));
    await webhooks.sql('update webhooks set enabled = false where id = ? returning id', [webhookId]);
    const [id, eventId] = [webhooks.makeId('dlv'), webhooks.makeId('evt')];
    await queueDelivery(webhooks.orm.em.fork(), {
      id,
      webhookId,
      eventId,
      eventType: 'webhook.test',
      body: '{}',
      isTest: true,
      now: new Date(),
    });
    await eventually(async () =>
      expect(await webhooks.deliveriesOf(webhookId)).toMatchObject([{ id, status: 'failed', attempts: 1 }]),
    );
    expect(await webhooks.webhook(webhookId)).toMatchObject({ failures: 0, enabled: false, disabledReason: null });
  });

  test('is signed with the new secret and the one before while that still counts', async () => {
    const { accountId, webhookId, secret: old } = await endpoint('/rotated');
    const encryption = createEncryption({
      masterKeys: [{ id: 'test', key: webhooks.options.masterKey }],
      randomBytes: (size) => Buffer.alloc(size, 9),
    });
    const secret = `whsec_${Buffer.alloc(32, 5).toString('base64')}`;
    await webhooks.sql(
      `update webhooks set previous_secret = secret, previous_secret_until = now() + interval '1 day', secret = ? where id = ? returning id`,
      [encryption.encrypt(secret, `webhooks/${webhookId}`), webhookId],
    );
    await webhooks.record(accountId);
    const got = await eventually(
      () => receiver.received.find(({ path }) => path === '/rotated') ?? Promise.reject(new Error('nothing came')),
    );
    const body = Buffer.from(got.body);
    expect(got.headers['x-thermidora-signature']).toBe(signHex(secret, body));
    expect(got.headers['x-thermidora-signature-previous']).toBe(signHex(old, body));
    const headers = Object.fromEntries(Object.entries(got.headers).map(([name, value]) => [name, String(value)]));
    for (const one of [secret, old]) expect(new StandardWebhook(one).verify(got.body, headers)).toBeDefined();
  });
});

describe('an endpoint', () => {
  test('that answers 410 is disabled at once, and says so in an event; enabling sends what waited', async () => {
    const { accountId, webhookId } = await endpoint('/gone');
    const { webhookId: notices } = await webhooks.newWebhook(accountId, `${receiver.url}/notices`, ['webhook.disabled']);
    receiver.behave('/gone', answering(410));
    await webhooks.record(accountId);
    await eventually(async () =>
      expect(await webhooks.webhook(webhookId)).toMatchObject({ enabled: false, disabledReason: 'gone' }),
    );
    const notice = await eventually(
      () => receiver.received.find(({ path }) => path === '/notices') ?? Promise.reject(new Error('nothing came')),
    );
    expect(JSON.parse(notice.body)).toMatchObject({
      eventType: 'webhook.disabled',
      instanceId: null,
      agentSlug: null,
      data: { webhookId, reason: 'gone' },
      seq: 2,
    });
    await webhooks.record(accountId);
    expect(await webhooks.deliveriesOf(webhookId)).toHaveLength(1);
    await eventually(async () =>
      expect((await webhooks.deliveriesOf(notices)).map(({ status }) => status)).toContain('succeeded'),
    );
    receiver.behave('/gone', answering(200));
    await webhooks.orm.em.fork().transactional((em) => enableWebhook(em, webhookId));
    await eventually(async () => expect(await webhooks.deliveriesOf(webhookId)).toMatchObject([{ status: 'succeeded' }]));
  });

  test('that only failed for five days is disabled, and one success starts the days anew', async () => {
    const { accountId, webhookId } = await endpoint('/days');
    receiver.behave('/days', answering(500));
    await webhooks.record(accountId);
    await eventually(async () => expect((await webhooks.webhook(webhookId)).failures).toBe(1));
    await webhooks.sql(`update webhooks set failing_since = now() - interval '6 days' where id = ? returning id`, [webhookId]);
    receiver.behave('/days', answering(200));
    await letTimePass(webhookId);
    await eventually(async () => expect(await webhooks.webhook(webhookId)).toMatchObject({ failures: 0, enabled: true }));
    receiver.behave('/days', answering(500));
    await webhooks.record(accountId);
    await eventually(async () => expect(await webhooks.webhook(webhookId)).toMatchObject({ failures: 1, enabled: true }));
    await webhooks.sql(`update webhooks set failing_since = now() - interval '6 days' where id = ? returning id`, [webhookId]);
    await letTimePass(webhookId);
    await eventually(async () =>
      expect(await webhooks.webhook(webhookId)).toMatchObject({ enabled: false, disabledReason: 'failing' }),
    );
  });

  test(`that is dead is one open run with a short history while ${WAITING} deliveries wait, and gets all of them when it is back`, async () => {
    const { accountId, webhookId } = await endpoint('/dead');
    receiver.behave('/dead', answering(500));
    const recorded = new Set<string>();
    for (let batch = 0; batch < WAITING / 50; batch += 1)
      for (const { eventId } of await Promise.all(Array.from({ length: 50 }, () => webhooks.record(accountId))))
        recorded.add(eventId);
    await eventually(async () => expect(await webhooks.webhook(webhookId)).toMatchObject({ isResting: true, enabled: true }));
    const { failures } = await webhooks.webhook(webhookId);
    expect(failures).toBeGreaterThanOrEqual(10);
    const tries = (await webhooks.deliveriesOf(webhookId)).reduce((sum, delivery) => sum + delivery.tries, 0);
    expect(tries).toBeLessThan(200);
    const { open, longest } = await webhooks.runsOf(webhookId);
    expect(open).toBeLessThanOrEqual(1);
    expect(longest).toBeLessThan(200);
    const handle = webhooks.client.workflow.getHandle(webhookWorkflowId(webhookId));
    const details = await eventually(async () => {
      const shown = String(await detailsOf(handle));
      expect(shown).toMatch(/^\d+ deliveries waited for wh_\w+ at \S+Z\. Next attempt at \S+Z after \d+ failed in a row\.$/);
      return shown;
    });
    process.stderr.write(`Web UI: ${webhookWorkflowId(webhookId)}, history ${longest} events, details: ${details}\n`);

    receiver.behave('/dead', answering(200));
    await eventually(() => expect(receiver.eventsAt('/dead').size).toBe(recorded.size));
    await eventually(async () => {
      const [left] = await webhooks.sql<{ count: number }>(
        `select count(*)::int as count from webhook_deliveries where webhook_id = ? and status <> 'succeeded'`,
        [webhookId],
      );
      expect(left?.count).toBe(0);
    });
    expect(receiver.eventsAt('/dead')).toEqual(recorded);
    expect(await webhooks.webhook(webhookId)).toMatchObject({ failures: 0, isResting: false });
  });

  test('that was forgotten is woken by the sweep', async () => {
    const { accountId, webhookId } = await endpoint('/forgotten');
    receiver.behave('/forgotten', hanging);
    await webhooks.sql(`update webhooks set drained_until = now() + interval '1 hour' where id = ? returning id`, [webhookId]);
    await webhooks.record(accountId);
    receiver.behave('/forgotten', answering(200));
    await webhooks.sql(`update webhooks set drained_until = null where id = ? returning id`, [webhookId]);
    expect(await wakeDueWebhooks(webhooks.orm.em.fork())).toBe(1);
    await eventually(async () => expect(await webhooks.deliveriesOf(webhookId)).toMatchObject([{ status: 'succeeded' }]));
  });
});

async function detailsOf(handle: { query(name: string): Promise<unknown> }): Promise<unknown> {
  const metadata = await handle.query('__temporal_workflow_metadata');
  return typeof metadata === 'object' && metadata !== null && 'currentDetails' in metadata ? metadata.currentDetails : metadata;
}
