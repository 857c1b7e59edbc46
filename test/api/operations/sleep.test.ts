import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { applyContent, endTurn, makeAsleep, makeRunning, newAgent, newCron, newRunningAgent } from '../rows.ts';
import { eventually } from '../../support/eventually.ts';

let api: ApiUnderTest;
let account: AccountClient;
let instanceId: string;
let agentId: string;

beforeAll(async () => {
  api = await startApi({ env: { SLEEP_AFTER_MS: '90000' } });
});
beforeEach(async () => {
  account = await api.newAccount();
  ({ instanceId, agentId } = await newRunningAgent(api, account));
});
afterAll(() => api.close());

const get = () => account.ok('GET', `/instances/${instanceId}`);
const patch = (sleepAfterMs: unknown) => account.call('PATCH', `/instances/${instanceId}`, { sleepAfterMs });
const say = (body: object = {}) =>
  account.call('POST', `/instances/${instanceId}/agents/${agentId}/messages`, { message: 'Hello', async: true, ...body });
const start = () => account.call('POST', `/instances/${instanceId}/start`);
const spend = () => api.sql('update accounts set balance_nano_usd = 0 where id = ? returning id', [account.accountId]);
const wakeUps = async () => (await api.sql('select id from outbox where subject_id = ?', [instanceId])).length;
const isWaking = () => eventually(async () => expect(await get()).toMatchObject({ sleep: { state: 'waking' } }));
const WITHOUT_MONEY = { status: 402, body: { error: { code: 'payment_required' } } };

/** What the start step writes when the gateway runs again. */
async function wakeUp(): Promise<void> {
  await makeRunning(api, instanceId);
  await api.sql(`update instances set sleep_state = 'awake', sleep_since = now() where id = ? returning id`, [instanceId]);
}

describe('sleepAfterMs', () => {
  test('is that of the setting, that of the call, or null for never, and shown with how the instance sleeps', async () => {
    const sleepOf = async (body: object) => (await account.ok('POST', '/instances', { name: 'mine', ...body })).sleep;
    const awake = { state: 'awake', since: null, wakesAt: null };
    expect(await sleepOf({})).toEqual({ afterMs: 90_000, ...awake });
    expect(await sleepOf({ sleepAfterMs: 60_000 })).toEqual({ afterMs: 60_000, ...awake });
    expect(await sleepOf({ sleepAfterMs: null })).toBeNull();
    expect(await patch(120_000)).toMatchObject({ status: 200, body: { sleep: { afterMs: 120_000 } } });
    expect(await account.ok('PATCH', `/instances/${instanceId}`, { name: 'other' })).toMatchObject({
      sleep: { afterMs: 120_000 },
    });
    expect(await patch(null)).toMatchObject({ status: 200, body: { sleep: null, status: 'running' } });
  });

  test.each([59_999, 60_000.5, '60000', -1, 2 ** 31])('of %j is refused with the field', async (value) => {
    const invalid = { status: 400, body: { error: { details: [{ path: 'sleepAfterMs' }] } } };
    expect(await patch(value)).toMatchObject(invalid);
    expect(await account.call('POST', '/instances', { name: 'mine', sleepAfterMs: value })).toMatchObject(invalid);
  });
});

describe('an instance that sleeps', () => {
  beforeEach(() => makeAsleep(api, instanceId));

  test('is stopped and wanted to run, and says since when it sleeps and when it wakes', async () => {
    await api.sql(`update instances set wakes_at = '2027-01-01T00:00:00Z' where id = ? returning id`, [instanceId]);
    expect(await get()).toMatchObject({
      status: 'stopped',
      desiredStatus: 'running',
      transition: null,
      sleep: { afterMs: 90_000, state: 'asleep', since: expect.any(String), wakesAt: '2027-01-01T00:00:00.000Z' },
    });
  });

  test('holds messages, which wake it, and refuses none while it wakes', async () => {
    const before = await wakeUps();
    const first = await say();
    expect(first).toMatchObject({ status: 202, body: { status: 'pending' } });
    expect(await wakeUps()).toBe(before + 1);
    expect(await api.sql('select boot_id, attempt from messages where id = ?', [first.body.messageId])).toEqual([
      { boot_id: null, attempt: 0 },
    ]);
    expect((await start()).status).toBe(200);
    expect(await get()).toMatchObject({ status: 'provisioning', transition: { kind: 'starting' }, sleep: { state: 'waking' } });
    expect((await say()).status).toBe(202);
  });

  test('without money answers a message, a start and the end of its sleep with 402, and stays asleep', async () => {
    await spend();
    expect(await say()).toMatchObject(WITHOUT_MONEY);
    expect(await start()).toMatchObject(WITHOUT_MONEY);
    expect(await patch(null)).toMatchObject(WITHOUT_MONEY);
    expect(await get()).toMatchObject({ sleep: { state: 'asleep' } });
    expect((await account.ok('GET', `/instances/${instanceId}/agents/${agentId}/messages`)).messages).toEqual([]);
  });

  test('wakes by a start, and when it is never to fall asleep', async () => {
    expect((await start()).status).toBe(200);
    expect(await get()).toMatchObject({ status: 'provisioning', sleep: { state: 'waking' } });
    await makeAsleep(api, instanceId);
    expect(await patch(null)).toMatchObject({ status: 200, body: { status: 'provisioning', sleep: null } });
  });

  test('is not woken by a call that waits for it, which sees it run when something else wakes it', async () => {
    const before = await wakeUps();
    expect(await account.ok('GET', `/instances/${instanceId}/wait?status=running&timeout=1`)).toMatchObject({
      status: 'stopped',
      sleep: { state: 'asleep' },
    });
    expect([await wakeUps(), (await account.ok('GET', `/instances/${instanceId}/wait?status=stopped`)).status]).toEqual([
      before,
      'stopped',
    ]);
    const waiting = account.ok('GET', `/instances/${instanceId}/wait?status=running`);
    expect((await start()).status).toBe(200);
    await wakeUp();
    expect(await waiting).toMatchObject({ status: 'running', transition: null });
  });

  test('that was stopped is stopped like any other', async () => {
    expect((await account.call('POST', `/instances/${instanceId}/stop`)).status).toBe(200);
    expect(await get()).toMatchObject({ desiredStatus: 'stopped', sleep: { state: 'awake' } });
    expect(await say()).toMatchObject({ status: 503, body: { error: { code: 'instance_not_ready' } } });
  });

  test('takes new agents as a stopped one does, and wakes for a message to one of them', async () => {
    const other = await newAgent(account, instanceId, 'second');
    expect(await get()).toMatchObject({ sleep: { state: 'asleep' } });
    const said = account.call('POST', `/instances/${instanceId}/agents/${other}/messages`, { message: 'Hello', async: true });
    await isWaking();
    await applyContent(api, instanceId);
    // Anything that changes the row has the waiting call look again.
    await api.sql('update instances set used_at = now() where id = ? returning id', [instanceId]);
    expect((await said).status).toBe(202);
  });

  test.each([
    ['crons.create', 'POST', () => ''],
    ['crons.update', 'PATCH', (cronId: string) => `/${cronId}`],
    ['crons.run', 'POST', (cronId: string) => `/${cronId}/run`],
    ['crons.delete', 'DELETE', (cronId: string) => `/${cronId}`],
  ])('is woken by %s, which waits until it runs', async (_, method, rest) => {
    const cronId = await newCron(api, { instanceId, agentId });
    const job = { name: 'Digest', schedule: { kind: 'every', everyMs: 60_000 }, message: 'What is on?' };
    const path = `/instances/${instanceId}/agents/${agentId}/crons${rest(cronId)}`;
    const called = account.call(method, path, ['POST', 'PATCH'].includes(method) && !path.endsWith('/run') ? job : undefined);
    await isWaking();
    await wakeUp();
    // No gateway answers in this test: the call has reached it.
    expect(await called).toMatchObject({ status: 503, body: { error: { code: 'unavailable' } } });
  });

  test('without money is not woken by a job that is run by hand', async () => {
    const cronId = await newCron(api, { instanceId, agentId });
    await spend();
    expect(await account.call('POST', `/instances/${instanceId}/agents/${agentId}/crons/${cronId}/run`)).toMatchObject(
      WITHOUT_MONEY,
    );
    expect(await get()).toMatchObject({ sleep: { state: 'asleep' } });
  });

  test('holds the messages of other doors', async () => {
    const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'door' });
    const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ model: agentId, messages: [{ role: 'user', content: 'Hello' }] });
    const answer = fetch(`${api.url}/openai/v1/chat/completions`, { method: 'POST', headers, body });
    const messageId = await eventually(async () => {
      const [reply] = await api.sql<{ id: string }>(`select id from messages where instance_id = ? and status = 'pending'`, [
        instanceId,
      ]);
      if (!reply) throw new Error('The message was not accepted');
      return reply.id;
    });
    await endTurn(api, messageId, { status: 'completed', content: 'Good morning', finishReason: 'stop' });
    expect(await (await answer).json()).toMatchObject({ choices: [{ message: { content: 'Good morning' } }] });
  });
});

describe('a message to an instance that finds no room to wake', () => {
  test('is 503 at once when it has waited for a minute, and so is one whose turn was given back', async () => {
    await makeAsleep(api, instanceId);
    const waiting = say({ async: false });
    const [{ id }] = (await eventually(async () => {
      const found = await api.sql<{ id: string }>(`select id from messages where instance_id = ? and status = 'pending'`, [
        instanceId,
      ]);
      expect(found).toHaveLength(1);
      return found;
    })) as [{ id: string }];
    await start();
    await api.sql(`update instances set queued_at = now() - interval '61 seconds' where id = ? returning id`, [instanceId]);
    const noRoom = { status: 503, body: { error: { code: 'instance_not_ready', reason: 'no_capacity', retryable: true } } };
    const refused = await say();
    expect(refused).toMatchObject(noRoom);
    expect(refused.headers.get('retry-after')).toBe('30');
    await endTurn(api, id, { status: 'failed', reason: 'no_capacity', message: 'No room.' });
    expect(await waiting).toMatchObject(noRoom);
  });
});

test('the event of a job that ran late says by how much', async () => {
  await api.sql(
    `insert into events (id, account_id, seq, type, instance_id, agent_slug, agent_name, source, content, job_name, late_ms, created_at)
     values (?, ?, 1, 'cron.completed', ?, 'support-bot', 'Support Bot', 'cron', 'Done', 'Digest', 17000, now()) returning id`,
    [api.deps.makeId('evt'), account.accountId, instanceId],
  );
  const { events } = await account.ok('GET', `/instances/${instanceId}/events`);
  expect(events).toMatchObject([{ eventType: 'cron.completed', lateMs: 17_000 }]);
});
