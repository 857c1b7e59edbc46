import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { createOrm } from '../../database/orm.ts';
import { readRecord } from '../../runtime/process/gateway-record.ts';
import { layoutOf } from '../../runtime/host/runtime-layout.ts';
import type { ApiClient } from '../support/api-client.ts';
import { campaignRounds, createDice, describeCounts, reportCampaign } from '../support/campaign.ts';
import type { Dice } from '../support/campaign.ts';
import { eventually, PATIENCE_MS, TEST_LIMIT_MS } from '../support/eventually.ts';
import { insist } from '../support/patient-client.ts';
import { countAnswers, controlScripted } from '../support/scripted-gateway/scripted-control.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { installScriptedOpenClaw } from '../support/stand-in-openclaw.ts';
import type { StandIn } from '../support/stand-in-openclaw.ts';

/** Of a long campaign; the one round of `npm test` has a third of them. */
const SLEEPERS = campaignRounds() > 1 ? 12 : 4;
/** A job may begin so late without a word about it unless its gateway was killed meanwhile. */
const ON_TIME_MS = 15_000;

interface Sleeper {
  instanceId: string;
  runtimeId: string;
  /** Of its agent. */
  path: string;
}

let openClaw: StandIn;
let stack: StackUnderTest;
let orm: MikroORM;
let account: ApiClient;
const done = { messages: 0, jobs: 0, stops: 0, deletes: 0, workers: 0, apis: 0, gateways: 0, suspended: 0 };

beforeAll(async () => {
  openClaw = await installScriptedOpenClaw();
  // Where the machine has swap they are suspended, else stopped.
  const env = { MAX_RUNNING: '64', MAX_INSTANCES_PER_ACCOUNT: '1000', SUSPEND: 'auto' };
  stack = await startStack({ openClaw, env, workerFile: join(import.meta.dirname, '../sleepy-worker/main.ts') });
  orm = await createOrm(stack.databaseUrl);
  account = await stack.newAccount();
});
afterAll(async () => {
  await orm?.close();
  await stack?.close();
  await openClaw?.remove();
});

const query = <T>(statement: string, values: unknown[] = []): Promise<T[]> => orm.em.fork().execute<T[]>(statement, values);

/** An instance that falls asleep after a second. */
async function newSleeper(): Promise<Sleeper> {
  const created = await insist(account, { method: 'POST', path: '/instances', body: { name: 'sleeper' }, key: randomUUID() });
  const { instanceId } = created.body;
  const agents = `/instances/${instanceId}/agents`;
  const body = { name: 'a', slug: 'agent', displayName: 'Agent' };
  const { agentId } = (await insist(account, { method: 'POST', path: agents, body, key: randomUUID() })).body;
  const path = `${agents}/${agentId}/messages`;
  await eventually(async () => expect(await account.ok('GET', `${agents}/${agentId}`)).toMatchObject({ status: 'active' }));
  const [row] = await query<{ runtimeId: string }>(
    'update instances set sleep_after_ms = 1000 where id = ? returning runtime_id as "runtimeId"',
    [instanceId],
  );
  if (!row) throw new Error('The instance has no row');
  return { instanceId, runtimeId: row.runtimeId, path };
}

test(
  'whatever wakes, stops, deletes and dies, every message is answered once, every job runs once, and who is not used sleeps',
  async () => {
    const dice = createDice('sleepers');
    const sleepers = await Promise.all(Array.from({ length: SLEEPERS }, () => newSleeper()));
    for (let round = 1; round <= campaignRounds(); round += 1) {
      const works = sleepers.map((sleeper, place) => work(dice, sleepers, { sleeper, place }));
      const kills = killEach(dice);
      await Promise.all([...works, kills]);
      await allAsleep(sleepers, round);
    }
    const outcome = `${campaignRounds()} rounds over ${SLEEPERS} instances, ${describeCounts(done)}: every message answered once, every job run once`;
    await reportCampaign({ name: 'sleepers', seed: dice.seed, counts: done, outcome, file: import.meta.filename });
  },
  TEST_LIMIT_MS * campaignRounds(),
);

interface Place {
  sleeper: Sleeper;
  place: number;
}

/** What one instance goes through in a round. */
async function work(dice: Dice, sleepers: Sleeper[], { sleeper, place }: Place): Promise<void> {
  const kind = dice.below(10);
  const pauses = Array.from({ length: 1 + dice.below(3) }, () => dice.below(3_000));
  if (kind < 6) return talk(sleeper, pauses);
  if (kind < 8) return runJob(sleeper, 20_000 + dice.below(10_000));
  if (kind < 9) return stopAndStart(sleeper, pauses);
  await insist(account, { method: 'DELETE', path: `/instances/${sleeper.instanceId}` });
  done.deletes += 1;
  sleepers[place] = await newSleeper();
}

async function talk({ path, runtimeId }: Sleeper, pauses: readonly number[]): Promise<void> {
  const control = controlScripted(layoutOf(stack.dataDir, runtimeId).stateDir);
  for (const pauseMs of pauses) {
    await sleep(pauseMs);
    const body = { message: `Hello ${randomUUID()}`, timeoutMs: PATIENCE_MS };
    const { status, body: reply } = await insist(account, { method: 'POST', path, body, key: randomUUID() });
    expect([status, reply.status]).toEqual([200, 'completed']);
    expect(countAnswers(control, reply.messageId)).toBe(1);
    done.messages += 1;
  }
}

/** Adds a job for one moment: far enough ahead for the instance to fall asleep meanwhile. */
function addJob({ path }: Sleeper, afterMs: number): Promise<{ name: string; at: Date }> {
  return eventually(async () => {
    const [name, at] = [`job-${randomUUID()}`, new Date(Date.now() + afterMs)];
    const body = { name, message: 'Say hello', schedule: { kind: 'at', at: at.toISOString() } };
    expect((await account.call('POST', path.replace(/messages$/, 'crons'), body)).status).toBe(201);
    return { name, at };
  });
}

async function runJob(sleeper: Sleeper, afterMs: number): Promise<void> {
  const { instanceId } = sleeper;
  const begunAt = new Date();
  const { name, at } = await addJob(sleeper, afterMs);
  const runs = () =>
    query<{ lateMs: number | null; type: string; ranAt: Date }>(
      `select late_ms as "lateMs", type, (select last_run_at from cron_jobs where name = ? and instance_id = ?) as "ranAt"
         from events where instance_id = ? and job_name = ?`,
      [name, instanceId, instanceId, name],
    );
  await eventually(async () => expect(await runs()).toHaveLength(1));
  const [run] = await runs();
  expect(run?.type).toBe('cron.completed');
  const deaths = await query('select 1 from instances, unnest(deaths) as death where id = ? and death > ?', [
    instanceId,
    begunAt,
  ]);
  if (run?.lateMs == null && deaths.length === 0)
    expect(new Date(run?.ranAt ?? 0).getTime() - at.getTime()).toBeLessThan(ON_TIME_MS);
  done.jobs += 1;
}

async function stopAndStart({ instanceId, path }: Sleeper, pauses: readonly number[]): Promise<void> {
  for (const pauseMs of pauses) {
    const message = account.call('POST', path, { message: 'Hello', timeoutMs: PATIENCE_MS }).catch(() => null);
    await sleep(pauseMs);
    await insist(account, { method: 'POST', path: `/instances/${instanceId}/stop` });
    done.stops += 1;
    await message;
    await eventually(async () =>
      expect(await account.ok('GET', `/instances/${instanceId}`)).toMatchObject({ status: 'stopped', transition: null }),
    );
    await insist(account, { method: 'POST', path: `/instances/${instanceId}/start` });
  }
}

/** SIGKILL to each kind of process, in some order and at some moments. */
async function killEach(dice: Dice): Promise<void> {
  const moments = (['worker', 'api', 'gateway', 'gateway'] as const).map((what) => ({ what, at: dice.next() }));
  for (const { what } of moments.toSorted((one, other) => one.at - other.at)) {
    await sleep(dice.below(5_000));
    if (what === 'gateway') await killGateway(dice);
    else {
      await stack.kill(what);
      await stack.start(what);
      done[what === 'api' ? 'apis' : 'workers'] += 1;
    }
  }
}

async function killGateway(dice: Dice): Promise<void> {
  const alive = (await stack.driver.list()).filter(({ status }) => status === 'running' || status === 'suspended');
  if (alive.length === 0) return;
  const record = await readRecord(layoutOf(stack.dataDir, dice.pick(alive).runtimeId));
  try {
    if (!record) return;
    process.kill(record.pid, 'SIGKILL');
    done.gateways += 1;
  } catch {
    // It was gone already.
  }
}

/** Each comes to rest asleep: its gateway gone or suspended, no slot, no open meter, and its bill is what it was awake. */
async function allAsleep(sleepers: readonly Sleeper[], round: number): Promise<void> {
  const ids = sleepers.map(({ instanceId }) => instanceId);
  await eventually(async () => {
    const found = await query(
      `select status, sleep_state, boot_id, has_slot, gateway_epoch = 0 or suspended_at is not null as is_at_rest, status_open from instances
        cross join lateral (select count(*)::int as status_open from runtime_intervals where instance_id = instances.id and ended_at is null) open
        where instances.id in (${ids.map(() => '?').join(', ')})`,
      ids,
    );
    const atRest = { status: 'stopped', sleep_state: 'asleep', boot_id: null, has_slot: false, is_at_rest: true, status_open: 0 };
    expect([round, found]).toEqual([round, sleepers.map(() => atRest)]);
  });
  const runtimes = await stack.driver.list();
  expect(runtimes.filter(({ status }) => status === 'running')).toEqual([]);
  done.suspended += runtimes.filter(({ status }) => status === 'suspended').length;
  for (const instanceId of ids) {
    const { totalRuntimeMs, billedMs } = await account.ok('GET', `/instances/${instanceId}`);
    expect(billedMs).toBeLessThanOrEqual(totalRuntimeMs);
  }
}
