import type { EntityManager } from '@mikro-orm/postgresql';
import { hasMoney } from '../database/billing/find-balance.ts';
import { findUsedUp } from '../database/budgets/find-used-up.ts';
import { BUDGET_REACHED, reachedMessage } from '../domain/money/budgets.ts';
import { AppError } from '../domain/errors.ts';

/** Throws AppError `payment_required` where a sleeping instance may not run: its account has no money, or a budget of it is used up. */
export async function requireWakeable(
  em: EntityManager,
  { accountId, instanceId }: { accountId: string; instanceId: string },
  now: Date,
): Promise<void> {
  if (!(await hasMoney(em, accountId)))
    throw new AppError('payment_required', 'The instance is asleep and the balance is used up. Add credit, then try again.');
  const budget = await findUsedUp(em, { accountId, instanceId, now: null });
  if (budget) throw new AppError('payment_required', reachedMessage(budget, now), { reason: BUDGET_REACHED });
}
