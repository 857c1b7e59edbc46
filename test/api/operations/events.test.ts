import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { recordEvent } from '../../../database/events/record-event.ts';
import type { NewEvent } from '../../../database/events/record-event.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { newInstance } from '../rows.ts';

let api: ApiUnderTest;
let account: AccountClient;
let instanceId: string;

beforeAll(async () => {
  api = await startApi();
  account = await api.newAccount();
  instanceId = await newInstance(account);
  await record({ content: 'first' });
  await record({
    type: 'cron.completed',
    source: 'cron',
    jobName: 'price-check',
    content: 'Bitcoin price: $69,327',
    messageId: null,
  });
  await record({ type: 'agent.error', agentSlug: 'other', content: null, error: { code: 'model_error', message: 'No.' } });
  await record({
    ...{
      type: 'webhook.disabled',
      instanceId: null,
      agentSlug: null,
      agentName: null,
      source: null,
      messageId: null,
      content: null,
    },
    data: { webhookId: 'wh_a1b2c3d4e5f6', reason: 'gone' },
  });
});
afterAll(() => api.close());

async function record(event: Partial<NewEvent>): Promise<string> {
  const id = api.deps.makeId('evt');
  await runTransaction(api.orm.em, (em) =>
    recordEvent(em, {
      ...{
        id,
        accountId: account.accountId,
        instanceId,
        type: 'agent.message',
        agentSlug: 'my-agent',
        agentName: 'My Agent',
        source: 'agent',
      },
      ...{
        messageId: api.deps.makeId('msg'),
        content: 'hello',
        jobName: null,
        error: null,
        createdAt: api.deps.clock(),
        occurrenceKey: id,
      },
      ...event,
    }),
  );
  return id;
}

describe('events.listOfInstance', () => {
  const path = (query = ''): string => `/instances/${instanceId}/events${query}`;

  test('shows the newest first, in the form of the reference, without notices', async () => {
    const { events, total } = await account.ok('GET', path());
    expect(total).toBe(3);
    expect(events.map(({ seq }: { seq: number }) => seq)).toEqual([3, 2, 1]);
    expect(events[2]).toMatchObject({
      messageId: expect.stringMatching(/^msg_/),
      content: 'first',
      sender: { type: 'agent', id: 'my-agent', name: 'My Agent' },
      source: 'agent',
      agentSlug: 'my-agent',
      eventType: 'agent.message',
      error: null,
      jobName: null,
      createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    expect(events[1]).toMatchObject({ eventType: 'cron.completed', jobName: 'price-check', content: 'Bitcoin price: $69,327' });
    expect(events[0]).toMatchObject({ eventType: 'agent.error', content: '', error: { code: 'model_error', message: 'No.' } });
  });

  test('filters by agent and source, counts all that match, and goes on where a page ended', async () => {
    expect((await account.ok('GET', path('?agent=other'))).total).toBe(1);
    expect(await account.ok('GET', path('?agent=nobody'))).toMatchObject({ events: [], total: 0 });
    expect((await account.ok('GET', path('?source=cron'))).events).toHaveLength(1);
    expect((await account.call('GET', path('?source=else'))).status).toBe(400);
    const first = await account.ok('GET', path('?limit=2'));
    expect([first.events.length, first.total]).toEqual([2, 3]);
    const second = await account.ok('GET', path(`?limit=2&cursor=${first.nextCursor}`));
    expect(second).toMatchObject({ events: [{ seq: 1 }], nextCursor: null });
  });
});

describe('the total of events', () => {
  const add = (of: string, count: number, from: number) =>
    api.sql(
      `insert into events (id, account_id, seq, type, instance_id, agent_slug, created_at)
       select 'evt_' || left(md5(? || n), 20), ?, n, 'agent.message', ?, 'many', now() from generate_series(?::int, ?::int) n returning id`,
      [of, counting.accountId, of, from, from + count - 1],
    );
  let counting: AccountClient;

  test('is exact up to 10,000, and says so where there are more', async () => {
    counting = await api.newAccount();
    const { instanceId: of } = await counting.ok('POST', '/instances', { name: 'many' });
    const page = async (query = '') => {
      const { total, totalCapped } = await counting.ok('GET', `/instances/${of}/events?limit=1${query}`);
      return [total, totalCapped];
    };
    await add(of, 10_000, 1);
    expect(await page()).toEqual([10_000, undefined]);
    await add(of, 1, 10_001);
    expect(await page()).toEqual([10_000, true]);
    expect(await page('&agent=many')).toEqual([10_000, true]);
    expect(await page('&agent=none')).toEqual([0, undefined]);
  });
});

describe('events.list', () => {
  test('reads the whole account in order, notices too, to an end that says where to go on', async () => {
    const first = await account.ok('GET', '/events?limit=3');
    expect(first).toMatchObject({ nextAfter: 3, oldestSeq: 1, latestSeq: 4 });
    expect(first.events.map(({ seq }: { seq: number }) => seq)).toEqual([1, 2, 3]);
    expect(first.events[0].instanceId).toBe(instanceId);
    const rest = await account.ok('GET', `/events?after=${first.nextAfter}`);
    expect(rest).toMatchObject({
      events: [
        { seq: 4, eventType: 'webhook.disabled', instanceId: null, data: { webhookId: 'wh_a1b2c3d4e5f6', reason: 'gone' } },
      ],
      nextAfter: 4,
    });
    expect(await account.ok('GET', '/events?after=4')).toEqual({ events: [], nextAfter: 4, oldestSeq: 1, latestSeq: 4 });
    for (const after of ['-1', 'x', '1.5']) expect((await account.call('GET', `/events?after=${after}`)).status).toBe(400);
  });

  test('of an account without events says that there is no number', async () => {
    const nobody = await api.newAccount();
    expect(await nobody.ok('GET', '/events')).toEqual({ events: [], nextAfter: 0, oldestSeq: null, latestSeq: null });
  });

  test('keeps the number of an event whose instance was deleted', async () => {
    const eventId = await record({ content: 'soon gone' });
    await api.sql('update events set deleted = true, content = null, agent_slug = null where id = ? returning id', [eventId]);
    const { events } = await account.ok('GET', '/events?after=4');
    expect(events).toEqual([{ seq: 5, eventId, eventType: 'agent.message', deleted: true }]);
  });
});
