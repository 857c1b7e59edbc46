import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { stopLocally } from '../../worker/local-stop.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { productForEach } from './product-under-test.ts';
import type { InstanceUnderTest, ProductUnderTest } from './product-under-test.ts';

let product: ProductUnderTest;
let instance: InstanceUnderTest;

productForEach(
  (...given) => {
    [product, instance] = given;
  },
  // A busy machine takes seconds to fall asleep and to wake.
  { sleep: { everyMs: 100, leastRestMs: 16_000, leastLeadMs: 15_000, suspendedLaterMs: 1_000 } },
);

const dozes = (afterMs = 300) => instance.sql(`update instances set sleep_after_ms = ${afterMs} where id = ? returning id`);

/** It has fallen asleep, and no gateway of it is left. */
async function asleep(): Promise<void> {
  await eventually(async () => {
    expect(await instance.view()).toMatchObject({ status: 'stopped', desiredStatus: 'running', sleepState: 'asleep' });
    expect(await standing()).toMatchObject({ openIntervals: 0, hasSlot: false, gatewayEpoch: '0', bootId: null });
  });
}

async function standing() {
  const [row] = await instance.sql(
    `select boot_id as "bootId", gateway_epoch::text as "gatewayEpoch", has_slot as "hasSlot", array_length(deaths, 1) as deaths,
            (select count(*)::int from runtime_intervals where instance_id = instances.id and ended_at is null) as "openIntervals"
       from instances where id = ?`,
  );
  return row;
}

const running = () =>
  eventually(async () => expect(await instance.view()).toMatchObject({ status: 'running', sleepState: 'awake' }));
const isRunning = async () => (await product.reconciler.driver.inspect(instance.runtimeId)).status === 'running';

test('an idle instance falls asleep: its meter, its slot and its gateway are given back, and it is no death', async () => {
  await dozes();
  await asleep();
  expect(await isRunning()).toBe(false);
  expect(await standing()).toMatchObject({ deaths: null });
  const { totalRuntimeMs } = await instance.view();
  await product.reconciler.activities.sweepDrift().catch(() => undefined);
  await product.reconciler.reconcile(instance.instanceId);
  expect(await instance.view()).toMatchObject({ status: 'stopped', sleepState: 'asleep', totalRuntimeMs });
  expect(instance.starts()).toBe(1);
});

test('ten messages at once wake a sleeper once, and each is answered once, those of a conversation in their order', async () => {
  await dozes();
  await asleep();
  const conversations = Array.from({ length: 10 }, (_, index) => `c${index % 3}`);
  const said = await Promise.all(conversations.map((conversation, index) => instance.say(`Hello ${index}`, conversation)));
  for (const messageId of said) {
    expect(await instance.end(messageId)).toMatchObject({ status: 'completed' });
    expect(instance.answersTo(messageId)).toBe(1);
  }
  expect(instance.starts()).toBe(2);
  const [{ inOrder }] = (await instance.sql<{ inOrder: boolean }>(
    `select bool_and(before) as "inOrder" from (
       select coalesce(lag(ended_at) over (partition by conversation_id order by number) <= ended_at, true) as before
         from messages where instance_id = ? and role = 'agent') turns`,
  )) as [{ inOrder: boolean }];
  expect(inOrder).toBe(true);
  await running();
});

test('a message at any instant of falling asleep is answered, once', async () => {
  await dozes(1);
  for (let round = 0; round < 5; round += 1) {
    await sleep(round * 60);
    const messageId = await instance.say(`Hello ${round}`);
    expect(await instance.end(messageId)).toMatchObject({ status: 'completed' });
    expect(instance.answersTo(messageId)).toBe(1);
  }
});

test('a stop of a sleeper, and of one that wakes, leaves it stopped, and its waiting message ends', async () => {
  await dozes();
  await asleep();
  await product.reconciler.power(instance.instanceId, 'stop');
  await product.reconciler.reconcile(instance.instanceId);
  expect(await instance.view()).toMatchObject({ status: 'stopped', desiredStatus: 'stopped', sleepState: 'awake' });
  await expect(instance.say('Hello')).rejects.toMatchObject({ code: 'instance_not_ready' });

  await product.reconciler.power(instance.instanceId, 'start');
  await product.reconciler.reconcile(instance.instanceId);
  await asleep();
  instance.control.misbehave({ kind: 'start-late', afterMs: 20_000 }, { survivesRestart: true });
  const messageId = await instance.say('Hello');
  await eventually(async () => expect(await instance.view()).toMatchObject({ sleepState: 'waking', status: 'provisioning' }));
  await product.reconciler.power(instance.instanceId, 'stop');
  await product.reconciler.wake(instance.instanceId);
  expect(await instance.end(messageId)).toMatchObject({ status: 'failed', errorReason: 'instance_stopped' });
  await eventually(async () => expect(await instance.view()).toMatchObject({ status: 'stopped', desiredStatus: 'stopped' }));
  expect(await isRunning()).toBe(false);
});

test('a sleeper without money refuses a message, and wakes by the next one once there is credit', async () => {
  await dozes();
  await asleep();
  const setMoney = (nanoUsd: string) =>
    instance.sql(
      `update accounts set balance_nano_usd = ${nanoUsd} where id = (select account_id from instances where id = ?) returning id`,
    );
  await setMoney('0');
  await expect(instance.say('Hello')).rejects.toMatchObject({ code: 'payment_required' });
  // A job that is due does not wake it either.
  await instance.sql(`update instances set wakes_at = now() where id = ? returning id`);
  await eventually(async () => {
    const [postponed] = await instance.sql(`select wakes_at > now() as "isLater" from instances where id = ?`);
    expect(postponed).toEqual({ isLater: true });
  });
  expect(await instance.view()).toMatchObject({ sleepState: 'asleep' });
  await setMoney('50000000000');
  expect(await instance.end(await instance.say('Hello'))).toMatchObject({ status: 'completed' });
});

async function addJob(afterMs: number): Promise<void> {
  const { runtimeId, gatewayAgentId } = instance;
  const { connections } = product.reconciler.deps;
  const gateway = await connections.get(runtimeId, AbortSignal.timeout(PATIENCE_MS));
  const schedule = { kind: 'at', at: new Date(Date.now() + afterMs).toISOString() } as const;
  const cronId = product.reconciler.makeId('cron');
  await gateway.jobs.add({ cronId, agentId: gatewayAgentId, name: 'Reminder', schedule, message: 'Say hello', enabled: true });
}

const runsOfJobs = () =>
  instance.sql<{ lateMs: number | null }>(
    `select late_ms as "lateMs" from events where instance_id = ? and type = 'cron.completed'`,
  );

test('a sleeper wakes early enough for its next job, which runs once and on time', async () => {
  await addJob(40_000);
  await dozes();
  await asleep();
  expect((await instance.view()).wakesAtMs).not.toBeNull();
  await eventually(async () => expect(await runsOfJobs()).toEqual([{ lateMs: null }]));
  expect(instance.starts()).toBe(2);
});

test('a job whose moment passed before the instance was awake again says how late it ran', async () => {
  await addJob(30_000);
  await dozes();
  await asleep();
  // As if the worker had been away.
  await instance.sql(
    `update instances set wakes_at = (select next_run_at + interval '1 second' from cron_jobs where instance_id = instances.id)
      where id = ? returning id`,
  );
  await eventually(async () => expect(await runsOfJobs()).toEqual([{ lateMs: expect.any(Number) }]));
});

test('a machine that stops and starts with a sleeper leaves it asleep', async () => {
  await dozes();
  await asleep();
  const { orm, driver, deps } = product.reconciler;
  await stopLocally({ orm, driver, connections: deps.connections, clock: deps.clock, log: deps.log });
  await product.reconciler.reconcile(instance.instanceId);
  expect(await instance.view()).toMatchObject({ status: 'stopped', desiredStatus: 'running', sleepState: 'asleep' });
  expect(await instance.end(await instance.say('Hello'))).toMatchObject({ status: 'completed' });
});
