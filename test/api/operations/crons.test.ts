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

describe('a schedule', () => {
  test.each([
    ['an expression of too few fields', { kind: 'cron', expr: '0 9 *' }, 'schedule.expr', /five fields/],
    ['an unknown time zone', { kind: 'cron', expr: '0 9 * * *', timeZone: 'Mars/Olympus' }, 'schedule.timeZone', /IANA/],
    ['an interval under a second', { kind: 'every', everyMs: 10 }, 'schedule.everyMs', /at least 1000/],
    ['an interval that is no number', { kind: 'every', everyMs: '1h' }, 'schedule.everyMs', /whole number/],
    ['a moment that is over', { kind: 'at', at: '2020-01-01T00:00:00Z' }, 'schedule.at', /in the future/],
    ['a moment that is none', { kind: 'at', at: 'tomorrow' }, 'schedule.at', /ISO 8601/],
    ['an unknown kind', { kind: 'hourly' }, 'schedule.kind', /cron, every, at/],
  ])('with %s is refused with a sentence, on create and on change', async (_what, schedule, field, message) => {
    await makeRunning(api, instanceId);
    const cronId = await newCron(api, { instanceId, agentId });
    expect(await account.call('POST', path(), job({ schedule }))).toMatchObject(isInvalid(field, message));
    expect(await account.call('PATCH', path(`/${cronId}`), { schedule })).toMatchObject(isInvalid(field, message));
  });
});

test('a name and a message are asked for', async () => {
  expect(await account.call('POST', path(), job({ name: ' ' }))).toMatchObject(isInvalid('name', /at least 1/));
  expect(await account.call('POST', path(), job({ message: ' ' }))).toMatchObject(isInvalid('message', /at each run/));
});

test('on an instance that does not run every change is instance_not_ready, and the list answers', async () => {
  const cronId = await newCron(api, { instanceId, agentId });
  const notReady = { status: 503, body: { error: { code: 'instance_not_ready' } } };
  expect(await account.call('POST', path(), job())).toMatchObject(notReady);
  expect(await account.call('PATCH', path(`/${cronId}`), { enabled: false })).toMatchObject(notReady);
  expect(await account.call('POST', path(`/${cronId}/run`))).toMatchObject(notReady);
  expect(await account.call('DELETE', path(`/${cronId}`))).toMatchObject(notReady);
  expect(await account.ok('GET', path())).toMatchObject({ crons: [{ cronId, name: 'Daily digest', schedule: EVERY, lastRun: null }] });
});

test('of a running instance whose gateway does not answer every change is unavailable, and nothing is shown of it', async () => {
  await makeRunning(api, instanceId);
  expect(await account.call('POST', path(), job())).toMatchObject({ status: 503, body: { error: { code: 'unavailable' } } });
  expect(await account.ok('GET', path())).toEqual({ crons: [], nextCursor: null });
});

test('what is not there, or belongs to somebody else, is not found', async () => {
  await makeRunning(api, instanceId);
  const cronId = await newCron(api, { instanceId, agentId });
  const other = await api.newAccount();
  const notFound = { status: 404, body: { error: { code: 'not_found' } } };
  expect(await account.call('DELETE', path('/cron_nothingnothing00'))).toMatchObject(notFound);
  expect(await other.call('GET', path())).toMatchObject(notFound);
  expect(await other.call('POST', path(), job())).toMatchObject(notFound);
  expect(await other.call('PATCH', path(`/${cronId}`), { enabled: false })).toMatchObject(notFound);
  const agent2 = await newAgent(account, instanceId, 'other-bot').catch(() => null);
  if (agent2) expect(await account.call('DELETE', `/instances/${instanceId}/agents/${agent2}/crons/${cronId}`)).toMatchObject(notFound);
});

test('an agent has a hundred crons at most', async () => {
  await makeRunning(api, instanceId);
  await api.sql(
    `insert into cron_jobs (id, instance_id, agent_id, gateway_job_id, created_by, name, schedule, message, enabled, created_at, seen_at)
     select 'cron_filler' || lpad(n::text, 12, '0'), ?, ?, 'job' || n, 'agent', 'x', null, 'x', true, now(), now()
       from generate_series(1, 100) n returning id`,
    [instanceId, agentId],
  );
  expect(await account.call('POST', path(), job())).toMatchObject({ status: 409, body: { error: { code: 'conflict' } } });
  const { crons, nextCursor } = await account.ok('GET', path('?limit=60'));
  expect(crons[0]).toMatchObject({ createdBy: 'agent', schedule: { kind: 'other' } });
  const rest = await account.ok('GET', path(`?limit=60&cursor=${nextCursor}`));
  expect([crons.length, rest.crons.length, rest.nextCursor]).toEqual([60, 40, null]);
});
