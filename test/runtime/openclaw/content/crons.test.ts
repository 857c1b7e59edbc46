import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { z } from 'zod';
import { isRefusedCron } from '../../../../runtime/gateway/gateway-errors.ts';
import { sessionOf } from '../../../../runtime/openclaw/conversation/session-key.ts';
import { addCron, removeCron, runCron, updateCron } from '../../../../runtime/openclaw/content/crons.ts';
import type { CronRun, NewCron } from '../../../../runtime/gateway/gateway-jobs.ts';
import type { GatewayClient, GatewayEvent } from '../../../../runtime/openclaw/wire/gateway-client.ts';
import { fullTextOfRun } from '../../../../runtime/openclaw/conversation/run-text.ts';
import { listCronRuns, listCrons } from '../../../support/cron-lists.ts';
import { eventually } from '../../../support/eventually.ts';
import { AGENT, borrowGateway } from '../../../support/gateway-under-test.ts';
import type { GatewayUnderTest } from '../../../support/gateway-under-test.ts';
import { send, turnOf } from '../turns-under-test.ts';

const HOUR_MS = 3_600_000;
/** The most that the gateway's search finds. */
const SEARCH_HITS = 25;
const LONG = `${'All is well. '.repeat(300)}The end.`;

const searchAnswer = z.looseObject({ results: z.array(z.looseObject({ sessionId: z.string() })) });

let gateway: GatewayUnderTest;
let client: GatewayClient;
let events: GatewayEvent[];

beforeAll(async () => {
  gateway = await borrowGateway();
  client = await gateway.connect();
});
beforeEach(() => {
  events = [];
  client.onEvent((event) => events.push(event));
});
afterAll(() => gateway.close());

const newCron = (cronId: string, changes: Partial<NewCron> = {}): NewCron => ({
  cronId,
  agentId: AGENT,
  name: 'Digest',
  schedule: { kind: 'every', everyMs: HOUR_MS },
  message: '[[SAY Nothing new.]]',
  enabled: true,
  ...changes,
});
const ours = async () => (await listCrons(client)).filter(({ isInternal }) => !isInternal);

async function finishedRun(jobId: string): Promise<CronRun> {
  return eventually(() => {
    const found = events.find((event) => event.kind === 'cron-run' && event.run.jobId === jobId);
    if (found?.kind !== 'cron-run') throw new Error('The run has not ended');
    return found.run;
  });
}

/** The coming date on which Berlin changes its clocks in this month, at 01:00 UTC. */
function clockChange(month: 3 | 10): Date {
  const year = new Date().getUTCFullYear();
  const changes = [year, year + 1].map((of) => {
    const last = new Date(Date.UTC(of, month - 1, 31, 1));
    return new Date(last.getTime() - last.getUTCDay() * 24 * HOUR_MS);
  });
  return changes.find((change) => change.getTime() > Date.now() + 24 * HOUR_MS) ?? new Date(Number.NaN);
}

test('a local time that the clocks leave out waits for the next date that has it, and one that comes twice runs first', async () => {
  const [spring, autumn] = [clockChange(3), clockChange(10)];
  const yearly = (date: Date, cronId: string) =>
    addCron(
      client,
      newCron(cronId, {
        schedule: { kind: 'cron', expr: `30 2 ${date.getUTCDate()} ${date.getUTCMonth() + 1} *`, timeZone: 'Europe/Berlin' },
      }),
    );
  const left = await yearly(spring, 'cron_left');
  expect(left.nextRunAt?.getUTCFullYear()).toBeGreaterThan(spring.getUTCFullYear());
  const twice = await yearly(autumn, 'cron_twice_a_day');
  expect(twice.nextRunAt).toEqual(new Date(autumn.getTime() - HOUR_MS / 2));
  for (const { id } of [left, twice]) await removeCron(client, id);
});

test('a job that is added twice is one job, which can be changed and removed', async () => {
  const first = await addCron(client, newCron('cron_twice'));
  expect(await addCron(client, newCron('cron_twice'))).toMatchObject({ id: first.id });
  expect(await ours()).toMatchObject([{ id: first.id, cronId: 'cron_twice', agentId: AGENT, name: 'Digest', isInternal: false }]);
  const schedule = { kind: 'cron', expr: '0 9 * * 1-5', timeZone: 'Europe/Berlin' } as const;

  const changed = await updateCron(client, first.id, { name: 'Morning', schedule, message: 'Look.', enabled: false });

  expect(changed).toMatchObject({ id: first.id, name: 'Morning', schedule, message: 'Look.', enabled: false, nextRunAt: null });
  expect(await updateCron(client, first.id, { enabled: true })).toMatchObject({ nextRunAt: expect.any(Date) });
  await removeCron(client, first.id);
  await removeCron(client, first.id);
  expect(await ours()).toEqual([]);
  expect(await updateCron(client, first.id, { enabled: true })).toBeNull();
  expect(await runCron(client, first.id)).toBe(false);
});

test('what is no schedule, never runs, or is over is told from what passes', async () => {
  const wrong = [
    { kind: 'cron', expr: 'a b c d e', timeZone: 'UTC' },
    { kind: 'cron', expr: '0 0 30 2 *', timeZone: 'UTC' },
    { kind: 'at', at: '2020-01-01T00:00:00.000Z' },
  ] as const;
  for (const schedule of wrong) {
    const refused = await addCron(client, newCron('cron_wrong', { schedule })).catch((error: unknown) => error);
    expect([schedule, isRefusedCron(refused)]).toEqual([schedule, true]);
  }
  expect(await ours()).toEqual([]);
});

test('all that a run said is known while somebody listens, afterwards, and after the next run', async () => {
  const { id } = await addCron(client, newCron('cron_long', { message: `[[SAY ${LONG}]]` }));
  await runCron(client, id);
  const run = await finishedRun(id);
  expect(run).toMatchObject({ status: 'ok', jobName: 'Digest', agentId: AGENT });
  expect(run.summary.length).toBeLessThan(LONG.length);
  const heard = events.find((event) => event.kind === 'final' && event.sessionKey === run.session?.key);
  expect(await fullTextOfRun(client, run, heard?.kind === 'final' ? heard.text : null)).toEqual({
    text: LONG,
    isTruncated: false,
  });
  expect(await fullTextOfRun(client, run, null)).toEqual({ text: LONG, isTruncated: false });

  await updateCron(client, id, { message: '[[SAY Another day.]]' });
  events.length = 0;
  await runCron(client, id);
  const next = await finishedRun(id);

  expect(await fullTextOfRun(client, next, null)).toEqual({ text: 'Another day.', isTruncated: false });
  expect(await fullTextOfRun(client, run, null)).toEqual({ text: LONG, isTruncated: false });
  const runs = (await listCronRuns(client)).filter(({ jobId }) => jobId === id);
  expect(runs.map(({ runAtMs }) => runAtMs)).toEqual([next.runAtMs, run.runAtMs]);
  await removeCron(client, id);
});

test('what a run said is found behind more later texts about its job than a search of the gateway answers', async () => {
  const { id } = await addCron(client, newCron('cron_many', { message: `[[SAY ${LONG}]]` }));
  await runCron(client, id);
  const run = await finishedRun(id);
  await updateCron(client, id, { message: '[[SAY Another one.]]' });
  events.length = 0;
  // The last run of a job is found without a search.
  await runCron(client, id);
  await finishedRun(id);
  const about = Array.from({ length: SEARCH_HITS + 1 }, (_none, index) =>
    turnOf('conv_about', `msg_about_${index}`, `[[SAY Noted.]] ${id} ${id}`),
  );
  const sent = await Promise.all(about.map((turn) => send(client, turn)));
  await Promise.all(sent.map(({ result }) => result));
  const search = { query: id, limit: SEARCH_HITS };
  await eventually(async () => {
    const { results } = searchAnswer.parse(await client.request('sessions.search', search));
    expect(results).toHaveLength(SEARCH_HITS);
    expect(results.map(({ sessionId }) => sessionId)).not.toContain(run.sessionId);
  });

  expect(await fullTextOfRun(client, run, null)).toEqual({ text: LONG, isTruncated: false });
  await removeCron(client, id);
});

test('of a run that the gateway has forgotten the summary is left, and said to be cut', async () => {
  const run = {
    jobId: 'gone',
    status: 'ok',
    jobName: null,
    agentId: AGENT,
    error: null,
    errorReason: null,
    isDelivered: false,
    runAtMs: 1,
    endedAtMs: 2,
  } as const;
  const place = { session: sessionOf(`agent:${AGENT}:cron:gone:run:nothing`), sessionId: 'nothing' };
  const summary = `${LONG.slice(0, 1_999)}…`;
  expect(await fullTextOfRun(client, { ...run, ...place, summary }, null)).toEqual({ text: summary, isTruncated: true });
  expect(await fullTextOfRun(client, { ...run, ...place, summary }, 'Something else.')).toMatchObject({ isTruncated: true });
});

test('a run whose model fails says so', async () => {
  const { id } = await addCron(client, newCron('cron_fails', { message: '[[FAIL 400]]' }));
  await runCron(client, id);
  expect(await finishedRun(id)).toMatchObject({ status: 'error' });
  await removeCron(client, id);
});

test('a job that is moved to a single moment stays after its run, switched off', async () => {
  const { id } = await addCron(client, newCron('cron_moved'));
  const at = new Date(Date.now() + 10_000).toISOString();
  await updateCron(client, id, { schedule: { kind: 'at', at } });
  await finishedRun(id);

  await eventually(async () => expect(await ours()).toMatchObject([{ id, enabled: false, nextRunAt: null }]));
  await removeCron(client, id);
});
