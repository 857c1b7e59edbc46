import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { recordEvent } from '../../../database/events/record-event.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { newAgent, newInstance } from '../rows.ts';

const URL_OF_A_STRANGER = 'https://8.8.8.8/webhook';
const SECRET = /^whsec_[A-Za-z0-9+/]{43}=$/;

let api: ApiUnderTest;
let account: AccountClient;

beforeAll(async () => {
  api = await startApi();
  account = await api.newAccount();
});
afterAll(() => api.close());

async function newWebhook(client: AccountClient = account, fields: object = {}) {
  return client.ok('POST', '/webhooks', { url: URL_OF_A_STRANGER, events: ['agent.message'], ...fields });
}

/** An event of the account, as a worker would record it. */
async function record(accountId: string): Promise<string> {
  const id = api.deps.makeId('evt');
  await runTransaction(api.orm.em, (em) =>
    recordEvent(em, {
      ...{ id, accountId, instanceId: null, type: 'agent.message', agentSlug: 'bot', agentName: 'Bot', source: 'agent' },
      ...{
        messageId: api.deps.makeId('msg'),
        content: 'hello',
        jobName: null,
        error: null,
        createdAt: api.deps.clock(),
        occurrenceKey: id,
      },
    }),
  );
  return id;
}

async function wakeUps(webhookId: string): Promise<number> {
  return (await api.sql('select id from outbox where subject_id = ?', [webhookId])).length;
}

describe('webhooks.create', () => {
  test('shows its URL as deliveries use it, whatever was typed around it', async () => {
    for (const [typed, used] of [
      ['  https://203.0.112.1/hook\r\n', 'https://203.0.112.1/hook'],
      ['HTTPS://EXAMPLE.com:443/a/../b?c=d#e', 'https://example.com/b?c=d'],
      ['https://exam\nple.com', 'https://example.com/'],
      ['https://b\u00fccher.example/\u00fc', 'https://xn--bcher-kva.example/%C3%BC'],
    ]) {
      const { webhookId, url } = await newWebhook(account, { url: typed });
      expect(url).toBe(used);
      await account.ok('PATCH', `/webhooks/${webhookId}`, { url: 'https://203.0.112.1/' });
      expect((await account.ok('PATCH', `/webhooks/${webhookId}`, { url: typed })).url).toBe(used);
      expect((await account.ok('GET', `/webhooks/${webhookId}`)).url).toBe(used);
      const { webhooks } = await account.ok('GET', '/webhooks');
      expect(webhooks.find((one: { webhookId: string }) => one.webhookId === webhookId).url).toBe(used);
      await account.ok('DELETE', `/webhooks/${webhookId}`);
    }
  });

  test('answers what the reference shows, with a secret that is not stored as it is', async () => {
    const { status, body, headers } = await account.call('POST', '/webhooks', {
      url: URL_OF_A_STRANGER,
      events: ['cron.completed', 'agent.message', 'agent.message'],
      description: 'mine',
    });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      webhookId: expect.stringMatching(/^wh_/),
      url: URL_OF_A_STRANGER,
      events: ['cron.completed', 'agent.message'],
      secret: expect.stringMatching(SECRET),
      enabled: true,
      description: 'mine',
      instanceId: null,
      agentId: null,
    });
    expect(headers.get('cache-control')).toBe('no-store');
    const [row] = await api.sql<{ secret: string }>('select secret from webhooks where id = ?', [body.webhookId]);
    expect(row?.secret).toMatch(/^v1\.test\./);
    expect(row?.secret).not.toContain(body.secret.slice(6, 20));
  });

  test.each([
    'http://8.8.8.8/',
    'ftp://8.8.8.8/',
    'https://user:pass@8.8.8.8/',
    'https://127.0.0.1/',
    'https://[::1]/',
    'https://2130706433/',
    'https://localhost/',
    'https://169.254.169.254/latest',
    'nonsense',
    `https://8.8.8.8/${'x'.repeat(2_100)}`,
  ])('refuses the URL %p', async (url) => {
    const { status, body } = await account.call('POST', '/webhooks', { url, events: ['*'] });
    expect(status).toBe(400);
    expect(body.error.details[0].path).toBe('url');
  });

  test('refuses no events, unknown ones, and a scope that is not its own', async () => {
    for (const events of [[], ['agent.unknown'], ['webhook.test'], ['**']])
      expect((await account.call('POST', '/webhooks', { url: URL_OF_A_STRANGER, events })).status).toBe(400);
    const stranger = await api.newAccount();
    const instanceId = await newInstance(stranger);
    for (const scope of [
      { instanceId },
      { instanceId: 'inst_nothingnothing00' },
      { agentId: await newAgent(stranger, instanceId) },
    ])
      expect((await account.call('POST', '/webhooks', { url: URL_OF_A_STRANGER, events: ['*'], ...scope })).status).toBe(404);
  });

  test('takes an instance and an agent of it as the scope, and goes with its instance', async () => {
    const instanceId = await newInstance(account);
    const agentId = await newAgent(account, instanceId);
    expect(await newWebhook(account, { agentId })).toMatchObject({ instanceId, agentId });
    const other = await newInstance(account);
    expect(
      (await account.call('POST', '/webhooks', { url: URL_OF_A_STRANGER, events: ['*'], instanceId: other, agentId })).status,
    ).toBe(404);
  });

  test('makes at most twenty, also when they are asked for at once', async () => {
    const eager = await api.newAccount();
    const answers = await Promise.all(
      Array.from({ length: 22 }, () => eager.call('POST', '/webhooks', { url: URL_OF_A_STRANGER, events: ['*'] })),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(20);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(2);
  });
});

describe('webhooks.list', () => {
  test('masks secrets', async () => {
    const { webhookId, secret } = await newWebhook();
    const { webhooks } = await account.ok('GET', '/webhooks');
    const listed = webhooks.find((one: { webhookId: string }) => one.webhookId === webhookId);
    expect(listed.secret).toBe(`whsec_****${secret.slice(-4)}`);
  });
});

describe('webhooks.get', () => {
  test('shows the secret, not to be stored', async () => {
    const { webhookId, secret } = await newWebhook();
    const { body, headers } = await account.call('GET', `/webhooks/${webhookId}`);
    expect(body.secret).toBe(secret);
    expect(headers.get('cache-control')).toBe('no-store');
  });
});

describe('webhooks.update', () => {
  test('while it is disabled nothing new is queued, and enabling sends what waited', async () => {
    const owner = await api.newAccount();
    const { webhookId } = await newWebhook(owner);
    await record(owner.accountId);
    expect((await owner.ok('PATCH', `/webhooks/${webhookId}`, { enabled: false })).enabled).toBe(false);
    await record(owner.accountId);
    const { deliveries } = await owner.ok('GET', `/webhooks/${webhookId}/deliveries`);
    expect(deliveries).toHaveLength(1);
    await api.sql(
      `update webhooks set failures = 12, disabled_reason = 'failing', not_before = now() + interval '1 hour' where id = ? returning id`,
      [webhookId],
    );
    const before = await wakeUps(webhookId);
    expect(await owner.ok('PATCH', `/webhooks/${webhookId}`, { enabled: true })).toMatchObject({
      enabled: true,
      disabledReason: null,
    });
    expect(await wakeUps(webhookId)).toBe(before + 1);
    const [row] = await api.sql<{ failures: number; not_before: unknown }>(
      'select failures, not_before from webhooks where id = ?',
      [webhookId],
    );
    expect(row).toEqual({ failures: 0, not_before: null });
  });

  test('changes url, events and description, and refuses another scope and a bad URL', async () => {
    const { webhookId } = await newWebhook();
    const path = `/webhooks/${webhookId}`;
    const change = { url: 'https://1.1.1.1/x', events: ['*', 'billing.low'], description: null };
    expect(await account.ok('PATCH', path, change)).toMatchObject(change);
    expect((await account.call('PATCH', path, { agentId: 'agt_nothingnothing00' })).status).toBe(400);
    expect((await account.call('PATCH', path, { url: 'https://10.0.0.1/' })).status).toBe(400);
    expect((await account.ok('GET', path)).url).toBe(change.url);
  });
});

describe('webhooks.delete', () => {
  test('is gone at once, with its secret and what waited', async () => {
    const { webhookId } = await newWebhook();
    expect(await account.ok('DELETE', `/webhooks/${webhookId}`)).toEqual({ webhookId, deleted: true });
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['GET', '/deliveries'],
      ['POST', '/test'],
    ] as const)
      expect((await account.call(method, `/webhooks/${webhookId}${path}`)).status).toBe(404);
    const [row] = await api.sql('select secret from webhooks where id = ?', [webhookId]);
    expect(row).toEqual({ secret: '' });
  });
});

describe('webhooks.test', () => {
  test('queues a test event, also of a disabled webhook', async () => {
    const { webhookId } = await newWebhook();
    await account.ok('PATCH', `/webhooks/${webhookId}`, { enabled: false });
    const { message, deliveryId } = await account.ok('POST', `/webhooks/${webhookId}/test`);
    expect(message).toBe('Test event dispatched');
    expect(await wakeUps(webhookId)).toBe(1);
    const { deliveries } = await account.ok('GET', `/webhooks/${webhookId}/deliveries`);
    expect(deliveries).toMatchObject([{ deliveryId, eventType: 'webhook.test', status: 'pending', attempts: [] }]);
    const [row] = await api.sql<{ body: string }>('select body from webhook_deliveries where id = ?', [deliveryId]);
    expect(JSON.parse(row!.body)).toMatchObject({ eventType: 'webhook.test', instanceId: null, agentSlug: null, seq: null });
  });
});

describe('webhooks.rotateSecret', () => {
  test('makes a new secret and keeps the old one for a day', async () => {
    const { webhookId, secret } = await newWebhook();
    const rotated = await account.ok('POST', `/webhooks/${webhookId}/rotate-secret`);
    expect(rotated.secret).toMatch(SECRET);
    expect(rotated.secret).not.toBe(secret);
    expect(Date.parse(rotated.previousSecretUntil) - api.deps.clock().getTime()).toBeGreaterThan(23 * 3_600_000);
    expect((await account.ok('GET', `/webhooks/${webhookId}`)).secret).toBe(rotated.secret);
  });
});

describe('webhooks.deliveries.list', () => {
  test('shows each delivery with its attempts, by status, page after page', async () => {
    const owner = await api.newAccount();
    const { webhookId } = await newWebhook(owner);
    const eventIds = [await record(owner.accountId), await record(owner.accountId), await record(owner.accountId)];
    await api.sql(
      `with ended as (update webhook_deliveries set status = 'failed', next_attempt_at = null, attempts = 1 where event_id = ? returning id)
       insert into webhook_attempts (delivery_id, number, at, status_code, duration_ms, error, response)
       select id, 1, now(), 500, 12, 'The endpoint responded with status 500.', 'oops' from ended returning number`,
      [eventIds[0]],
    );
    const { deliveries } = await owner.ok('GET', `/webhooks/${webhookId}/deliveries?status=failed`);
    expect(deliveries).toMatchObject([
      {
        eventId: eventIds[0],
        status: 'failed',
        nextAttemptAt: null,
        attempts: [{ statusCode: 500, durationMs: 12, response: 'oops' }],
      },
    ]);
    const first = await owner.ok('GET', `/webhooks/${webhookId}/deliveries?limit=2`);
    const second = await owner.ok('GET', `/webhooks/${webhookId}/deliveries?limit=2&cursor=${first.nextCursor}`);
    const seen = [...first.deliveries, ...second.deliveries].map((one: { eventId: string }) => one.eventId);
    expect(new Set(seen)).toEqual(new Set(eventIds));
    expect(second.nextCursor).toBeNull();
  });
});

describe('webhooks.deliveries.get', () => {
  test('shows the very text that is sent, to its account alone', async () => {
    const { webhookId } = await newWebhook();
    const { deliveryId } = await account.ok('POST', `/webhooks/${webhookId}/test`);
    const path = `/webhooks/${webhookId}/deliveries/${deliveryId}`;
    const [row] = await api.sql<{ body: string }>('select body from webhook_deliveries where id = ?', [deliveryId]);
    expect(await account.ok('GET', path)).toMatchObject({ deliveryId, eventType: 'webhook.test', body: row!.body });
    const another = await api.newAccount();
    expect(await another.call('GET', path)).toMatchObject({ status: 404 });
    const { webhookId: other } = await newWebhook();
    expect(await account.call('GET', `/webhooks/${other}/deliveries/${deliveryId}`)).toMatchObject({ status: 404 });
  });
});

describe('webhooks.deliveries.redeliver', () => {
  test('queues the same body once more, but not for a disabled webhook', async () => {
    const owner = await api.newAccount();
    const { webhookId } = await newWebhook(owner);
    const eventId = await record(owner.accountId);
    const { deliveries } = await owner.ok('GET', `/webhooks/${webhookId}/deliveries`);
    const path = `/webhooks/${webhookId}/deliveries/${deliveries[0].deliveryId}/redeliver`;
    const again = await owner.ok('POST', path);
    expect(again).toMatchObject({ eventId, status: 'pending', attempts: [] });
    expect(again.deliveryId).not.toBe(deliveries[0].deliveryId);
    const bodies = await api.sql<{ body: string }>('select distinct body from webhook_deliveries where webhook_id = ?', [
      webhookId,
    ]);
    expect(bodies).toHaveLength(1);
    await owner.ok('PATCH', `/webhooks/${webhookId}`, { enabled: false });
    expect((await owner.call('POST', path)).status).toBe(409);
  });
});
