import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { Budget } from '../../../../database/entities/budget.ts';
import type { ClaudeSession } from '../../../../database/entities/claude-session.ts';
import { invalidRequest } from '../../../contract/invalid-request.ts';
import type { Deps } from '../../../deps.ts';
import { addBudget } from '../../../operations/budgets/add-budget.ts';
import { changeBudget, removeBudgets } from '../../../operations/budgets/change-budget.ts';

const NANO_USD_PER_CENT = 10_000_000n;
const WARN_AT = 80;

/** A limit as Claude Managed Agents gives it: in cents, as text. Read as nano-dollars. */
export const budgetField = z
  .object({
    type: z.literal('limit'),
    max_list_cost: z.object({
      amount: z
        .string()
        .regex(/^[1-9]\d{0,9}$/, 'Give the amount in cents, as text and greater than zero: "2500" is 25 dollars.')
        .transform((cents) => BigInt(cents) * NANO_USD_PER_CENT),
      currency: z.literal('USD'),
    }),
  })
  .transform((budget) => budget.max_list_cost.amount);

export const budgetSchema = z
  .object({ type: z.literal('limit'), max_list_cost: z.object({ amount: z.string(), currency: z.literal('USD') }) })
  .nullable();

export type PresentedBudget = z.input<typeof budgetSchema>;

interface Budgeted {
  accountId: string;
  sessionId: string;
  limitNanoUsd: bigint;
}

/** Makes the budget of a session. Returns its id. Throws AppError `conflict` when the account has too many. */
export async function addSessionBudget(
  em: EntityManager,
  deps: Pick<Deps, 'makeId'>,
  { accountId, sessionId, limitNanoUsd }: Budgeted,
): Promise<string> {
  const name = `session ${sessionId}`;
  const budget = { accountId, name, scope: { sessionId }, period: 'total' as const, limitNanoUsd, warnAt: WARN_AT };
  return (await addBudget(em, deps, budget)).budgetId;
}

/** Gives the budget of a session another limit, or removes it. Throws AppError `invalid_request` where there is none. */
export async function changeSessionBudget(
  em: EntityManager,
  { fields }: ClaudeSession,
  limitNanoUsd: bigint | null,
  now: Date,
): Promise<void> {
  const budgetId = fields.budgetId ?? null;
  const exists = budgetId !== null && (await em.count(Budget, { id: budgetId, deletedAt: null })) > 0;
  if (limitNanoUsd === null) return removeBudgets(em, exists ? [budgetId] : [], now);
  if (exists) return changeBudget(em, budgetId, { limitNanoUsd });
  const message = 'A budget can only be given when the session is created. Create a session with a budget.';
  throw invalidRequest([{ path: 'budget', message }]);
}

/** The budgets of these sessions, by the ids of the sessions. */
export async function findSessionBudgets(
  em: EntityManager,
  sessions: readonly ClaudeSession[],
): Promise<Map<string, PresentedBudget>> {
  const ids = sessions.flatMap(({ fields }) => fields.budgetId ?? []);
  const budgets = ids.length === 0 ? [] : await em.find(Budget, { id: { $in: ids }, deletedAt: null }, { refresh: true });
  return new Map(budgets.map(({ sessionId, limitNanoUsd }) => [sessionId ?? '', presentLimit(limitNanoUsd)]));
}

function presentLimit(nanoUsd: bigint): PresentedBudget {
  return { type: 'limit', max_list_cost: { amount: String(nanoUsd / NANO_USD_PER_CENT), currency: 'USD' } };
}
