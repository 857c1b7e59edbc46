import type { EntityManager } from '@mikro-orm/postgresql';
import type { NamedBudget } from '../../domain/budgets.ts';
import { query, sql } from '../sql.ts';

/**
 * A budget that counts the running time of this instance, and of which nothing is left; null when there is none. Without an
 * instance: one of the whole account, which a new instance would count for. `now` null: the database's own time.
 */
export async function findUsedUp(
  em: EntityManager,
  { accountId, instanceId, now }: { accountId: string; instanceId: string | null; now: Date | null },
): Promise<NamedBudget | null> {
  const [budget] = await query<NamedBudget>(
    em,
    sql`select b.id as "budgetId", b.name, b.period
       from (select coalesce(${now}::timestamptz, now()) as now) clock
      cross join lateral matching_budgets(${accountId}, ${instanceId}::text, null, null, null, null, clock.now) m
       join budget_spends s using (budget_id, key, period_start)
       join budgets b on b.id = m.budget_id
      where spent_by(s, clock.now) >= b.limit_nano_usd order by b.id limit 1`,
  );
  return budget ?? null;
}
