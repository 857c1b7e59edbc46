import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { finishMove, finishVacate, giveUpMove } from '../../../database/moves/finish-move.ts';
import { beginBreakdown } from '../../../database/instances/lifecycle/begin-breakdown.ts';
import { beginStep } from '../../../database/instances/lifecycle/begin-step.ts';
import { fallAsleep } from '../../../database/instances/sleep/fall-asleep.ts';
import { endSuspension } from '../../../database/instances/sleep/suspended.ts';
import { finishSleep } from '../../../database/instances/sleep/finish-sleep.ts';
import { wakeForTurns, wakeSleeper } from '../../../database/instances/sleep/wake-sleeper.ts';
import type { WorkingStep } from '../../../domain/lifecycle.ts';
import { SLEEP_PACE } from '../../../domain/sleep.ts';
import { changeLifecycle } from '../../../database/instances/lifecycle/change-lifecycle.ts';
import { changePower } from '../../../database/instances/lifecycle/change-power.ts';
import { findLifecycle } from '../../../database/instances/lifecycle/find-lifecycle.ts';
import type { InstanceLifecycle } from '../../../database/instances/lifecycle/find-lifecycle.ts';
import { finishStop, noteGatewayGone, releaseGateway } from '../../../database/instances/lifecycle/finish-stop.ts';
import { markContentApplied } from '../../../database/content/gateway-content.ts';
import { lookAgain } from '../../../database/instances/look-again.ts';
import { noteDeath } from '../../../database/instances/note-death.ts';
import { publishRunning } from '../../../database/instances/lifecycle/publish-running.ts';
import { enterError, recordFailedStart } from '../../../database/instances/lifecycle/record-step-failure.ts';
import { finishDestroy } from '../../../database/instances/lifecycle/remove-instance.ts';
import { requestRestart } from '../../../database/instances/lifecycle/request-restart.ts';
import { takeSlot } from '../../../database/instances/slots.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { query, run, sql } from '../../../database/sql.ts';
import { converged, nextStep, takesMessages } from '../../../domain/lifecycle.ts';
import { makeId, newInstance } from '../../factories.ts';
import { openTestOrm } from '../../support/test-database.ts';
import type { TestOrm } from '../../support/test-database.ts';

// Whatever happens to an instance, through the functions that the API, the worker and the steps call, on the database.

const lease = { owner: 'proc_test', shard: 0, epoch: 1 };
const maxRunning = 1_000;
const ROUNDS = 60;

let database: TestOrm;
beforeAll(async () => {
  database = await openTestOrm();
  await run(
    database.orm.em.fork(),
    sql`update watch_shards set owner = ${lease.owner}, epoch = ${lease.epoch}, expires_at = 'infinity' where shard = 0`,
  );
});
afterAll(() => database.close());

type Em = Parameters<Parameters<typeof runTransaction>[1]>[0];
const transact = <T>(change: (em: Em) => Promise<T>): Promise<T> => runTransaction(database.orm.em, change);

async function rowOf(instanceId: string): Promise<InstanceLifecycle> {
  const row = await findLifecycle(database.orm.em.fork(), instanceId, { lock: false });
  if (!row) throw new Error('the instance has no row');
  return row;
}

/** Does the next step; `isHalf`: its worker dies after the gateway was taken out of use. */
async function work(instanceId: string, isHalf = false): Promise<void> {
  const row = await rowOf(instanceId);
  const step = nextStep(row);
  if (step === 'none') return;
  if (step === 'wake') {
    await transact((em) => wakeForTurns(em, instanceId));
    return;
  }
  const { powerGeneration, contentGeneration, restartGeneration } = row;
  const now = new Date();
  if (step === 'start') await transact((em) => takeSlot(em, { instanceId, nodeId: null, maxRunning, now }));
  const begun = await transact((em) => beginStep(em, { instanceId, powerGeneration, step, fence: 0, now }));
  if (begun.kind !== 'begun') throw new Error(`the step was ${begun.kind}`);
  const of = { instanceId, epoch: begun.epoch };
  // As an engine that has room for some.
  const isSuspended = step === 'sleep' && !row.killFirst && begun.epoch % 2 === 0;
  if (step !== 'apply' && step !== 'move' && !isSuspended)
    await transact((em) => releaseGateway(em, { ...of, killFirst: step !== 'start' }));
  if (!isHalf) await end(step, { ...of, powerGeneration, contentGeneration, restartGeneration, isSuspended });
}

interface Attempt {
  instanceId: string;
  epoch: number;
  powerGeneration: number;
  contentGeneration: number;
  restartGeneration: number;
  isSuspended: boolean;
}

async function end(step: WorkingStep, attempt: Attempt): Promise<void> {
  switch (step) {
    case 'destroy':
      expect(await transact((em) => finishDestroy(em, { ...attempt, maxRunning }))).toBe(true);
      return;
    case 'stop':
      expect(await transact((em) => finishStop(em, { ...attempt, maxRunning }))).toBe(true);
      return;
    case 'sleep':
      expect(await transact((em) => finishSleep(em, { ...attempt, maxRunning }))).toBe(true);
      return;
    case 'restart':
      expect(await transact((em) => noteGatewayGone(em, attempt))).toBe(true);
      return;
    case 'vacate':
      expect(await transact((em) => finishVacate(em, { ...attempt, maxRunning }))).toBe(true);
      return;
    case 'move': {
      const { runtimeId: from, moveRuntimeId: to } = await rowOf(attempt.instanceId);
      expect(await transact((em) => finishMove(em, { ...attempt, from, to: to ?? '' }))).toBe(true);
      return;
    }
    case 'apply':
      expect(await transact((em) => markContentApplied(em, attempt))).toBe(true);
      return;
    case 'start': {
      expect(await transact((em) => noteGatewayGone(em, attempt))).toBe(true);
      const published = { ...attempt, bootId: makeId('run'), intervalId: makeId('int') };
      expect(await transact((em) => publishRunning(em, published))).toBe('published');
    }
  }
}

async function failStart(instanceId: string): Promise<void> {
  const row = await rowOf(instanceId);
  if (nextStep(row) !== 'start') return;
  const failed = { instanceId, powerGeneration: row.powerGeneration, failure: 'gateway_died', now: new Date() } as const;
  const outcome = await transact((em) => recordFailedStart(em, { ...failed, fence: 0, epoch: null, isLast: true }));
  if (outcome.kind !== 'give_up') throw new Error(`the start that failed was ${outcome.kind}`);
  expect(await transact((em) => enterError(em, { ...failed, epoch: outcome.epoch, maxRunning, makeId }))).toBe(true);
}

async function die(instanceId: string): Promise<void> {
  const { bootId } = await rowOf(instanceId);
  if (bootId === null) return;
  const death = { instanceId, bootId, lease, endedAt: null, killFirst: true, now: new Date() };
  expect(await transact((em) => noteDeath(em, death))).toBe(true);
}

async function breakDown(instanceId: string): Promise<void> {
  const { bootId } = await rowOf(instanceId);
  if (bootId === null) return;
  await transact((em) => beginBreakdown(em, { instanceId, bootId, failure: 'gateway_broken', now: new Date(), makeId }));
}

/** Its last use counts for nothing. */
async function doze(instanceId: string): Promise<void> {
  await run(database.orm.em.fork(), sql`update instances set sleep_after_ms = 0 where id = ${instanceId}`);
  await transact((em) => fallAsleep(em, { instanceId, pace: SLEEP_PACE }));
}

const HAPPENINGS = {
  start: (instanceId: string) => transact((em) => changePower(em, { instanceId, action: 'start', now: new Date() })),
  stop: (instanceId: string) => transact((em) => changePower(em, { instanceId, action: 'stop', now: new Date() })),
  destroy: (instanceId: string) => transact((em) => changePower(em, { instanceId, action: 'destroy', now: new Date() })),
  content: (instanceId: string) => transact((em) => changeLifecycle(em, { instanceId, happening: { kind: 'content-asked' } })),
  restart: (instanceId: string) => transact((em) => requestRestart(em, { instanceId, now: new Date() })),
  look: (instanceId: string) => transact((em) => lookAgain(em, instanceId)),
  idleness: doze,
  use: (instanceId: string) => transact((em) => wakeSleeper(em, instanceId)),
  'deep sleep': (instanceId: string) => transact((em) => endSuspension(em, instanceId)),
  death: die,
  breakdown: breakDown,
  'failed start': failStart,
  move: (instanceId: string) =>
    transact((em) => changeLifecycle(em, { instanceId, happening: { kind: 'move-asked', nodeId: 1, runtimeId: makeId('run') } })),
  'failed move': async (instanceId: string) => {
    const { powerGeneration } = await rowOf(instanceId);
    await transact((em) => giveUpMove(em, { instanceId, powerGeneration }));
  },
  step: (instanceId: string) => work(instanceId),
  'half a step': (instanceId: string) => work(instanceId, true),
};
type Name = keyof typeof HAPPENINGS;
// A delete ends everything: one in forty leaves room for the rest.
const names = fc.array(
  fc.oneof(
    { weight: 39, arbitrary: fc.constantFrom(...(Object.keys(HAPPENINGS) as Name[]).filter((name) => name !== 'destroy')) },
    { weight: 1, arbitrary: fc.constant<Name>('destroy') },
  ),
  { maxLength: 25 },
);

/** How an instance must look that nothing is left to do for. */
function restOf(row: InstanceLifecycle): object {
  const { desiredStatus, status, sleepState, suspendedAt, contentGeneration, restartGeneration } = row;
  const still = {
    transitionKind: null,
    transitionStep: null,
    hasOpenInterval: false,
    bootId: null,
    hasSlot: false,
    killFirst: false,
  };
  if (desiredStatus === 'destroyed') return { ...still, isGone: true };
  if (status === 'error' || desiredStatus === 'stopped') return { ...still, status: status === 'error' ? 'error' : 'stopped' };
  if (sleepState === 'asleep') return { ...still, status: 'stopped', ...(suspendedAt === null && { gatewayEpoch: 0 }) };
  return {
    status: 'running',
    sleepState: 'awake',
    bootId: expect.any(String),
    hasOpenInterval: true,
    hasSlot: true,
    transitionKind: null,
    appliedContentGeneration: contentGeneration,
    appliedRestartGeneration: restartGeneration,
  };
}

test('whatever happens, and wherever a worker dies, an instance comes to rest where it is wanted', async () => {
  await fc.assert(
    fc.asyncProperty(names, async (order) => {
      const { instanceId } = await newInstance(database.orm, { status: 'provisioning', transitionKind: 'starting' });
      let { epoch, powerGeneration } = await rowOf(instanceId);
      for (const name of order) {
        await HAPPENINGS[name](instanceId);
        const row = await rowOf(instanceId);
        // Neither ever goes back: what carries an older one is refused.
        expect([row.epoch >= epoch, row.powerGeneration >= powerGeneration]).toEqual([true, true]);
        ({ epoch, powerGeneration } = row);
        const [open] = await query<{ count: number }>(
          database.orm.em.fork(),
          sql`select count(*)::int as count from runtime_intervals where instance_id = ${instanceId} and ended_at is null`,
        );
        // The meter runs while messages are taken, and not without a gateway.
        const allowed = takesMessages(row) ? [1] : row.bootId === null ? [0] : [0, 1];
        expect(allowed).toContain(open?.count);
      }
      // More than the longest way: a move, a restart, its start, and content.
      for (let steps = 0; steps < 8 && !converged(await rowOf(instanceId)); steps += 1) await work(instanceId);
      const row = await rowOf(instanceId);
      expect(converged(row)).toBe(true);
      expect(row).toMatchObject(restOf(row));
    }),
    { numRuns: ROUNDS },
  );
});

test('an attempt that was superseded changes nothing, whatever it tries', async () => {
  const { instanceId } = await newInstance(database.orm, { status: 'provisioning', transitionKind: 'starting' });
  const { powerGeneration, contentGeneration, restartGeneration } = await rowOf(instanceId);
  const begin = () => transact((em) => beginStep(em, { instanceId, powerGeneration, step: 'start', fence: 0, now: new Date() }));
  const old = await begin();
  await begin();
  if (old.kind !== 'begun') throw new Error('the first attempt did not begin');
  const attempt = { instanceId, epoch: old.epoch, powerGeneration, contentGeneration, restartGeneration };
  const before = await rowOf(instanceId);

  expect(await transact((em) => releaseGateway(em, { ...attempt, killFirst: true }))).toBe(false);
  expect(await transact((em) => noteGatewayGone(em, attempt))).toBe(false);
  expect(await transact((em) => finishStop(em, { ...attempt, maxRunning }))).toBe(false);
  expect(await transact((em) => finishDestroy(em, { ...attempt, maxRunning }))).toBe(false);
  expect(await transact((em) => markContentApplied(em, attempt))).toBe(false);
  const published = { ...attempt, bootId: makeId('run'), intervalId: makeId('int') };
  expect(await transact((em) => publishRunning(em, published))).toBe('superseded');
  const given = { ...attempt, failure: 'gateway_died', now: new Date(), maxRunning, makeId } as const;
  expect(await transact((em) => enterError(em, given))).toBe(false);
  expect({ ...(await rowOf(instanceId)), databaseNow: null }).toEqual({ ...before, databaseNow: null });
});

test('outside a transaction nothing is changed', async () => {
  const { instanceId } = await newInstance(database.orm);
  const change = changeLifecycle(database.orm.em.fork(), { instanceId, happening: { kind: 'stopped' } });
  await expect(change).rejects.toThrow('within a transaction');
});
