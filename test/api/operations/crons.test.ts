import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { makeRunning, newAgent, newCron, newInstance } from '../rows.ts';

let api: ApiUnderTest;
let account: AccountClient;
let instanceId: string;
let agentId: string;

beforeAll(async () => {
  api = await startApi();
});

beforeEach(async () => {
  account = await api.newAccount();
  instanceId = await newInstance(account);
  agentId = await newAgent(account, instanceId);
});

afterAll(() => api.close());

const path = (rest = '') => `/instances/${instanceId}/agents/${agentId}/crons${rest}`;
const EVERY = { kind: 'every', everyMs: 60_000 };
const job = (changes: object = {}) => ({ name: 'Digest', schedule: EVERY, message: 'What is on?', ...changes });

const isInvalid = (field: string, message: RegExp) => ({
  status: 400,
  body: { error: { code: 'invalid_request', details: [{ path: field, message: expect.stringMatching(message) }] } },
});

const notReady = { status: 503, body: { error: { code: 'instance_not_ready', reason: 'starting' } } };
const silent = { status: 503, body: { error: { code: 'unavailable' } } };
const notFound = { status: 404, body: { error: { code: 'not_found' } } };

describe.each([
  ['crons.create', 'POST'],
  ['crons.update', 'PATCH'],
] as const)('a schedule of %s', (_id, method) => {
  test.each([
    ['an expression of too few fields', { kind: 'cron', expr: '0 9 *' }, 'schedule.expr', /five fields/],
    ['an unknown time zone', { kind: 'cron', expr: '0 9 * * *', timeZone: 'Mars/Olympus' }, 'schedule.timeZone', /IANA/],
    ['an interval under a second', { kind: 'every', everyMs: 10 }, 'schedule.everyMs', /at least 1000/],
    ['an interval that is no number', { kind: 'every', everyMs: '1h' }, 'schedule.everyMs', /a number, not a string/],
    ['a moment that is over', { kind: 'at', at: '2020-01-01T00:00:00Z' }, 'schedule.at', /in the future/],
    ['a moment that is none', { kind: 'at', at: 'tomorrow' }, 'schedule.at', /ISO 8601/],
    ['an unknown kind', { kind: 'hourly' }, 'schedule.kind', /cron, every, at/],
  ])('with %s is refused with a sentence', async (_what, schedule, field, message) => {
    await makeRunning(api, instanceId);
    const cronId = await newCron(api, { instanceId, agentId });
    const target = method === 'POST' ? path() : path(`/${cronId}`);
    expect(await account.call(method, target, job({ schedule }))).toMatchObject(isInvalid(field, message));
  });
});

describe('crons.create', () => {
  test('asks for a name and a message', async () => {
    expect(await account.call('POST', path(), job({ name: ' ' }))).toMatchObject(isInvalid('name', /at least 1/));
    expect(await account.call('POST', path(), job({ message: ' ' }))).toMatchObject(isInvalid('message', /not blank/));
  });

  test('on an instance that does not run is instance_not_ready', async () => {
    expect(await account.call('POST', path(), job())).toMatchObject(notReady);
  });

  test('where the gateway does not answer is unavailable, and nothing is shown of it', async () => {
    await makeRunning(api, instanceId);
    expect(await account.call('POST', path(), job())).toMatchObject(silent);
    expect(await account.ok('GET', path())).toEqual({ crons: [], nextCursor: null });
    expect(await api.sql('select id from cron_jobs where agent_id = ?', [agentId])).toEqual([]);
  });

  test('jobs of calls that were never answered count towards the hundred for a minute, and no longer', async () => {
    await makeRunning(api, instanceId);
    await fill(100);
    const hide = (age: string) =>
      api.sql(`update cron_jobs set gateway_job_id = null, created_at = now() - ?::interval where agent_id = ? returning id`, [
        age,
        agentId,
      ]);
    await hide('50 seconds');
    expect(await account.call('POST', path(), job())).toMatchObject({ status: 409, body: { error: { code: 'conflict' } } });
    await hide('70 seconds');
    expect(await account.call('POST', path(), job())).toMatchObject(silent);
  });

  test('takes a hundred for one agent at most', async () => {
    await makeRunning(api, instanceId);
    await fill(100);
    expect(await account.call('POST', path(), job())).toMatchObject({ status: 409, body: { error: { code: 'conflict' } } });
  });
});

describe('crons.list', () => {
  test('shows jobs of the API and of the agent, page by page, also while the instance does not run', async () => {
    await fill(3);
    const cronId = await newCron(api, { instanceId, agentId });
    const { crons, nextCursor } = await account.ok('GET', path('?limit=2'));
    expect(crons).toMatchObject([
      { cronId, name: 'Daily digest', schedule: EVERY, createdBy: 'api', lastRun: null },
      { createdBy: 'agent', schedule: { kind: 'other' } },
    ]);
    expect(await account.ok('GET', path(`?limit=2&cursor=${nextCursor}`))).toMatchObject({ crons: [{}, {}], nextCursor: null });
  });

  test('shows the last run with its event', async () => {
    const cronId = await newCron(api, { instanceId, agentId });
    await api.sql(
      `update cron_jobs set last_run_at = '2026-04-07T09:00:00Z', last_run_status = 'ok', last_event_id = 'evt_a1b2c3d4e5f6g7h8i9j0' where id = ? returning id`,
      [cronId],
    );
    const { crons } = await account.ok('GET', path());
    expect(crons[0].lastRun).toEqual({ at: '2026-04-07T09:00:00.000Z', status: 'ok', eventId: 'evt_a1b2c3d4e5f6g7h8i9j0' });
  });

  test("of somebody else's agent is not found", async () => {
    expect(await (await api.newAccount()).call('GET', path())).toMatchObject(notFound);
  });
});

describe('crons.update', () => {
  changesNeedTheGateway('PATCH', '');
});

describe('crons.delete', () => {
  changesNeedTheGateway('DELETE', '');
});

describe('crons.run', () => {
  changesNeedTheGateway('POST', '/run');
});

function changesNeedTheGateway(method: 'PATCH' | 'DELETE' | 'POST', rest: string): void {
  const body = method === 'PATCH' ? { enabled: false } : undefined;

  test('on an instance that does not run is instance_not_ready, and of a gateway that does not answer unavailable', async () => {
    const cronId = await newCron(api, { instanceId, agentId });
    expect(await account.call(method, path(`/${cronId}${rest}`), body)).toMatchObject(notReady);
    await makeRunning(api, instanceId);
    expect(await account.call(method, path(`/${cronId}${rest}`), body)).toMatchObject(silent);
    expect(await account.ok('GET', path())).toMatchObject({ crons: [{ cronId, enabled: true }] });
  });

  test('of what is not there, is gone, or belongs to another agent is not found', async () => {
    const other = await newAgent(account, instanceId, 'other-bot');
    await makeRunning(api, instanceId);
    const [cronId, gone] = [await newCron(api, { instanceId, agentId }), await newCron(api, { instanceId, agentId })];
    await api.sql('update cron_jobs set removed_at = now() where id = ? returning id', [gone]);
    expect(await account.call(method, path(`/cron_nothingnothing00${rest}`), body)).toMatchObject(notFound);
    expect(await account.call(method, path(`/${gone}${rest}`), body)).toMatchObject(notFound);
    expect(await account.call(method, `/instances/${instanceId}/agents/${other}/crons/${cronId}${rest}`, body)).toMatchObject(
      notFound,
    );
  });
}

/** So many jobs that the agent made itself. */
async function fill(count: number): Promise<void> {
  await api.sql(
    `insert into cron_jobs (id, instance_id, agent_id, gateway_job_id, created_by, name, message, enabled, created_at, seen_at)
     select 'cron_' || substr(md5(?::text || n), 1, 20), ?, ?, 'job' || n, 'agent', 'x', 'x', true, now() - interval '1 minute', now()
       from generate_series(1, ?::int) n returning id`,
    [instanceId, instanceId, agentId, count],
  );
}
