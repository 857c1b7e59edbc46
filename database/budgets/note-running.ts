import type { EntityManager } from '@mikro-orm/postgresql';
import { run, sql } from '../sql.ts';

/**
 * Has the budgets looked at that count the running time of this instance, because it began or ended, in the caller's transaction.
 * `now` null: the database's own time. Locks what is spent of them, in their order.
 */
export async function noteRunning(
  em: EntityManager,
  { accountId, instanceId, now }: { accountId: string; instanceId: string; now: Date | null },
): Promise<void> {
  await run(
    em,
    sql`insert into budget_spends as known (budget_id, key, period_start, look_at)
     select m.budget_id, m.key, m.period_start, clock.now
       from (select coalesce(${now}::timestamptz, now()) as now) clock
      cross join lateral matching_budgets(${accountId}, ${instanceId}, null, null, null, null, clock.now) m
      order by 1, 2, 3
     on conflict (budget_id, key, period_start) do update set look_at = least(known.look_at, excluded.look_at)`,
  );
}

/** The same for every instance of the account that runs, and this budget alone: it is new. The caller holds the account. */
export async function noteBudget(
  em: EntityManager,
  { accountId, budgetId, now }: { accountId: string; budgetId: string; now: Date },
): Promise<void> {
  await run(
    em,
    sql`insert into budget_spends (budget_id, key, period_start, look_at)
     select distinct m.budget_id, m.key, m.period_start, ${now}::timestamptz
       from runtime_intervals i
      cross join lateral matching_budgets(${accountId}, i.instance_id, null, null, null, null, ${now}::timestamptz) m
      where i.account_id = ${accountId} and i.ended_at is null and m.budget_id = ${budgetId}
     on conflict do nothing`,
  );
}

/**
 * Has every budget looked at whose running time goes on, because it costs something else from this moment on. Locks what is spent
 * of them, in their order, for all accounts: the last thing that the transaction does.
 */
export async function notePrice(em: EntityManager, from: Date): Promise<void> {
  await run(
    em,
    sql`with burning as (
       select budget_id, key, period_start from budget_spends where burn_nano_usd_per_hour > 0
        order by budget_id, key, period_start for update
     )
     update budget_spends s set look_at = ${from} from burning
      where s.budget_id = burning.budget_id and s.key = burning.key and s.period_start = burning.period_start`,
  );
}
