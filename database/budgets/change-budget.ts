import type { EntityManager } from '@mikro-orm/postgresql';
import { lockAccount } from '../accounts/lock-account.ts';
import { columns, db } from '../db.ts';
import { BudgetSpend } from '../entities/budget-spend.ts';
import { Budget } from '../entities/budget.ts';
import { asNumber, run, sql } from '../sql.ts';

/**
 * How many budgets an account has. Locks the account's row, so that of two transactions that count in order to add one, the second
 * counts the first one's.
 */
export async function countBudgetsLocked(em: EntityManager, accountId: string): Promise<number> {
  await lockAccount(em, accountId);
  const { count } = await db(em)
    .selectFrom('Budget')
    .select((eb) => asNumber(eb.fn.countAll()).as('count'))
    .where('account', '=', accountId)
    .where('deletedAt', 'is', null)
    .executeTakeFirstOrThrow();
  return count;
}

/** Locks a budget until the transaction ends. A transaction that spends of it for the first time waits, and then sees the new limit. */
export async function lockBudget(em: EntityManager, budgetId: string): Promise<void> {
  await db(em).selectFrom('Budget').select('id').where('id', '=', budgetId).forUpdate().execute();
}

/**
 * Has a budget whose limit or warning was changed tell the customer again, where less is spent than that, and be looked at where it
 * is not. The caller holds the budget. Locks what is spent of it, in the order of the keys.
 */
export async function applyLimit(em: EntityManager, budgetId: string): Promise<void> {
  const s = columns(BudgetSpend, 's');
  const b = columns(Budget, 'b');
  const c = columns(BudgetSpend);
  const isOver = sql`spent_by(s, now()) >= ${b.limitNanoUsd}`;
  const isNear = sql`spent_by(s, now())::numeric * 100 >= ${b.limitNanoUsd}::numeric * ${b.warnAt}`;
  await run(
    em,
    sql`with held as (
          select ${s.budget}, ${s.key}, ${s.periodStart} from budget_spends s join budgets b on ${b.id} = ${s.budget}
           where ${b.id} = ${budgetId} and ${s.periodStart} = budget_period_start(${b.period}, now()) order by ${s.key} for update of s
        )
        update budget_spends s
           set ${c.isReached} = ${s.isReached} and ${isOver}, ${c.isWarned} = ${s.isWarned} and ${isNear},
               ${c.lookAt} = case when ${s.burnNanoUsdPerHour} > 0 or not ${s.isReached} and ${isOver} or not ${s.isWarned} and ${isNear}
                                  then now() else ${s.lookAt} end
          from held, budgets b
         where ${s.budget} = held.${c.budget} and ${s.key} = held.${c.key} and ${s.periodStart} = held.${c.periodStart} and ${b.id} = ${s.budget}`,
  );
}
