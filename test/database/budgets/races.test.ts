import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { setTokenPrices } from '../../../database/billing/set-token-prices.ts';
import { settleLeftCalls } from '../../../database/billing/settle-left-calls.ts';
import { applyLimit, lockBudget } from '../../../database/budgets/change-budget.ts';
import { listDueSpends } from '../../../database/budgets/find-spend.ts';
import { takeRoom } from '../../../database/budgets/take-room.ts';
import { NOW, query, sql } from '../../../database/sql.ts';
import type { NamedBudget } from '../../../domain/money/budgets.ts';
import { listSpend } from '../../../database/budgets/list-budgets.ts';
import { lookAtSpend } from '../../../database/budgets/look-at-spend.ts';
import { notePrice, noteRunning } from '../../../database/budgets/note-running.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { makeId, newAgent, newBudget, newTurn } from '../../factories.ts';
import type { NewAgent, NewTurn } from '../../factories.ts';
import { eventually } from '../../support/eventually.ts';
import { openTestOrm } from '../../support/test-database.ts';
import type { TestOrm } from '../../support/test-database.ts';

/** A token in costs 1,000 nano-dollars, a token out 4,000. */
const IN = 1_000n;
const OUT = 4_000n;
const USD = 1_000_000_000n;
const MODEL = 'm';
/** What the model call of a turn may cost: 100 in, 100 out. */
const CALL = { inputTokens: 100, outputTokens: 100 };
const MOST = 100n * (IN + OUT);

let database: TestOrm;
let orm: MikroORM;
let agent: NewAgent;

beforeAll(async () => {
  database = await openTestOrm();
  ({ orm } = database);
  const price = { model: MODEL, input: 1_000n * 1_000_000n, output: 4_000n * 1_000_000n, cacheRead: 0n, cacheWrite: 0n };
  await runTransaction(orm.em, (em) => setTokenPrices(em, [price], new Date(0)));
});
beforeEach(async () => {
  agent = await newAgent(orm, { model: MODEL });
});
afterAll(() => database.close());

interface Turn extends NewTurn {
  traceId: string;
}

let turns = 0;
/** A turn whose room in the budgets has been asked for; what refused it, if one did. */
async function beginTurn(of: NewAgent = agent, sender = 'u1'): Promise<{ turn: Turn; refusal: NamedBudget | null }> {
  turns += 1;
  const traceId = turns.toString(16).padStart(32, '0');
  const messageId = makeId('msg');
  const turn = { ...(await newTurn(orm, of, { id: messageId, traceId })), traceId };
  const { accountId, instanceId, agentId } = of;
  const place = { messageId, accountId, instanceId, agentId, model: MODEL, keyId: null, senderId: sender, sessionId: '' };
  const [refusal = null] = await query<NamedBudget>(
    orm.em.fork(),
    sql`select b.id as "budgetId", b.name, b.period from (select ${takeRoom({ ...place, ...CALL }, NOW)} as id) refused join budgets b using (id)`,
  );
  return { turn, refusal };
}

const endTurn = ({ messageId }: NewTurn) =>
  orm.em.fork().execute(`update messages set status = 'completed', ended_at = now() where id = ?`, [messageId]);

interface Begun {
  id: string | null;
  refusedBy: string | null;
}

/** A model call of this turn, or of a scheduled job without one. */
async function beginCall(of: NewAgent, traceId: string | null = null, at: Date | null = null): Promise<Begun> {
  const [begun] = await orm.em
    .fork()
    .execute<Begun[]>(
      'select call_id as id, refused_by as "refusedBy" from reserve_model_call(?, ?, ?, ?, ?, 100, 100, 60000, ?)',
      [...[of.accountId, of.instanceId, of.agentId, traceId, MODEL, at]],
    );
  if (!begun) throw new Error('the call was neither reserved nor refused');
  return begun;
}

const endCall = ({ id }: Begun, inputTokens: number, at: Date | null = null) =>
  orm.em.fork().execute('select settle_model_call(?, ?, 0, 0, 0, 0, null, null, null, ?)', [id, inputTokens, at]);

interface SpendRow {
  key: string;
  day: string;
  tokens: string;
  reserved: string;
}

const spendOf = ({ budgetId }: { budgetId: string }): Promise<SpendRow[]> =>
  orm.em.fork().execute(
    `select key, to_char(period_start at time zone 'UTC', 'MM-DD') as day, tokens_nano_usd::text as tokens, reserved_nano_usd::text as reserved
       from budget_spends where budget_id = ? order by period_start, key`,
    [budgetId],
  );
const spent = (tokens: bigint, reserved = 0n) => [
  expect.objectContaining({ tokens: String(tokens), reserved: String(reserved) }),
];

const setLimit = async (budgetId: string, nanoUsd: bigint): Promise<void> =>
  orm.em.fork().transactional(async (em) => {
    await lockBudget(em, budgetId);
    await em.execute('update budgets set limit_nano_usd = ? where id = ?', [nanoUsd.toString(), budgetId]);
    await applyLimit(em, budgetId);
  });

describe('a budget', () => {
  test('with room for three lets three of a hundred turns in that begin at once, and each spends what it reserved', async () => {
    const budget = await newBudget(orm, { account: agent.accountId, limitNanoUsd: 3n * MOST });
    const begun = await Promise.all(Array.from({ length: 100 }, () => beginTurn()));
    const admitted = begun.filter(({ refusal }) => refusal === null).map(({ turn }) => turn);
    expect(admitted).toHaveLength(3);
    expect(begun.find(({ refusal }) => refusal)?.refusal).toMatchObject({ ...budget, name: 'Test' });
    expect(await spendOf(budget)).toEqual(spent(0n, 3n * MOST));
    const calls = await Promise.all(admitted.map(({ traceId }) => beginCall(agent, traceId)));
    expect(calls.map(({ refusedBy }) => refusedBy)).toEqual([null, null, null]);
    await Promise.all(calls.map((call) => endCall(call, 60)));
    // A turn keeps what it has not used until it ends, and may use it up.
    expect(await spendOf(budget)).toEqual(spent(180n * IN, 3n * (MOST - 60n * IN)));
    const again = await Promise.all(admitted.map(({ traceId }) => beginCall(agent, traceId)));
    expect(again.map(({ refusedBy }) => refusedBy)).toEqual([null, null, null]);
  });

  test('lets a turn use up what it has reserved, and then refuses its calls while the others hold the rest', async () => {
    const budget = await newBudget(orm, { account: agent.accountId, limitNanoUsd: 2n * MOST });
    const [{ turn }, other] = [await beginTurn(), await beginTurn()];
    expect(other.refusal).toBeNull();
    for (let times = 0; times < 2; times += 1) await endCall(await beginCall(agent, turn.traceId), 250);
    expect(await spendOf(budget)).toEqual(spent(500n * IN, MOST));
    expect(await beginCall(agent, turn.traceId)).toEqual({ id: null, refusedBy: budget.budgetId });
    const [refused] = await orm.em
      .fork()
      .execute('select message_id, refused_by, cost_nano_usd::text as cost from model_calls order by id desc limit 1');
    expect(refused).toEqual({ message_id: turn.messageId, refused_by: budget.budgetId, cost: '0' });
    // What the other one leaves is there for all.
    await endTurn(other.turn);
    expect(await beginCall(agent, turn.traceId)).toMatchObject({ refusedBy: null });
  });

  test('reserves in all budgets or in none', async () => {
    const wide = await newBudget(orm, { account: agent.accountId });
    const narrow = await newBudget(orm, { account: agent.accountId, agentId: agent.agentId, limitNanoUsd: 1n });
    await endCall(await beginCall(agent), 1);
    expect(await beginCall(agent)).toEqual({ id: null, refusedBy: narrow.budgetId });
    expect([await spendOf(wide), await spendOf(narrow)]).toEqual([spent(IN), spent(IN)]);
  });

  test('is passed by one model call each, also when a call costs more than was reserved for it', async () => {
    const budget = await newBudget(orm, { account: agent.accountId, limitNanoUsd: MOST });
    await endCall(await beginCall(agent), 10_000);
    expect(await spendOf(budget)).toEqual(spent(10_000n * IN));
    expect((await beginCall(agent)).refusedBy).toBe(budget.budgetId);
    expect((await beginTurn()).refusal).not.toBeNull();
  });

  test('gives back what is reserved for a call that used nothing, and for a turn that ended without one', async () => {
    const budget = await newBudget(orm, { account: agent.accountId });
    const { turn } = await beginTurn();
    const call = await beginCall(agent, turn.traceId);
    await orm.em.fork().execute('delete from open_model_calls where id = ?', [call.id]);
    expect(await spendOf(budget)).toEqual(spent(0n, MOST));
    await endTurn(turn);
    expect(await spendOf(budget)).toEqual(spent(0n));
  });

  test('reserves nothing any more for a turn that ends before its call does', async () => {
    const budget = await newBudget(orm, { account: agent.accountId });
    const { turn } = await beginTurn();
    const call = await beginCall(agent, turn.traceId);
    await endTurn(turn);
    await endCall(call, 7);
    expect(await spendOf(budget)).toEqual(spent(7n * IN));
  });

  test('counts a call whose relay died between reserving and settling as it was reserved, once', async () => {
    const budget = await newBudget(orm, { account: agent.accountId });
    await beginCall(agent);
    const later = new Date(Date.now() + 3_600_000);
    const sweeps = [1, 2, 3].map(() => settleLeftCalls(orm.em.fork(), { limit: 100, now: later }));
    expect((await Promise.all(sweeps)).reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(1);
    expect(await spendOf(budget)).toEqual(spent(MOST));
  });
});

/** Whether a statement of this database waits for a lock. */
const isWaiting = async (): Promise<boolean> => {
  const rows = await orm.em
    .fork()
    .execute("select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'");
  return rows.length > 0;
};

test('calls, turns, changes and looks of five budgets at once end without a deadlock, and with nothing reserved', async () => {
  const scopes = [{}, { agentId: '*' }, { senderId: '*' }, { instanceId: '*' }, { instanceId: '*', senderId: '*' }];
  const budgets: { budgetId: string }[] = [];
  for (const scope of scopes) budgets.push(await newBudget(orm, { account: agent.accountId, period: 'total', ...scope }));
  const { accountId, instanceId } = agent;
  const place = (index: number) => ({ budgetId: budgets[index % 5]?.budgetId ?? '', key: '', periodStart: 0 });
  const works: ((index: number) => Promise<unknown>)[] = [
    async () => {
      const { turn } = await beginTurn();
      const call = await beginCall(agent, turn.traceId);
      await Promise.all([endTurn(turn), endCall(call, 1)]);
    },
    async () => endCall(await beginCall(agent), 1),
    (index) => setLimit(place(index).budgetId, USD + BigInt(index)),
    (index) => orm.em.fork().transactional((em) => lookAtSpend(em, { ...place(index), now: new Date(), makeId })),
    () => orm.em.fork().transactional((em) => noteRunning(em, { accountId, instanceId, now: null })),
    () => orm.em.fork().transactional((em) => notePrice(em, new Date())),
  ];
  // Without runTransaction, which would try again after a deadlock.
  await Promise.all(Array.from({ length: 40 }, (_, index) => works.map((work) => work(index))).flat());
  const spends = await Promise.all(budgets.map(spendOf));
  for (const { reserved } of spends.flat()) expect(reserved).toBe('0');
  expect([spends[0], spends[2]]).toEqual([spent(80n * IN), spent(40n * IN)]);
});

describe('a budget that changes in the middle of a call', () => {
  test('has its new limit for what is spent for the first time meanwhile, and is looked at', async () => {
    const budget = await newBudget(orm, { account: agent.accountId });
    let spending: Promise<unknown> | undefined;
    await orm.em.fork().transactional(async (em) => {
      await lockBudget(em, budget.budgetId);
      await em.execute('update budgets set limit_nano_usd = 1 where id = ?', [budget.budgetId]);
      let isSpent = false;
      spending = beginCall(agent)
        .then((call) => endCall(call, 1))
        .then(() => (isSpent = true));
      await eventually(async () => expect(isSpent || (await isWaiting())).toBe(true));
      await applyLimit(em, budget.budgetId);
    });
    await spending;
    expect(await listDueSpends(orm.em.fork(), new Date(Date.now() + 1_000), 100)).toContainEqual(expect.objectContaining(budget));
  });

  test('refuses at once when its limit is below what is spent, and what is spent stays spent', async () => {
    const budget = await newBudget(orm, { account: agent.accountId });
    await endCall(await beginCall(agent), 50);
    const call = await beginCall(agent);
    await setLimit(budget.budgetId, 10n * IN);
    expect((await beginCall(agent)).refusedBy).toBe(budget.budgetId);
    await endCall(call, 5);
    expect(await spendOf(budget)).toEqual(spent(55n * IN));
    await setLimit(budget.budgetId, USD);
    expect((await beginCall(agent)).refusedBy).toBeNull();
  });

  test('caps nothing any more when it is deleted', async () => {
    const budget = await newBudget(orm, { account: agent.accountId, limitNanoUsd: 1n });
    const call = await beginCall(agent);
    await orm.em.fork().execute('update budgets set deleted_at = now() where id = ?', [budget.budgetId]);
    await endCall(call, 5);
    expect((await beginCall(agent)).refusedBy).toBeNull();
    expect((await beginTurn()).refusal).toBeNull();
  });

  test('begins anew at midnight: a call counts in the day in which it began', async () => {
    const budget = await newBudget(orm, { account: agent.accountId, limitNanoUsd: MOST });
    const [before, after] = [new Date('2027-05-31T23:59:59.999Z'), new Date('2027-06-01T00:00:00.000Z')];
    const call = await beginCall(agent, null, before);
    expect((await beginCall(agent, null, before)).refusedBy).toBe(budget.budgetId);
    const next = await beginCall(agent, null, after);
    expect(next.refusedBy).toBeNull();
    await endCall(call, 3, after);
    await endCall(next, 4, after);
    expect(await spendOf(budget)).toEqual([
      { key: '', day: '05-31', tokens: String(3n * IN), reserved: '0' },
      { key: '', day: '06-01', tokens: String(4n * IN), reserved: '0' },
    ]);
  });
});

describe('a budget for each', () => {
  test('caps ten thousand end users apart, and says what each has spent', async () => {
    const budget = await newBudget(orm, { account: agent.accountId, senderId: '*', limitNanoUsd: MOST });
    const take = async (cost: bigint): Promise<number> => {
      let admitted = 0;
      for (let from = 1; from <= 10_000; from += 500) {
        const [counted] = await orm.em.fork().execute<{ count: number }[]>(
          `select count(*)::int as count from generate_series(?, ?) n
            cross join lateral take_budgets(?, ?, ?, null, 'user-' || lpad(n::text, 5, '0'), null, 'turn-' || n || '-' || ?, null, ?, now()) refused
            where refused is null`,
          [from, from + 499, agent.accountId, agent.instanceId, agent.agentId, cost.toString(), cost.toString()],
        );
        admitted += counted?.count ?? 0;
      }
      return admitted;
    };
    expect([await take(MOST), await take(1n)]).toEqual([10_000, 0]);
    const page = await listSpend(orm.em.fork(), { ...budget, after: 'user-09999', limit: 5 });
    expect(page).toEqual([{ key: 'user-10000', spentNanoUsd: '0' }]);
  });

  test('counts the sender of the message that a call belongs to, and no call without one', async () => {
    const budget = await newBudget(orm, { account: agent.accountId, senderId: '*', limitNanoUsd: MOST });
    const { turn } = await beginTurn();
    await endCall(await beginCall(agent, turn.traceId), 600);
    await endTurn(turn);
    await endCall(await beginCall(agent), 1);
    expect(await spendOf(budget)).toMatchObject([{ key: 'u1', tokens: String(600n * IN), reserved: '0' }]);
    expect((await beginTurn()).refusal).toMatchObject(budget);
    expect((await beginTurn(agent, 'u2')).refusal).toBeNull();
  });

  test('of several kinds counts each of them together', async () => {
    const budget = await newBudget(orm, { account: agent.accountId, senderId: '*', agentId: '*' });
    const { turn } = await beginTurn();
    await endCall(await beginCall(agent, turn.traceId), 1);
    expect((await spendOf(budget)).map(({ key }) => JSON.parse(key))).toEqual([[agent.agentId, 'u1']]);
  });
});

test('what one account has locked holds up no other one', async () => {
  const other = await newAgent(orm, { model: MODEL });
  for (const { accountId } of [agent, other]) await newBudget(orm, { account: accountId });
  await runTransaction(orm.em, async (em) => {
    await em.execute('select take_budgets(?, ?, ?, null, null, null, ?, null, 1, now())', [
      ...[agent.accountId, agent.instanceId, agent.agentId, makeId('msg')],
    ]);
    const call = await beginCall(other);
    await endCall(call, 1);
    expect(call.refusedBy).toBeNull();
  });
});
