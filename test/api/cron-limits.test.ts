import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { listCrons } from '../support/cron-lists.ts';
import { startLiveAgent } from './live-agent.ts';
import type { LiveAgent } from './live-agent.ts';
import { makeRunning, newAgent } from './rows.ts';

/** What one gateway takes of a kind in a minute. */
const LIMIT = 30;
const MINUTE_MS = 60_000;
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
/** The paths of all jobs. */
async function listed(): Promise<string[]> {
  const page: { crons: { cronId: string }[] } = await live.account.ok('GET', `${crons}?limit=200`);
  return page.crons.map(({ cronId }) => `${crons}/${cronId}`);
}

type Answer = Awaited<ReturnType<typeof call>>;

/** The seconds that a refused call says to wait, which must be true whole ones. */
function expectTooMany({ status, body, headers }: Answer): number {
  expect([status, body.error.code]).toEqual([429, 'rate_limited']);
  const seconds = Number(headers.get('retry-after'));
  expect(Number.isInteger(seconds) && seconds >= 1 && seconds <= 60).toBe(true);
  expect(body.error.message).toContain(`${seconds} s`);
  return seconds;
}

/** Of this many calls since this moment, those that a gateway has taken: on a slow machine they last longer than its minute. */
function expectLimited(taken: number, calls: number, begunAt: number): void {
  const minutes = 1 + Math.floor((performance.now() - begunAt) / MINUTE_MS);
  expect(taken).toBeGreaterThanOrEqual(Math.min(LIMIT, calls));
  expect(taken).toBeLessThanOrEqual(Math.min(LIMIT * minutes, calls));
}

/** Makes these calls until the first one is refused, and answers how many were done before it. */
async function callUntilRefused(calls: readonly (() => Promise<Answer>)[]): Promise<number> {
  const begunAt = performance.now();
  for (const [done, next] of calls.entries()) {
    const answer = await next();
    if (answer.status === 200) continue;
    expectTooMany(answer);
    expectLimited(done, calls.length, begunAt);
    return done;
  }
  expectLimited(calls.length, calls.length, begunAt);
  return calls.length;
}

test('what a gateway does not take for a minute is refused with the true wait, leaves nothing behind, and goes on then', async () => {
  const begunAt = performance.now();
  const tries: { answer: Answer; again: () => Promise<Answer> }[] = [];
  for (let times = 0; times < LIMIT + 10; times += 1) {
    const add = () => call('POST', crons, job, { 'idempotency-key': `job-${times}` });
    tries.push({ answer: await add(), again: add });
  }
  // The agents of an instance share what its gateway takes.
  const ofSecond = await call('POST', second, job);
  if (performance.now() - begunAt < MINUTE_MS) expectTooMany(ofSecond);
  const refused = tries.filter(({ answer }) => answer.status !== 201);
  const added = tries.length - refused.length;
  expectLimited(added, tries.length, begunAt);
  const seconds = refused.map(({ answer }) => expectTooMany(answer)).at(-1) ?? 0;
  expect(await jobsAtGateway()).toHaveLength(added);
  expect(await listed()).toHaveLength(added);
  expect(await live.api.sql('select id from cron_jobs where gateway_job_id is null')).toEqual([]);

  await sleep(seconds * 1_000);

  // The same call, where one was refused: a slow machine has them all done in more than a minute.
  const again = await Promise.all(refused.slice(-1).map((last) => last.again()));
  expect(again.map(({ status }) => status)).toEqual(refused.slice(-1).map(() => 201));
  expect(await jobsAtGateway()).toHaveLength(added + again.length);
  expect(await listed()).toHaveLength(added + again.length);
});

/** With the jobs that the test before has left. */
test('changes, runs and deletions beyond what a gateway takes are refused with the true wait, and change nothing', async () => {
  const jobs = await listed();
  const [first] = jobs;
  const patched = await callUntilRefused(jobs.map((path) => () => call('PATCH', path, { name: 'Renamed' })));
  await callUntilRefused(jobs.map(() => () => call('POST', `${first}/run`)));
  const deleted = await callUntilRefused(jobs.map((path) => () => call('DELETE', path)));
  const names = jobs.map((_, index) => (index < patched ? 'Renamed' : 'Digest')).slice(deleted);
  expect(await listed()).toEqual(jobs.slice(deleted));
  expect((await jobsAtGateway()).map(({ name }) => name)).toEqual(names);
});
