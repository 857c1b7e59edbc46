import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { removeCron } from '../../runtime/openclaw/content/crons.ts';
import { listCronRuns, listCrons } from '../support/cron-lists.ts';
import type { GatewayClient } from '../../runtime/openclaw/wire/gateway-client.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { noteSeenCron } from '../../turns/note-cron.ts';
import { eventually } from '../support/eventually.ts';
import type { AccountClient, ApiUnderTest } from './api-under-test.ts';
import { startLiveAgent } from './live-agent.ts';
import type { LiveAgent } from './live-agent.ts';

const HOURLY = { kind: 'every', everyMs: 3_600_000 };

let live: LiveAgent;
let api: ApiUnderTest;
let client: GatewayClient;
let account: AccountClient;
let path: string;

beforeAll(async () => {
  live = await startLiveAgent();
  ({ api, client, account } = live);
  path = `${live.path}/crons`;
});

afterAll(() => live?.close());

const job = (changes: object = {}) => ({ name: 'Digest', schedule: HOURLY, message: '[[SAY Nothing new.]]', ...changes });
const jobsAtGateway = async () => (await listCrons(client)).filter(({ isInternal }) => !isInternal);

test('a cron is added, changed, run and deleted in the gateway itself', async () => {
  const created = await account.call('POST', path, job());
  expect(created).toMatchObject({
    status: 201,
    body: { name: 'Digest', schedule: HOURLY, enabled: true, createdBy: 'api', nextRunAt: expect.any(String), lastRun: null },
  });
  const { cronId } = created.body;
  const atGateway = await jobsAtGateway();
  expect(atGateway).toMatchObject([{ cronId, name: 'Digest', message: '[[SAY Nothing new.]]' }]);
  const schedule = { kind: 'cron', expr: '0 9 * * 1-5', timeZone: 'Europe/Berlin' };

  expect(await account.ok('PATCH', `${path}/${cronId}`, { schedule, name: 'Morning' })).toMatchObject({
    cronId,
    schedule,
    name: 'Morning',
  });
  expect(await account.ok('PATCH', `${path}/${cronId}`, { enabled: false })).toMatchObject({ enabled: false, nextRunAt: null });
  expect(await account.ok('POST', `${path}/${cronId}/run`)).toMatchObject({ cronId });
  await eventually(async () => {
    // The gateway may have served other files, and keeps their runs.
    const runs = (await listCronRuns(client)).filter(({ jobId }) => jobId === atGateway[0]?.id);
    expect(runs).toMatchObject([{ status: 'ok', summary: 'Nothing new.' }]);
  });
  expect(await account.ok('GET', path)).toMatchObject({ crons: [{ cronId, name: 'Morning', schedule, enabled: false }] });

  expect(await account.ok('DELETE', `${path}/${cronId}`)).toEqual({ cronId, deleted: true });
  expect(await account.ok('GET', path)).toMatchObject({ crons: [] });
  expect(await jobsAtGateway()).toEqual([]);
});

test('an expression that never comes true is refused with a sentence, and nothing stays of it', async () => {
  const schedule = { kind: 'cron', expr: '0 0 30 2 *' };
  expect(await account.call('POST', path, job({ schedule }))).toMatchObject({
    status: 400,
    body: { error: { code: 'invalid_request', details: [{ path: 'schedule', message: expect.stringContaining('never run') }] } },
  });
  expect(await account.ok('GET', path)).toMatchObject({ crons: [] });
  expect(await api.sql(`select id from cron_jobs where gateway_job_id is null`)).toEqual([]);
});

test('a job that the gateway took, while the API died before it noted that, is the same cron once it is seen', async () => {
  const { cronId } = await account.ok('POST', path, job({ name: 'Half done' }));
  const [atGateway] = await jobsAtGateway();
  await api.sql('update cron_jobs set gateway_job_id = null where id = ? returning id', [cronId]);
  expect(await account.ok('GET', path)).toMatchObject({ crons: [] });

  const seen = { instanceId: live.instanceId, makeId: api.deps.makeId };
  for (let times = 0; times < 2; times += 1) await runTransaction(api.orm.em, (em) => noteSeenCron(em, seen, atGateway!));

  expect(await account.ok('GET', path)).toMatchObject({ crons: [{ cronId, createdBy: 'api', name: 'Half done' }] });
  await account.ok('DELETE', `${path}/${cronId}`);
});

test('calls with one Idempotency-Key at the same time add one job', async () => {
  const options = { headers: { 'idempotency-key': 'one-digest' } };
  const answers = await Promise.all([1, 2, 3].map(() => account.call('POST', path, job(), options)));
  const ids = new Set(answers.filter(({ status }) => status === 201).map(({ body }) => body.cronId));
  expect(ids.size).toBe(1);
  expect(await jobsAtGateway()).toHaveLength(1);
  await account.ok('DELETE', `${path}/${[...ids][0]}`);
});

test('what the gateway has lost is not found', async () => {
  const { cronId } = await account.ok('POST', path, job({ name: 'Lost' }));
  for (const { id } of await jobsAtGateway()) await removeCron(client, id);
  expect(await account.call('POST', `${path}/${cronId}/run`)).toMatchObject({ status: 404 });
  expect(await account.call('PATCH', `${path}/${cronId}`, { enabled: true })).toMatchObject({ status: 404 });
});
