import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { findAccountEvents } from '../../database/events/find-events.ts';
import { handOverDrain, holdDrain, releaseDrain } from '../../database/webhooks/drain-webhook.ts';
import { recordEvent } from '../../database/events/record-event.ts';
import {
  findAccountsWithOldEvents,
  removeDeletedWebhooks,
  removeOldDeliveries,
  removeOldEvents,
} from '../../database/retention/remove-old.ts';
import { newAgent, newInstance } from '../factories.ts';
import { startWebhooks } from '../support/webhooks-under-test.ts';
import type { WebhooksUnderTest } from '../support/webhooks-under-test.ts';

let webhooks: WebhooksUnderTest;
beforeAll(async () => {
  webhooks = await startWebhooks();
});
afterAll(() => webhooks.close());

const wakeUps = async (webhookId: string): Promise<number> =>
  (await webhooks.sql('select id from outbox where subject_id = ?', [webhookId])).length;

async function instanceWithAgent(accountId: string): Promise<{ instanceId: string; agentId: string }> {
  const { instanceId } = await newInstance(webhooks.orm, { account: accountId });
  return newAgent(webhooks.orm, { instance: instanceId, account: accountId });
}

describe('recordEvent', () => {
  test('queues an event for each enabled webhook that wants it, and for no other', async () => {
    const accountId = await webhooks.newAccount();
    const [mine, other] = [await instanceWithAgent(accountId), await instanceWithAgent(accountId)];
    const make = async (events: string[], change = 'enabled = true', values: unknown[] = []) => {
      const { webhookId } = await webhooks.newWebhook(accountId, 'https://8.8.8.8/', events);
      await webhooks.sql(`update webhooks set ${change} where id = ? returning id`, [...values, webhookId]);
      return webhookId;
    };
    const wanting = [
      await make(['*']),
      await make(['agent.message', 'billing.low']),
      await make(['*'], 'instance_id = ?', [mine.instanceId]),
      await make(['*'], 'instance_id = ?, agent_id = ?', [mine.instanceId, mine.agentId]),
    ];
    const others = [
      await make(['cron.completed']),
      await make(['*'], 'enabled = false'),
      await make(['*'], 'deleted_at = now()'),
      await make(['*'], 'instance_id = ?', [other.instanceId]),
      await make(['*'], 'instance_id = ?, agent_id = ?', [mine.instanceId, other.agentId]),
    ];
    const stranger = await webhooks.newAccount();
    others.push((await webhooks.newWebhook(stranger, 'https://8.8.8.8/')).webhookId);
    await webhooks.record(accountId, mine);
    for (const id of wanting) expect([(await webhooks.deliveriesOf(id)).length, await wakeUps(id)]).toEqual([1, 1]);
    for (const id of others) expect([(await webhooks.deliveriesOf(id)).length, await wakeUps(id)]).toEqual([0, 0]);
  });

  test('sends notices to webhooks that name them, never to *', async () => {
    const accountId = await webhooks.newAccount();
    const all = await webhooks.newWebhook(accountId, 'https://8.8.8.8/', ['*']);
    const named = await webhooks.newWebhook(accountId, 'https://8.8.8.8/', ['billing.low']);
    await webhooks.record(accountId, { type: 'billing.low', agentSlug: null, data: { balanceNanoUsd: '1', hoursLeft: 24 } });
    expect(await webhooks.deliveriesOf(all.webhookId)).toEqual([]);
    const [delivery] = await webhooks.sql<{ body: string }>('select body from webhook_deliveries where webhook_id = ?', [
      named.webhookId,
    ]);
    expect(JSON.parse(delivery!.body)).toMatchObject({
      eventType: 'billing.low',
      agentSlug: null,
      data: { balanceNanoUsd: '1', hoursLeft: 24 },
    });
  });

  test('wakes nobody while somebody delivers or the endpoint rests, but queues all the same', async () => {
    const accountId = await webhooks.newAccount();
    const { webhookId } = await webhooks.newWebhook(accountId, 'https://8.8.8.8/');
    await holdDrain(webhooks.orm.em.fork(), webhookId, 60_000);
    await webhooks.record(accountId);
    await releaseDrain(webhooks.orm.em.fork(), webhookId);
    await webhooks.sql(`update webhooks set not_before = now() + interval '1 minute' where id = ? returning id`, [webhookId]);
    await webhooks.record(accountId);
    expect([(await webhooks.deliveriesOf(webhookId)).length, await wakeUps(webhookId)]).toEqual([2, 0]);
    await webhooks.orm.em.fork().transactional((em) => handOverDrain(em, webhookId));
    expect(await wakeUps(webhookId)).toBe(1);
  });

  test('leaves no delivery behind that was recorded while somebody stopped delivering', async () => {
    const accountId = await webhooks.newAccount();
    const { webhookId } = await webhooks.newWebhook(accountId, 'https://8.8.8.8/');
    await holdDrain(webhooks.orm.em.fork(), webhookId, 60_000);
    const em = webhooks.orm.em.fork();
    await em.begin();
    const facts = {
      instanceId: null,
      agentSlug: null,
      agentName: null,
      source: null,
      messageId: null,
      content: 'x',
      jobName: null,
      error: null,
    } as const;
    await recordEvent(em, {
      id: 'evt_a1b2c3d4e5f6',
      accountId,
      type: 'agent.message',
      ...facts,
      createdAt: new Date(),
      occurrenceKey: 'x',
    });
    let isReleased = false;
    const released = releaseDrain(webhooks.orm.em.fork(), webhookId).then(() => void (isReleased = true));
    // An event of another account goes through meanwhile, so the database is not what it waits for.
    await webhooks.record(await webhooks.newAccount());
    expect(isReleased).toBe(false);
    await em.commit();
    await released;
    expect(await webhooks.deliveriesOf(webhookId)).toHaveLength(1);
  });

  test('delivers why an agent ended its message; null where that is not known', async () => {
    const accountId = await webhooks.newAccount();
    const { webhookId } = await webhooks.newWebhook(accountId, 'https://8.8.8.8/');
    await webhooks.record(accountId, { finishReason: 'length' });
    await webhooks.record(accountId);
    const rows = await webhooks.sql<{ body: string }>(
      'select body from webhook_deliveries join events on events.id = event_id where webhook_id = ? order by seq',
      [webhookId],
    );
    expect(rows.map(({ body }) => JSON.parse(body))).toMatchObject([
      { data: { content: 'hello', finishReason: 'length' } },
      { data: { content: 'hello', finishReason: null } },
    ]);
  });

  test('gives each account numbers without a gap, however many are recorded at once', async () => {
    const accountId = await webhooks.newAccount();
    await webhooks.newWebhook(accountId, 'https://8.8.8.8/');
    const recorded = await Promise.all(Array.from({ length: 60 }, () => webhooks.record(accountId)));
    expect(recorded.map(({ seq }) => seq).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, index) => index + 1));
  });
});

describe('retention', () => {
  const before = new Date(Date.now() - 60_000);
  const age = (accountId: string, seqs: number[]) =>
    webhooks.sql(
      `update events set recorded_at = now() - interval '1 hour' where account_id = ? and seq in (select jsonb_array_elements_text(?::jsonb)::bigint) returning id`,
      [accountId, JSON.stringify(seqs)],
    );
  const numbers = async (accountId: string) => {
    const { events, ...bounds } = await findAccountEvents(webhooks.orm.em.fork(), { accountId, after: 0, limit: 100 });
    return { seqs: events.map(({ seq }) => seq), ...bounds };
  };

  test('removes a prefix of an account, in batches, and never leaves a gap', async () => {
    const accountId = await webhooks.newAccount();
    for (let event = 0; event < 8; event += 1) await webhooks.record(accountId);
    await age(accountId, [1, 2, 3, 4, 6, 7]);
    expect(await findAccountsWithOldEvents(webhooks.orm.em.fork(), before)).toContain(accountId);
    const remove = () => removeOldEvents(webhooks.orm.em.fork(), { accountId, before, limit: 3 });
    expect([await remove(), await remove(), await remove()]).toEqual([3, 1, 0]);
    expect(await numbers(accountId)).toEqual({ seqs: [5, 6, 7, 8], oldestSeq: 5, latestSeq: 8 });
    await age(accountId, [5, 8]);
    expect(await remove()).toBe(3);
    expect(await remove()).toBe(1);
    expect(await numbers(accountId)).toEqual({ seqs: [], oldestSeq: null, latestSeq: null });
    expect((await webhooks.record(accountId)).seq).toBe(9);
  });

  test('removes old deliveries that have ended, and all of a deleted webhook', async () => {
    const accountId = await webhooks.newAccount();
    const { webhookId } = await webhooks.newWebhook(accountId, 'https://8.8.8.8/');
    for (let event = 0; event < 3; event += 1) await webhooks.record(accountId);
    await webhooks.sql(`update webhook_deliveries set created_at = now() - interval '1 hour' where webhook_id = ? returning id`, [
      webhookId,
    ]);
    const [first] = await webhooks.deliveriesOf(webhookId);
    await webhooks.sql(`update webhook_deliveries set status = 'succeeded', next_attempt_at = null where id = ? returning id`, [
      first!.id,
    ]);
    expect(await removeOldDeliveries(webhooks.orm.em.fork(), { before, limit: 10 })).toBe(1);
    expect(await webhooks.deliveriesOf(webhookId)).toHaveLength(2);
    await webhooks.sql(`update webhooks set deleted_at = now() - interval '2 hours' where id = ? returning id`, [webhookId]);
    const removeAll = () => removeDeletedWebhooks(webhooks.orm.em.fork(), { limit: 10 });
    expect(await removeAll()).toBeGreaterThanOrEqual(2);
    await removeAll();
    expect(await webhooks.sql('select id from webhooks where id = ?', [webhookId])).toEqual([]);
  });
});
