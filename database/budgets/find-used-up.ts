import type { EntityManager } from '@mikro-orm/postgresql';
import type { NamedBudget } from '../../domain/money/budgets.ts';
import { columns } from '../db.ts';
import { BudgetSpend } from '../entities/budget-spend.ts';
import { Budget } from '../entities/budget.ts';
import { fetchRow } from '../rows.ts';
import { sql } from '../sql.ts';

/**
 * A budget that counts the running time of this instance, and of which nothing is left; null when there is none. Without an
 * instance: one of the whole account, which a new instance would count for. `now` null: the database's own time.
 */
export async function findUsedUp(
  em: EntityManager,
  { accountId, instanceId, now }: { accountId: string; instanceId: string | null; now: Date | null },
): Promise<NamedBudget | null> {
  const s = columns(BudgetSpend, 's');
  const b = columns(Budget, 'b');
  const { budget, key, periodStart } = columns(BudgetSpend);
  return fetchRow(
    em,
    { budgetId: b.id, name: b.name, period: b.period },
    (fields) => sql`
      select ${fields}
        from (select coalesce(${now}::timestamptz, now()) as now) clock
       cross join lateral matching_budgets(${accountId}, ${instanceId}::text, null, null, null, null, clock.now) m
        join budget_spends s using (${budget}, ${key}, ${periodStart})
        join budgets b on ${b.id} = ${s.budget}
       where spent_by(s, clock.now) >= ${b.limitNanoUsd} order by ${b.id} limit 1`,
  );
}
