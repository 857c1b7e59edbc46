import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { EntityManager } from '@mikro-orm/postgresql';
import { setTokenPrices } from '../../../database/billing/set-token-prices.ts';
import { applyLimit, lockBudget } from '../../../database/budgets/change-budget.ts';
import { listDueSpends } from '../../../database/budgets/find-spend.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { makeId, newAgent, newBudget } from '../../factories.ts';
import type { NewAgent } from '../../factories.ts';
import { eventually } from '../../support/eventually.ts';
import { openTestOrm } from '../../support/test-database.ts';
import type { TestOrm } from '../../support/test-database.ts';

const BUDGETS = 6;
const SENDERS = 20;
const AT_ONCE = 8;

let database: TestOrm;
let agent: NewAgent;

beforeAll(async () => {
  database = await openTestOrm();
  const price = { model: 'm', input: 1_000_000_000n, output: 0n, cacheRead: 0n, cacheWrite: 0n };
  await runTransaction(database.orm.em, (em) => setTokenPrices(em, [price], new Date(0)));
});
beforeEach(async () => {
  agent = await newAgent(database.orm, { model: 'm' });
});
afterAll(() => database.close());

const rows = <T>(statement: string, values: unknown[] = []): Promise<T[]> =>
  database.orm.em.fork().execute<T[]>(statement, values);

async function reserve(): Promise<string> {
  const [call] = await rows<{ id: string }>(
    `select call_id as id from reserve_model_call(?, ?, ?, null, 'm', 10, 10, 60000, null)`,
    [agent.accountId, agent.instanceId, agent.agentId],
  );
  return call?.id ?? '';
}

const settle = (em: EntityManager, id: string) =>
  em.execute<{ isFirst: boolean }[]>('select settle_model_call(?, 7, 0, 0, 0, 0, null, null, null, null) as "isFirst"', [id]);

/** Begins this while the transaction is open, and lets it end when this has ended or waits for it. */
async function meanwhile<T>(em: EntityManager, work: () => Promise<T>): Promise<{ result: Promise<T> }> {
  const waiting = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
  let isOver = false;
  const result = work().finally(() => (isOver = true));
  await eventually(async () => expect(isOver || (await em.fork().execute(waiting)).length > 0).toBe(true));
  return { result };
}

test('turns of a new end user that begin at once take room in several budgets without a deadlock', async () => {
  const { accountId, instanceId, agentId } = agent;
  for (let made = 0; made < BUDGETS; made += 1) await newBudget(database.orm, { account: accountId, senderId: '*' });
  const take = (sender: string): Promise<unknown> =>
    rows('select take_budgets(?, ?, ?, null, ?, null, ?, null, 1, now())', [
      ...[accountId, instanceId, agentId, sender, makeId('msg')],
    ]);
  for (let sender = 1; sender <= SENDERS; sender += 1)
    await Promise.all(Array.from({ length: AT_ONCE }, () => take(`user-${sender}`)));
  const reserved = await rows(
    'select count(*)::int as rows, sum(reserved_nano_usd)::int as sum from budget_spends join budgets on id = budget_id where account_id = ?',
    [accountId],
  );
  expect(reserved).toEqual([{ rows: BUDGETS * SENDERS, sum: BUDGETS * SENDERS * AT_ONCE }]);
});

test('a limit that is lowered is looked at, when the first call begins and ends before the change is committed too', async () => {
  const budget = await newBudget(database.orm, { account: agent.accountId });
  const { result } = await database.orm.em.fork().transactional(async (em) => {
    await lockBudget(em, budget.budgetId);
    await em.execute('update budgets set limit_nano_usd = 1 where id = ?', [budget.budgetId]);
    await applyLimit(em, budget.budgetId);
    return meanwhile(em, async () => settle(database.orm.em.fork(), await reserve()));
  });
  await result;
  expect(await listDueSpends(database.orm.em.fork(), new Date(Date.now() + 1_000), 100)).toMatchObject([budget]);
});

test('a limit that is lowered below what is spent is looked at', async () => {
  const budget = await newBudget(database.orm, { account: agent.accountId, period: 'month' });
  await settle(database.orm.em.fork(), await reserve());
  const due = () => listDueSpends(database.orm.em.fork(), new Date(Date.now() + 1_000), 100);
  expect(await due()).not.toContainEqual(expect.objectContaining(budget));
  await database.orm.em.fork().transactional(async (em) => {
    await lockBudget(em, budget.budgetId);
    await em.execute('update budgets set limit_nano_usd = 7000 where id = ?', [budget.budgetId]);
    await applyLimit(em, budget.budgetId);
  });
  expect(await due()).toContainEqual(expect.objectContaining(budget));
});

test('a call that is settled by its relay and by a sweep at the same moment counts once', async () => {
  const { budgetId } = await newBudget(database.orm, { account: agent.accountId, period: 'total' });
  const id = await reserve();
  const { first, result } = await database.orm.em.fork().transactional(async (em) => ({
    first: await settle(em, id),
    ...(await meanwhile(em, () => settle(database.orm.em.fork(), id))),
  }));
  expect([first, await result]).toEqual([[{ isFirst: true }], [{ isFirst: false }]]);
  expect(await rows('select input_tokens from model_calls where agent_id = ?', [agent.agentId])).toEqual([{ input_tokens: 7 }]);
  const spent = await rows('select tokens_nano_usd::int as spent from budget_spends where budget_id = ?', [budgetId]);
  expect(spent).toEqual([{ spent: 7_000 }]);
});
