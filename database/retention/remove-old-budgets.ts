import type { EntityManager } from '@mikro-orm/postgresql';
import { columns } from '../db.ts';
import { BudgetSpend } from '../entities/budget-spend.ts';
import { Budget } from '../entities/budget.ts';
import { run, sql } from '../sql.ts';

const spend = columns(BudgetSpend);
const PLACE = sql.join([spend.budget, spend.key, spend.periodStart]);

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
    sql`delete from budget_spends where (${PLACE}) in (
          select ${PLACE} from budget_spends
           where ${spend.periodStart} > 'epoch' and ${spend.periodStart} < ${before} and ${spend.reservedNanoUsd} = 0
           order by ${spend.periodStart} limit ${limit})`,
  );
}

/** Removes one batch of what was spent of budgets that were deleted before this moment, and those that have nothing left. */
export async function removeOldBudgets(em: EntityManager, { before, limit }: Batch): Promise<number> {
  const old = columns(Budget, 'old');
  const count = await run(
    em,
    sql`delete from budget_spends where (${PLACE}) in (
          select ${PLACE} from budget_spends join budgets old on ${old.id} = ${spend.budget} where ${old.deletedAt} < ${before} limit ${limit})`,
  );
  if (count > 0) return count;
  return run(
    em,
    sql`delete from budgets where ${columns(Budget).id} in (
          select ${old.id} from budgets old
           where ${old.deletedAt} < ${before} and not exists (select from budget_spends where ${spend.budget} = ${old.id}) limit ${limit})`,
  );
}
