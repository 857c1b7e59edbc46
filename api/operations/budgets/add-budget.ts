import type { EntityManager } from '@mikro-orm/postgresql';
import { readDatabaseClock } from '../../../database/billing/account-money.ts';
import { countBudgetsLocked } from '../../../database/budgets/change-budget.ts';
import { noteBudget } from '../../../database/budgets/note-running.ts';
import { Budget } from '../../../database/entities/budget.ts';
import type { BudgetPeriod, BudgetScope } from '../../../domain/money/budgets.ts';
import { AppError } from '../../../domain/errors.ts';
import type { Deps } from '../../deps.ts';

const MAX_BUDGETS = 100;

export interface NewBudget {
  accountId: string;
  name: string;
  /** What is not given is not limited. */
  scope: { [Of in keyof BudgetScope]?: string | undefined };
  period: BudgetPeriod;
  limitNanoUsd: bigint;
  /** In per cent of the limit. */
  warnAt: number;
}

/** Adds a budget whose scope is the account's own, and returns its id and when it begins to count. Throws AppError `conflict` when there are too many. */
export async function addBudget(
  em: EntityManager,
  { makeId }: Pick<Deps, 'makeId'>,
  { accountId, name, scope, period, limitNanoUsd, warnAt }: NewBudget,
): Promise<{ budgetId: string; createdAt: Date }> {
  if ((await countBudgetsLocked(em, accountId)) >= MAX_BUDGETS)
    throw new AppError('conflict', `An account can have at most ${MAX_BUDGETS} budgets. Delete a budget first.`);
  const createdAt = await readDatabaseClock(em);
  const { instanceId = null, agentId = null, keyId = null, senderId = null, sessionId = null } = scope;
  const budgetId = makeId('bud');
  const counted = { instanceId, agentId, keyId, senderId, sessionId };
  em.create(Budget, { id: budgetId, account: accountId, name, ...counted, period, limitNanoUsd, warnAt, createdAt });
  await em.flush();
  await noteBudget(em, { accountId, budgetId, now: createdAt });
  return { budgetId, createdAt };
}
