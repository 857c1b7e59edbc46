import type { EntityManager } from '@mikro-orm/postgresql';
import { findUsedUp } from '../../../database/budgets/find-used-up.ts';
import { BUDGET_REACHED, reachedMessage } from '../../../domain/money/budgets.ts';
import { AppError } from '../../../domain/errors.ts';

/** Throws `payment_required` where a budget of running time is used up that the instance, or a new one (null), counts for. */
export async function requireBudget(
  em: EntityManager,
  of: { accountId: string; instanceId: string | null },
  now: Date,
): Promise<void> {
  const budget = await findUsedUp(em, { ...of, now: null });
  if (budget) throw new AppError('payment_required', reachedMessage(budget, now), { reason: BUDGET_REACHED });
}
