import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from '@jest/globals';
import { requestRestart } from '../../database/instances/lifecycle/request-restart.ts';
import { endSuspension } from '../../database/instances/sleep/suspended.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { stopLocally } from '../../worker/local-stop.ts';
import { attempt } from '../activities/kill-points.ts';
import { eventually } from '../support/eventually.ts';
import { requireSwap } from '../support/swap-under-test.ts';
import { WEDGED } from './gateway-outcomes.ts';
import { productForEach } from './product-under-test.ts';
import type { InstanceUnderTest, ProductUnderTest } from './product-under-test.ts';

let product: ProductUnderTest;
let instance: InstanceUnderTest;
/** What the watcher takes the machine's swap for. */
const swap = { totalBytes: 100, freeBytes: 100 };

beforeAll(requireSwap);

productForEach(
  (...given) => {
    [product, instance] = given;
    // On a busy machine a gateway may take longer than a customer should wait for it.
    product.reconciler.deps.resumeMs = 60_000;
  },
  {
    sleep: { everyMs: 100, leastRestMs: 6_000, leastLeadMs: 5_000, suspendedLaterMs: 1_000 },
    suspend: 'auto',
    readSwap: async () => swap,
  },
);

const dozes = (afterMs = 300) => instance.sql(`update instances set sleep_after_ms = ${afterMs} where id = ? returning id`);
const runtime = async () => (await product.reconciler.driver.inspect(instance.runtimeId)).status;

const sweep = () => attempt(() => product.reconciler.activities.sweepDrift());

async function standing() {
  const [row] = await instance.sql(
    `select boot_id as "bootId", suspended_at is not null as "isSuspended", has_slot as "hasSlot", array_length(deaths, 1) as deaths,
            (select count(*)::int from runtime_intervals where instance_id = instances.id and ended_at is null) as "openIntervals"
       from instances where id = ?`,
  );
  return row;
}

const AT_REST = { bootId: null, hasSlot: false, deaths: null, openIntervals: 0 };

async function suspended(): Promise<void> {
  await eventually(async () => {
    expect(await instance.view()).toMatchObject({ status: 'stopped', desiredStatus: 'running', sleepState: 'asleep' });
    expect(await standing()).toEqual({ ...AT_REST, isSuspended: true });
  });
  expect(await runtime()).toBe('suspended');
}

/** It sleeps on, and no gateway of it is left. */
async function stopped(): Promise<void> {
  await eventually(async () => {
    expect(await standing()).toEqual({ ...AT_REST, isSuspended: false });
    expect(await runtime()).toBe('exited');
  });
  expect(await instance.view()).toMatchObject({ status: 'stopped', desiredStatus: 'running', sleepState: 'asleep' });
}

async function answers(): Promise<void> {
  const messageId = await instance.say('Hello');
  expect(await instance.end(messageId)).toMatchObject({ status: 'completed' });
  expect(instance.answersTo(messageId)).toBe(1);
}

test('an idle instance is suspended, holds nothing meanwhile, and ten messages at once wake the same gateway once', async () => {
  await dozes();
  await suspended();
  const { totalRuntimeMs } = await instance.view();
  await sweep();
  await product.reconciler.reconcile(instance.instanceId);
  expect(await instance.view()).toMatchObject({ sleepState: 'asleep', totalRuntimeMs });
  const said = await Promise.all(Array.from({ length: 10 }, (_, index) => instance.say(`Hello ${index}`, `c${index % 3}`)));
  for (const messageId of said) {
    expect(await instance.end(messageId)).toMatchObject({ status: 'completed' });
    expect(instance.answersTo(messageId)).toBe(1);
  }
  expect(instance.starts()).toBe(1);
});

test('the message that wakes a gateway is its proof that it takes turns, and waits for no other one', async () => {
  await dozes();
  await suspended();
  const refusal = { code: 'UNAVAILABLE', message: WEDGED };
  instance.control.misbehave({ kind: 'refuse-call', method: 'sessions.groups.rename', ...refusal });
  await answers();
  expect(instance.starts()).toBe(1);
});

test('a message at any instant of suspending and of resuming is answered, once', async () => {
  await dozes(1);
  for (let round = 0; round < 8; round += 1) {
    await sleep(round * 60);
    await answers();
  }
});

test('a gateway that is killed while it is suspended is no death, is not charged, and the next one answers', async () => {
  await dozes();
  await suspended();
  const { totalRuntimeMs } = await instance.view();
  await product.reconciler.killGateway(instance.runtimeId);
  await eventually(async () => expect(await runtime()).toBe('exited'));
  await sweep();
  await stopped();
  expect(await instance.view()).toMatchObject({ totalRuntimeMs });
  await answers();
  expect(instance.starts()).toBe(2);
});

test('a message to one whose gateway was killed unseen is answered by a new one', async () => {
  await dozes();
  await suspended();
  await product.reconciler.killGateway(instance.runtimeId);
  await answers();
  expect(instance.starts()).toBe(2);
  expect(await standing()).toMatchObject({ deaths: null });
});

test('a gateway that does not answer in time once it is resumed is replaced', async () => {
  await dozes();
  await suspended();
  product.reconciler.deps.resumeMs = 0;
  await answers();
  expect(instance.starts()).toBe(2);
  expect(await standing()).toMatchObject({ deaths: null });
});

test('a starved machine gives a gateway more time to answer, because a start would take much longer', async () => {
  await dozes();
  await suspended();
  const { deps, machine } = product.reconciler;
  deps.resumeMs = 0;
  machine.isStarved = true;
  try {
    await answers();
  } finally {
    machine.isStarved = false;
  }
  expect(instance.starts()).toBe(1);
});

test('where swap is short the gateway that is suspended for longest is stopped, and its instance sleeps on', async () => {
  await dozes();
  await suspended();
  try {
    swap.freeBytes = 9;
    await stopped();
  } finally {
    swap.freeBytes = 100;
  }
  await answers();
});

test('a gateway that is suspended for long is stopped, also while a message wakes it', async () => {
  await dozes();
  await suspended();
  await instance.sql(`update instances set suspended_at = now() - interval '2 hours' where id = ? returning id`);
  await stopped();
  await answers();
  await suspended();
  const { orm } = product.reconciler;
  const message = instance.say('Hello');
  await runTransaction(orm.em, (em) => endSuspension(em, instance.instanceId));
  expect(await instance.end(await message)).toMatchObject({ status: 'completed' });
});

test('what needs a new process while the gateway is suspended has one at the next wake', async () => {
  await dozes();
  await suspended();
  const { orm } = product.reconciler;
  const { instanceId } = instance;
  expect(await runTransaction(orm.em, (em) => requestRestart(em, { instanceId, now: new Date() }))).toBe(false);
  await answers();
  expect(instance.starts()).toBe(2);
});

test('a stop of one that is suspended, and of one that is resumed just now, leaves no process', async () => {
  await dozes();
  await suspended();
  const stop = async () => {
    await product.reconciler.power(instance.instanceId, 'stop');
    await product.reconciler.wake(instance.instanceId);
    await eventually(async () => {
      expect(await instance.view()).toMatchObject({ status: 'stopped', desiredStatus: 'stopped', sleepState: 'awake' });
      expect(await runtime()).toBe('exited');
    });
  };
  await stop();
  await product.reconciler.power(instance.instanceId, 'start');
  await product.reconciler.wake(instance.instanceId);
  await suspended();
  const message = await instance.say('Hello');
  await eventually(async () => expect((await instance.view()).sleepState).not.toBe('asleep'));
  await stop();
  expect((await instance.end(message)).status).toMatch(/completed|failed/);
});

test('a stop of the machine ends what is suspended, and the instance sleeps on', async () => {
  await dozes();
  await suspended();
  const { orm, driver, deps } = product.reconciler;
  await stopLocally({ orm, driver, connections: deps.connections, clock: deps.clock, log: deps.log });
  expect(await runtime()).toBe('exited');
  await sweep();
  await stopped();
  await answers();
});
