import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { runTransaction } from '../../database/run-transaction.ts';
import { openInterval } from '../../database/billing/intervals.ts';
import { setPrice } from '../../database/billing/set-price.ts';
import { TASK_QUEUES } from '../../domain/task-queues.ts';
import { SWEEP_BILLING } from '../../domain/workflow-ids.ts';
import { eventually } from '../support/eventually.ts';
import { dyingGateway, startReconciler } from './reconciler-under-test.ts';
import type { ReconcilerUnderTest } from './reconciler-under-test.ts';

const HOUR = 3_600_000;
const MINUTE = 60_000;

let reconciler: ReconcilerUnderTest;

beforeAll(async () => {
  reconciler = await startReconciler({ program: dyingGateway(1) });
});

afterAll(() => reconciler.close());

test('a sweep debits what is due, counts what a killed relay left, stops what has run out of money, and ends before its next minute', async () => {
  const { orm, client, makeId } = reconciler;
  const em = orm.em.fork();
  const hour = Math.floor(Date.now() / HOUR) * HOUR - 2 * HOUR;
  await runTransaction(orm.em, (transaction) => setPrice(transaction, 30_000_000n, new Date(hour)));
  const { instanceId, accountId, agentId } = await reconciler.newInstance();
  await em.execute('update accounts set balance_nano_usd = 45000000 where id = ?', [accountId]);
  await em.execute(`update instances set desired_status = 'running', status = 'running', boot_id = 'boot' where id = ?`, [
    instanceId,
  ]);
  const interval = { id: makeId('int'), instanceId, accountId, bootId: 'boot', now: new Date(hour) };
  await runTransaction(orm.em, (transaction) => openInterval(transaction, interval));
  await em.execute('update runtime_intervals set lost_at = null where instance_id = ?', [instanceId]);
  await em.execute('update watch_shards set alive_until = ?', [new Date(hour + 2 * HOUR)]);
  await em.execute(
    `insert into open_model_calls (account_id, instance_id, agent_id, model, input_tokens, output_tokens, expires_at)
     values (?, ?, ?, 'fake-model', 70, 900, now())`,
    [accountId, instanceId, agentId],
  );
  // A sweep goes on until its minute is over: of this one ten seconds are left.
  const aheadMs = MINUTE - 10_000 - (Date.now() % MINUTE);
  reconciler.deps.clock = () => new Date(Date.now() + aheadMs);
  const run = await client.workflow.start(SWEEP_BILLING, {
    workflowId: 'sweep/billing-test',
    taskQueue: TASK_QUEUES.maintenance,
    args: [],
  });
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
