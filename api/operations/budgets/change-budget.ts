import type { EntityManager } from '@mikro-orm/postgresql';
import { applyLimit, lockBudget } from '../../../database/budgets/change-budget.ts';
import { Budget } from '../../../database/entities/budget.ts';

/** What of a budget can be changed; what is undefined stays as it is. */
export interface BudgetChanges {
  name?: string | undefined;
  limitNanoUsd?: bigint | undefined;
  warnAt?: number | undefined;
}

/** Changes a budget that exists. What was spent still counts. */
export async function changeBudget(
  em: EntityManager,
  budgetId: string,
  { name, limitNanoUsd, warnAt }: BudgetChanges,
): Promise<void> {
  await lockBudget(em, budgetId);
  const budget = await em.findOneOrFail(Budget, budgetId);
  if (name !== undefined) budget.name = name;
  if (limitNanoUsd !== undefined) budget.limitNanoUsd = limitNanoUsd;
  if (warnAt !== undefined) budget.warnAt = warnAt;
  await em.flush();
  if (limitNanoUsd !== undefined || warnAt !== undefined) await applyLimit(em, budgetId);
}

/** Deletes these budgets, where they exist: they limit nothing any more. */
export async function removeBudgets(em: EntityManager, budgetIds: readonly string[], now: Date): Promise<void> {
  if (budgetIds.length > 0) await em.nativeUpdate(Budget, { id: { $in: [...budgetIds] }, deletedAt: null }, { deletedAt: now });
}
