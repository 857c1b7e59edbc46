import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { EntityManager, MikroORM } from '@mikro-orm/postgresql';
import { watchMoney } from '../../../activities/sweep-billing.ts';
import { setPrice } from '../../../database/billing/set-price.ts';
import { setTokenPrices } from '../../../database/billing/set-token-prices.ts';
import { openInterval } from '../../../database/billing/intervals.ts';
import { listDueSpends } from '../../../database/budgets/find-spend.ts';
import { noteBudget, noteRunning } from '../../../database/budgets/note-running.ts';
import { applyLimit, countBudgetsLocked } from '../../../database/budgets/change-budget.ts';
import type { Budget } from '../../../database/entities/budget.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { createIdMaker } from '../../../domain/ids.ts';
import { newAgent, newBudget, newInstance } from '../../factories.ts';
import type { NewInstance } from '../../factories.ts';
import { eventually } from '../../support/eventually.ts';
import type { TestOrm } from '../../support/test-database.ts';
import { HOUR, MINUTE, openPriced, pings, PRICE, SECOND, startRunning } from '../billing/bill-rows.ts';
import type { Running } from '../billing/bill-rows.ts';
import { callModel } from '../billing/call-rows.ts';

const T0 = Date.parse('2025-03-01T10:20:00Z');
const at = (ms: number): Date => new Date(T0 + ms);
const makeId = createIdMaker(randomBytes);
const USD = 1_000_000_000n;

let database: TestOrm;
let orm: MikroORM;

beforeEach(async () => {
  database = await openPriced(T0);
  ({ orm } = database);
});

afterEach(() => database.close());

const run = (options: Partial<Parameters<typeof startRunning>[2]> = {}): Promise<Running> =>
  startRunning(orm, makeId, { at: T0, creditNanoUsd: 100n * USD, ...options });

/** What the watch does each two seconds. */
const look = (ms: number) => watchMoney({ orm, makeId, now: at(ms), signal: new AbortController().signal });

async function cap({ accountId }: Running, values: Partial<Budget>, ms = 0): Promise<string> {
  const { budgetId } = await newBudget(orm, { account: accountId, createdAt: at(ms), ...values });
  await runTransaction(orm.em, (em) => noteBudget(em, { accountId, budgetId, now: at(ms) }));
  await look(ms);
  return budgetId;
}

const desired = async ({ instanceId }: Running): Promise<string | undefined> => {
  const rows = await orm.em
    .fork()
    .execute<{ desired: string }[]>('select desired_status as desired from instances where id = ?', [instanceId]);
  return rows[0]?.desired;
};

const notices = async ({ accountId }: Running): Promise<{ type: string; data: Record<string, unknown> }[]> => {
  const rows = await orm.em
    .fork()
    .execute<{ type: string; data: string }[]>(
      `select type, data::text as data from events where account_id = ? and type like 'budget.%' order by seq`,
      [accountId],
    );
  return rows.map(({ type, data }) => ({ type, data: JSON.parse(data) }));
};

const nextLookOf = async (budgetId: string): Promise<number> => {
  const rows = await orm.em
    .fork()
    .execute<{ at: number }[]>(
      'select (extract(epoch from min(look_at)) * 1000)::float8 as at from budget_spends where budget_id = ?',
      [budgetId],
    );
  return (rows[0]?.at ?? Number.NaN) - T0;
};

describe('a budget of running time', () => {
  test('stops what it counts at the look after its limit, warns before, and says so once', async () => {
    const [running, other] = [await run(), await run()];
    const budgetId = await cap(running, { limitNanoUsd: PRICE / 2n });
    expect(await nextLookOf(budgetId)).toBe(24 * MINUTE);
    await look(24 * MINUTE);
    expect((await notices(running)).map(({ type }) => type)).toEqual(['budget.warning']);
    expect(await nextLookOf(budgetId)).toBe(30 * MINUTE);
    await look(30 * MINUTE - SECOND);
    expect(await desired(running)).toBe('running');
    expect(await look(30 * MINUTE)).toMatchObject({ stopped: 1 });
    expect([await desired(running), await desired(other)]).toEqual(['stopped', 'running']);
    for (const ms of [2, 4, 6]) await look(30 * MINUTE + ms * SECOND);
    expect(await notices(running)).toEqual([
      {
        type: 'budget.warning',
        data: expect.objectContaining({ budgetId, key: null, spentNanoUsd: String((PRICE * 4n) / 10n) }),
      },
      {
        type: 'budget.reached',
        data: {
          ...{ budgetId, name: 'Test', key: null, limitNanoUsd: String(PRICE / 2n), spentNanoUsd: String(PRICE / 2n) },
          resetsAt: '2025-03-02T00:00:00.000Z',
        },
      },
    ]);
  });

  test('counts from its creation, only the instance that it is for, and each of "*" apart', async () => {
    const first = await run();
    const second = await run({ accountId: first.accountId, at: T0 + 10 * MINUTE });
    await pings(orm, T0 + 20 * MINUTE);
    await cap(first, { instanceId: '*', limitNanoUsd: PRICE / 6n }, 20 * MINUTE);
    const one = await cap(first, { instanceId: second.instanceId, limitNanoUsd: PRICE / 12n }, 20 * MINUTE);
    expect(await nextLookOf(one)).toBe(24 * MINUTE);
    expect(await look(25 * MINUTE)).toMatchObject({ stopped: 1 });
    expect([await desired(first), await desired(second)]).toEqual(['running', 'stopped']);
    expect(await look(30 * MINUTE)).toMatchObject({ stopped: 1 });
    const reached = (await notices(first)).filter(({ type }) => type === 'budget.reached');
    expect(reached.map(({ data }) => data['key'])).toEqual([null, first.instanceId]);
  });

  test('counts model calls with it: a call that uses up the rest stops what runs', async () => {
    const running = await run();
    const agent = await newAgent(orm, { account: running.accountId, instance: running.instanceId });
    const price = { model: 'm', input: USD, output: 0n, cacheRead: 0n, cacheWrite: 0n };
    await runTransaction(orm.em, (em) => setTokenPrices(em, [price], at(0)));
    await cap(running, { limitNanoUsd: PRICE });
    await callModel(orm, agent, { begunAt: at(30 * MINUTE), endedAt: at(30 * MINUTE), inputTokens: Number(PRICE / 2n / 1_000n) });
    expect(await look(30 * MINUTE)).toMatchObject({ stopped: 1 });
    expect((await notices(running)).map(({ type }) => type)).toEqual(['budget.warning', 'budget.reached']);
  });

  test('begins anew with its period, also where nothing else happens', async () => {
    const running = await run();
    const budgetId = await cap(running, { limitNanoUsd: 20n * PRICE });
    for (let hour = 1; hour <= 13; hour += 1) await look(hour * HOUR);
    const midnight = 13 * HOUR + 40 * MINUTE;
    expect(await nextLookOf(budgetId)).toBe(midnight);
    await look(midnight);
    await look(midnight + 2 * SECOND);
    await look(midnight + HOUR + 2 * SECOND);
    const rows = await orm.em
      .fork()
      .execute(
        'select runtime_nano_usd::text as spent, burn_nano_usd_per_hour::text as burn from budget_spends order by period_start',
      );
    expect(rows).toEqual([
      { spent: String((PRICE * 41n) / 3n), burn: '0' },
      { spent: String((PRICE * 3_602n) / 3_600n), burn: String(PRICE) },
    ]);
  });

  test('that is created while an instance begins to run counts it, whichever of the two is first', async () => {
    const { accountId } = await run();
    const instances = [await newInstance(orm, { account: accountId }), await newInstance(orm, { account: accountId })];
    const open = (em: EntityManager, { instanceId }: NewInstance) =>
      openInterval(em, { id: makeId('int'), instanceId, accountId, bootId: instanceId, now: at(0) });
    const create = async (em: EntityManager, { instanceId }: NewInstance): Promise<void> => {
      const budgetId = makeId('bud');
      await countBudgetsLocked(em, accountId);
      await em.execute(
        `insert into budgets (id, account_id, name, instance_id, period, limit_nano_usd, warn_at, created_at)
         values (?, ?, 'Test', ?, 'day', 1000, 80, ?)`,
        [budgetId, accountId, instanceId, at(0)],
      );
      await noteBudget(em, { accountId, budgetId, now: at(0) });
    };
    for (const [index, instance] of instances.entries()) {
      const [first, second] = index === 0 ? [open, create] : [create, open];
      let later: Promise<unknown> | undefined;
      await orm.em.fork().transactional(async (em) => {
        await first(em, instance);
        later = orm.em.fork().transactional((other) => second(other, instance));
        await eventually(async () => {
          const waiting = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
          expect(await orm.em.fork().execute(waiting)).toHaveLength(1);
        });
      });
      await later;
      await look(index);
      const burning = `select burn_nano_usd_per_hour::text as burn from budget_spends join budgets on id = budget_id where instance_id = ?`;
      expect(await orm.em.fork().execute(burning, [instance.instanceId])).toEqual([{ burn: String(PRICE) }]);
    }
  });

  test('is looked at in the turn of its account, however many others are due, and before what only has to be told', async () => {
    const [busy, other] = [await run(), await run()];
    for (const { accountId } of [busy, other]) await newBudget(orm, { account: accountId, id: `bud_of_${accountId}` });
    const { budgetId } = await newBudget(orm, { account: busy.accountId, senderId: '*' });
    await orm.em.fork().execute(
      `insert into budget_spends (budget_id, key, period_start, look_at)
       select ?, 'user-' || n, 'epoch', ?::timestamptz from generate_series(1, 600) n`,
      [budgetId, at(-HOUR)],
    );
    for (const { accountId, instanceId } of [busy, other])
      await runTransaction(orm.em, (em) => noteRunning(em, { accountId, instanceId, now: at(0) }));
    const due = await listDueSpends(orm.em.fork(), at(0), 3);
    expect(due.map((place) => place.budgetId).toSorted()).toEqual(
      [`bud_of_${busy.accountId}`, `bud_of_${other.accountId}`, budgetId].toSorted(),
    );
  });

  test('is looked at when the price changes', async () => {
    const running = await run();
    const budgetId = await cap(running, { limitNanoUsd: PRICE });
    await runTransaction(orm.em, (em) => setPrice(em, 60n * PRICE, at(MINUTE)));
    expect(await nextLookOf(budgetId)).toBe(MINUTE);
    await look(MINUTE);
    expect(await look(2 * MINUTE)).toMatchObject({ stopped: 1 });
  });
});

describe('notices of a budget', () => {
  test('come once for each key, and again after the limit was raised and reached again', async () => {
    const running = await run();
    const agent = await newAgent(orm, { account: running.accountId, instance: running.instanceId });
    const price = { model: 'm', input: USD, output: 0n, cacheRead: 0n, cacheWrite: 0n };
    await runTransaction(orm.em, (em) => setTokenPrices(em, [price], at(0)));
    const { budgetId } = await newBudget(orm, {
      account: agent.accountId,
      agentId: '*',
      period: 'total',
      limitNanoUsd: 1_000_000n,
    });
    const spend = async (inputTokens: number): Promise<string[]> => {
      await callModel(orm, agent, { begunAt: at(0), endedAt: at(0), inputTokens });
      await look(SECOND);
      return (await notices(running)).map(({ type }) => type);
    };
    expect(await spend(799)).toEqual([]);
    expect(await spend(1)).toEqual(['budget.warning']);
    expect(await spend(500)).toEqual(['budget.warning', 'budget.reached']);
    await runTransaction(orm.em, async (em) => {
      await em.execute('update budgets set limit_nano_usd = 10000000 where id = ?', [budgetId]);
      await applyLimit(em, budgetId);
    });
    expect(await spend(100)).toHaveLength(2);
    expect((await spend(8_600)).slice(2)).toEqual(['budget.warning', 'budget.reached']);
    expect((await notices(running)).map(({ data }) => data)).toContainEqual({
      ...{ budgetId, name: 'Test', key: agent.agentId, limitNanoUsd: '1000000', spentNanoUsd: '1300000', resetsAt: null },
    });
  });
});
