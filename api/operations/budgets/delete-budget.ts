import { z } from 'zod';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField } from '../../contract/fields.ts';
import { budgetParams, requireOwnBudget } from './budget.schema.ts';
import { removeBudgets } from './change-budget.ts';

export const deleteBudget = defineOperation({
  method: 'DELETE',
  path: '/budgets/:budgetId',
  operationId: 'budgets.delete',
  summary: 'Delete a budget',
  description: 'The budget no longer limits any spending.',
  tag: 'billing',
  auth: 'account',
  scope: 'write',
  audit: 'budgets.delete',
  rateLimit: 'account',
  idempotent: true,
  params: budgetParams,
  success: { status: 200, schema: z.object({ budgetId: idField('bud'), deleted: z.literal(true) }) },
  errors: [],

  async load({ params, actor, em }) {
    await requireOwnBudget(em, actor.accountId, params.budgetId);
  },
  async handle({ params, em, deps }) {
    const { budgetId } = params;
    await removeBudgets(em, [budgetId], deps.clock());
    return { budgetId, deleted: true as const };
  },
});
