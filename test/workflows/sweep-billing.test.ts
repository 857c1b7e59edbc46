import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { WorkflowHandle } from '@temporalio/client';
import { runTransaction } from '../../database/run-transaction.ts';
import { openInterval } from '../../database/billing/intervals.ts';
import { setPrice } from '../../database/billing/set-price.ts';
import { TASK_QUEUES } from '../../domain/temporal/task-queues.ts';
import { SWEEP_BILLING } from '../../domain/temporal/workflow-ids.ts';
import { eventually } from '../support/eventually.ts';
import { dyingGateway, startReconciler } from './reconciler-under-test.ts';
import type { InstanceWithAgent, ReconcilerUnderTest } from './reconciler-under-test.ts';

const HOUR = 3_600_000;
const MINUTE = 60_000;

let reconciler: ReconcilerUnderTest;

beforeAll(async () => {
  reconciler = await startReconciler({ program: dyingGateway(1) });
});

afterAll(() => reconciler.close());

/** A sweep goes on until its minute is over: so much is left of this one. */
function leaveOfMinute(ms: number): void {
  const aheadMs = MINUTE - ms - (Date.now() % MINUTE);
  reconciler.deps.clock = () => new Date(Date.now() + aheadMs);
}

const startSweep = (): Promise<WorkflowHandle> =>
  reconciler.client.workflow.start(SWEEP_BILLING, {
    workflowId: 'sweep/billing-test',
    taskQueue: TASK_QUEUES.maintenance,
    args: [],
  });

const twoHoursAgo = (): Date => new Date(Math.floor(Date.now() / HOUR) * HOUR - 2 * HOUR);

/** An instance that ran for two hours, of an account that has the money for one and a half. */
async function newUnpaidInstance(): Promise<InstanceWithAgent> {
  const { orm, makeId } = reconciler;
  const em = orm.em.fork();
  const now = twoHoursAgo();
  const instance = await reconciler.newInstance();
  const { instanceId, accountId } = instance;
  await em.execute('update accounts set balance_nano_usd = 45000000 where id = ?', [accountId]);
  await em.execute(`update instances set desired_status = 'running', status = 'running', boot_id = 'boot' where id = ?`, [
    instanceId,
  ]);
  const interval = { id: makeId('int'), instanceId, accountId, bootId: 'boot', now };
  await runTransaction(orm.em, (transaction) => openInterval(transaction, interval));
  await em.execute('update runtime_intervals set lost_at = null where instance_id = ?', [instanceId]);
  await em.execute('update watch_shards set alive_until = ?', [new Date(now.getTime() + 2 * HOUR)]);
  return instance;
}

async function desiredStatusOf(instanceId: string): Promise<unknown> {
  const [row] = await reconciler.orm.em
    .fork()
    .execute<object[]>('select desired_status as desired from instances where id = ?', [instanceId]);
  return row;
}

test('a sweep debits what is due, counts what a killed relay left, stops what has run out of money, and ends before its next minute', async () => {
  const { orm } = reconciler;
  const em = orm.em.fork();
  await runTransaction(orm.em, (transaction) => setPrice(transaction, 30_000_000n, twoHoursAgo()));
  const { instanceId, accountId, agentId } = await newUnpaidInstance();
  await em.execute(
    `insert into open_model_calls (account_id, instance_id, agent_id, model, input_tokens, output_tokens, expires_at)
     values (?, ?, ?, 'fake-model', 70, 900, now())`,
    [accountId, instanceId, agentId],
  );
  leaveOfMinute(10_000);
  const run = await startSweep();
  await eventually(async () => {
    const [row] = await em.execute<object[]>(
      `select desired_status as desired, balance_nano_usd::text as balance,
              (select count(*)::int from transfers where account_id = accounts.id and kind = 'debit') as debits,
              (select sum(input_tokens + output_tokens)::int from model_calls where account_id = accounts.id) as tokens,
              (select count(*)::int from events where account_id = accounts.id and type = 'billing.exhausted') as told
         from accounts join instances on instances.account_id = accounts.id where instances.id = ?`,
      [instanceId],
    );
    expect(row).toEqual({ desired: 'stopped', balance: '0', debits: 2, tokens: 970, told: 1 });
  });
  await run.result();
});

test('when a worker shuts down in the middle of a sweep, another one goes on within the same minute', async () => {
  const shutdown = new AbortController();
  reconciler.deps.drain = shutdown.signal;
  const first = await newUnpaidInstance();
  leaveOfMinute(15_000);
  const run = await startSweep();
  await eventually(async () => expect(await desiredStatusOf(first.instanceId)).toEqual({ desired: 'stopped' }));

  shutdown.abort();
  await eventually(async () =>
    expect((await run.describe()).raw.pendingActivities?.[0]?.lastFailure?.message).toBe('worker_draining'),
  );
  const second = await newUnpaidInstance();
  reconciler.deps.drain = new AbortController().signal;
  await run.result();
  expect(await desiredStatusOf(second.instanceId)).toEqual({ desired: 'stopped' });
});
