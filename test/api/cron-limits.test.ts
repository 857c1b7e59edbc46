import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { listCrons } from '../support/cron-lists.ts';
import { startLiveAgent } from './live-agent.ts';
import type { LiveAgent } from './live-agent.ts';
import { makeRunning, newAgent } from './rows.ts';

/** What one gateway takes of a kind in a minute. */
const LIMIT = 30;
const DAILY = { kind: 'cron', expr: '0 9 * * *' };

let live: LiveAgent;
let crons: string;
/** Of another agent of the same instance. */
let second: string;

beforeAll(async () => {
  live = await startLiveAgent();
  const { api, account, instanceId, client } = live;
  crons = `${live.path}/crons`;
  await api.sql(`update instances set status = 'provisioning' where id = ? returning id`, [instanceId]);
  second = `/instances/${instanceId}/agents/${await newAgent(account, instanceId, 'second')}/crons`;
  await makeRunning(api, instanceId, client.bootId);
});

afterAll(() => live?.close());

const job = { name: 'Digest', schedule: DAILY, message: '[[SAY Nothing new.]]', enabled: false };
const call = (method: string, path: string, body?: object, headers: Record<string, string> = {}) =>
  live.account.call(method, path, body, { headers });
const jobsAtGateway = async () => (await listCrons(live.client)).filter(({ isInternal }) => !isInternal);
const listed = async (): Promise<{ cronId: string }[]> => (await live.account.ok('GET', `${crons}?limit=200`)).crons;

type Answer = Awaited<ReturnType<typeof call>>;

/** The seconds that a refused call says to wait, which must be true whole ones. */
function expectTooMany({ status, body, headers }: Answer): number {
  expect([status, body.error.code]).toEqual([429, 'rate_limited']);
  const seconds = Number(headers.get('retry-after'));
  expect(Number.isInteger(seconds) && seconds >= 1 && seconds <= 60).toBe(true);
  expect(body.error.message).toContain(`${seconds} s`);
  return seconds;
}

/** Makes these calls until the first one is refused: that answer, and how many were done before it. */
async function callUntilRefused(calls: readonly (() => Promise<Answer>)[]): Promise<{ done: number; refused: Answer }> {
  for (const [done, next] of calls.entries()) {
    const answer = await next();
    if (answer.status !== 200) return { done, refused: answer };
  }
  throw new Error('No call was refused');
}

test('what a gateway does not take for a minute is refused with the true wait, leaves nothing behind, and goes on then', async () => {
  const answers: Answer[] = [];
  // No more than that: on a slow machine, they must all come within its minute.
  for (let times = 0; times < LIMIT + 10; times += 1) answers.push(await call('POST', crons, job));
  const added = answers.filter(({ status }) => status === 201);
  expect(added).toHaveLength(LIMIT);
  for (const refused of answers.filter(({ status }) => status !== 201)) expectTooMany(refused);
  expect(await jobsAtGateway()).toHaveLength(LIMIT);
  expect(await listed()).toHaveLength(LIMIT);
  expect(await live.api.sql('select id from cron_jobs where gateway_job_id is null')).toEqual([]);
  const keyed = { 'idempotency-key': 'the-31st' };
  const seconds = expectTooMany(await call('POST', crons, job, keyed));
  // The agents of an instance share what its gateway takes.
  expectTooMany(await call('POST', second, job));

  await sleep(seconds * 1_000);

  expect(await call('POST', crons, job, keyed)).toMatchObject({ status: 201 });
  expect(await jobsAtGateway()).toHaveLength(LIMIT + 1);
  expect(await listed()).toHaveLength(LIMIT + 1);
});

/** With the jobs that the test before has left. */
test('changes, runs and deletions beyond what a gateway takes are refused with the true wait, and change nothing', async () => {
  const ids = (await listed()).map(({ cronId }) => cronId);
  const [first] = ids;
  const of = (method: string, rest: string, body?: object) => ids.map((id) => () => call(method, `${crons}/${id}${rest}`, body));

  const calls = [
    of('PATCH', '', { name: 'Renamed' }),
    ids.map(() => () => call('POST', `${crons}/${first}/run`)),
    of('DELETE', ''),
  ];
  for (const kind of calls) {
    const { done, refused } = await callUntilRefused(kind);
    expect(done).toBe(LIMIT);
    expectTooMany(refused);
  }
  expect(await listed()).toMatchObject([{ name: 'Digest' }]);
  expect(await jobsAtGateway()).toMatchObject([{ name: 'Digest' }]);
});
