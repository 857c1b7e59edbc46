import type { MikroORM } from '@mikro-orm/postgresql';
import { listDueSpends } from '../../../database/budgets/find-spend.ts';
import { lookAtSpend } from '../../../database/budgets/look-at-spend.ts';
import { stopOverBudget } from '../../../database/budgets/stop-over-budget.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { resetsAt } from '../../../domain/money/budgets.ts';
import type { BudgetPeriod } from '../../../domain/money/budgets.ts';
import type { MakeId } from '../../../domain/ids.ts';
import type { Dice } from '../../support/campaign.ts';
import { newBudget } from '../../factories.ts';
import { runCost } from './naive-bill.ts';
import type { SimAccount, SimPrice } from './naive-bill.ts';

/** A model call that has ended, as it was in truth. */
export interface SpentCall {
  accountId: string;
  instanceId: string;
  agentId: string;
  begunAt: number;
  cost: bigint;
}

/** Caps this account, its instances or its agents for a day, a month or for ever, at random limits. */
export async function addBudgets(orm: MikroORM, dice: Dice, accountId: string, createdAt: Date): Promise<void> {
  for (const scope of [{}, { instanceId: '*' }, { agentId: '*' }]) {
    if (dice.below(2) === 0) continue;
    const limitNanoUsd = BigInt(1 + dice.below(4_000)) * 1_000_000n;
    const period = dice.pick(['day', 'month', 'total'] as const);
    await newBudget(orm, { account: accountId, createdAt, period, limitNanoUsd, ...scope });
  }
}

/** What the watch does each two seconds: answers the instances that were told to stop. */
export async function watchBudgets(orm: MikroORM, makeId: MakeId, now: Date): Promise<{ looks: number; stopped: string[] }> {
  const stopped: string[] = [];
  const due = await listDueSpends(orm.em.fork(), now, 1_000);
  for (const place of due)
    for (const instanceId of await runTransaction(orm.em, (em) => lookAtSpend(em, { ...place, now, makeId })))
      if (await runTransaction(orm.em, (em) => stopOverBudget(em, { instanceId, now, makeId }))) stopped.push(instanceId);
  return { looks: due.length, stopped };
}

interface SpendRow {
  budgetId: string;
  accountId: string;
  instanceId: string | null;
  agentId: string | null;
  key: string;
  periodStart: number;
  createdAt: number;
  period: BudgetPeriod;
  tokens: string;
  reserved: string;
}

interface Truth {
  calls: readonly SpentCall[];
  accounts: readonly SimAccount[];
  prices: readonly SimPrice[];
  /** The end of the year, at which everything is known. */
  at: number;
  makeId: MakeId;
}

/** By how much what budgets have counted in all their periods differs from what calls and runs cost, added up one by one. */
export async function budgetDifference(orm: MikroORM, truth: Truth): Promise<{ rows: number; difference: bigint }> {
  const rows = await orm.em.fork().execute<SpendRow[]>(
    `select budget_id as "budgetId", account_id as "accountId", instance_id as "instanceId", agent_id as "agentId", key, period,
            tokens_nano_usd::text as tokens, reserved_nano_usd::text as reserved,
            (extract(epoch from period_start) * 1000)::float8 as "periodStart", (extract(epoch from created_at) * 1000)::float8 as "createdAt"
       from budget_spends join budgets on budgets.id = budget_id`,
  );
  let difference = 0n;
  for (const row of rows) {
    const from = Math.max(row.periodStart, row.createdAt);
    const to = Math.min(resetsAt(row.period, new Date(row.periodStart))?.getTime() ?? truth.at, truth.at);
    difference +=
      absolute(BigInt(row.tokens) - tokenCost(truth.calls, row, from, to)) +
      absolute((await lookAgain(orm, row, truth)) - (row.agentId === null ? runtimeCost(truth, row, from, to) : 0n)) +
      BigInt(row.reserved);
  }
  return { rows: rows.length, difference };
}

/** The running time that the product counts when it looks at the end of the year at what a period has spent. */
async function lookAgain(orm: MikroORM, place: SpendRow, { at, makeId }: Truth): Promise<bigint> {
  await runTransaction(orm.em, (em) => lookAtSpend(em, { ...place, now: new Date(at), makeId }));
  const [row] = await orm.em.fork().execute<{ runtime: string }[]>(
    `select runtime_nano_usd::text as runtime from budget_spends
        where budget_id = ? and key = ? and period_start = to_timestamp(?::float8 / 1000)`,
    [place.budgetId, place.key, place.periodStart],
  );
  return BigInt(row?.runtime ?? 0);
}

/** A call counts in the period in which it began. */
function tokenCost(calls: readonly SpentCall[], row: SpendRow, from: number, to: number): bigint {
  const isOf = (call: SpentCall): boolean =>
    call.accountId === row.accountId &&
    (row.instanceId === null || call.instanceId === row.key) &&
    (row.agentId === null || call.agentId === row.key) &&
    call.begunAt >= from &&
    call.begunAt < to;
  return calls.reduce((sum, call) => (isOf(call) ? sum + call.cost : sum), 0n);
}

function runtimeCost({ accounts, prices }: Truth, row: SpendRow, from: number, to: number): bigint {
  const runs = accounts.find(({ id }) => id === row.accountId)?.runs ?? [];
  const counted = runs.filter(({ instanceId }) => row.instanceId === null || instanceId === row.key);
  return counted.reduce((sum, run) => sum + runCost(prices, run, to) - runCost(prices, run, from), 0n);
}

const absolute = (amount: bigint): bigint => (amount < 0n ? -amount : amount);
