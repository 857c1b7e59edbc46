import type { EntityManager } from '@mikro-orm/postgresql';
import { run, sql } from '../sql.ts';

interface Batch {
  before: Date;
  limit: number;
}

/**
 * Removes one batch of what was spent in periods that began before this moment and are over: give one that is more than a month
 * ago. Says how many.
 */
export async function removeOldSpends(em: EntityManager, { before, limit }: Batch): Promise<number> {
  return run(
    em,
    sql`delete from budget_spends where (budget_id, key, period_start) in (
       select budget_id, key, period_start from budget_spends
        where period_start > 'epoch' and period_start < ${before} and reserved_nano_usd = 0 order by period_start limit ${limit})`,
  );
}

/** Removes one batch of what was spent of budgets that were deleted before this moment, and those that have nothing left. */
export async function removeOldBudgets(em: EntityManager, { before, limit }: Batch): Promise<number> {
  const count = await run(
    em,
    sql`delete from budget_spends where (budget_id, key, period_start) in (
       select budget_id, key, period_start from budget_spends join budgets on budgets.id = budget_id where deleted_at < ${before} limit ${limit})`,
  );
  if (count > 0) return count;
  return run(
    em,
    sql`delete from budgets where id in (
       select id from budgets
        where deleted_at < ${before} and not exists (select from budget_spends where budget_id = budgets.id) limit ${limit})`,
  );
}
