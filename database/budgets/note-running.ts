import type { EntityManager } from '@mikro-orm/postgresql';
import { columns } from '../db.ts';
import { BudgetSpend } from '../entities/budget-spend.ts';
import { RuntimeInterval } from '../entities/runtime-interval.ts';
import { run, sql } from '../sql.ts';

const c = columns(BudgetSpend);

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
    sql`insert into budget_spends as known (${c.budget}, ${c.key}, ${c.periodStart}, ${c.lookAt})
        select m.budget_id, m.key, m.period_start, clock.now
          from (select coalesce(${now}::timestamptz, now()) as now) clock
         cross join lateral matching_budgets(${accountId}, ${instanceId}, null, null, null, null, clock.now) m
         order by 1, 2, 3
        on conflict (${c.budget}, ${c.key}, ${c.periodStart}) do update
           set ${c.lookAt} = least(${columns(BudgetSpend, 'known').lookAt}, ${columns(BudgetSpend, 'excluded').lookAt})`,
  );
}

/** The same for every instance of the account that runs, and this budget alone: it is new. The caller holds the account. */
export async function noteBudget(
  em: EntityManager,
  { accountId, budgetId, now }: { accountId: string; budgetId: string; now: Date },
): Promise<void> {
  const i = columns(RuntimeInterval, 'i');
  await run(
    em,
    sql`insert into budget_spends (${c.budget}, ${c.key}, ${c.periodStart}, ${c.lookAt})
        select distinct m.budget_id, m.key, m.period_start, ${now}::timestamptz
          from runtime_intervals i
         cross join lateral matching_budgets(${accountId}, ${i.instance}, null, null, null, null, ${now}::timestamptz) m
         where ${i.account} = ${accountId} and ${i.endedAt} is null and m.budget_id = ${budgetId}
        on conflict do nothing`,
  );
}

/**
 * Has every budget looked at whose running time goes on, because it costs something else from this moment on. Locks what is spent
 * of them, in their order, for all accounts: the last thing that the transaction does.
 */
export async function notePrice(em: EntityManager, from: Date): Promise<void> {
  const s = columns(BudgetSpend, 's');
  await run(
    em,
    sql`with burning as (
          select ${c.budget}, ${c.key}, ${c.periodStart} from budget_spends where ${c.burnNanoUsdPerHour} > 0
           order by ${c.budget}, ${c.key}, ${c.periodStart} for update
        )
        update budget_spends s set ${c.lookAt} = ${from} from burning
         where ${s.budget} = burning.${c.budget} and ${s.key} = burning.${c.key} and ${s.periodStart} = burning.${c.periodStart}`,
  );
}
