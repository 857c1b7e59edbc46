import type { EntityManager } from '@mikro-orm/postgresql';
import { lockAccount } from '../accounts/lock-account.ts';
import { query, run, sql } from '../sql.ts';

/**
 * How many budgets an account has. Locks the account's row, so that of two transactions that count in order to add one, the second
 * counts the first one's.
 */
export async function countBudgetsLocked(em: EntityManager, accountId: string): Promise<number> {
  await lockAccount(em, accountId);
  const [row] = await query<{ count: number }>(
    em,
    sql`select count(*)::int as count from budgets where account_id = ${accountId} and deleted_at is null`,
  );
  return row?.count ?? 0;
}

/** Locks a budget until the transaction ends. A transaction that spends of it for the first time waits, and then sees the new limit. */
export async function lockBudget(em: EntityManager, budgetId: string): Promise<void> {
  await query(em, sql`select from budgets where id = ${budgetId} for update`);
}

/**
 * Has a budget whose limit or warning was changed tell the customer again, where less is spent than that, and be looked at where it
 * is not. The caller holds the budget. Locks what is spent of it, in the order of the keys.
 */
export async function applyLimit(em: EntityManager, budgetId: string): Promise<void> {
  await run(
    em,
    sql`with held as (
       select s.budget_id, s.key, s.period_start from budget_spends s join budgets b on b.id = s.budget_id
        where b.id = ${budgetId} and s.period_start = budget_period_start(b.period, now()) order by s.key for update of s
     )
     update budget_spends s
        set is_reached = s.is_reached and spent_by(s, now()) >= b.limit_nano_usd,
            is_warned = s.is_warned and spent_by(s, now())::numeric * 100 >= b.limit_nano_usd::numeric * b.warn_at,
            look_at = case when s.burn_nano_usd_per_hour > 0
                             or not s.is_reached and spent_by(s, now()) >= b.limit_nano_usd
                             or not s.is_warned and spent_by(s, now())::numeric * 100 >= b.limit_nano_usd::numeric * b.warn_at
                           then now() else s.look_at end
       from held, budgets b
      where s.budget_id = held.budget_id and s.key = held.key and s.period_start = held.period_start and b.id = s.budget_id`,
  );
}
