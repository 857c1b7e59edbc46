import { defineOperation } from '../../contract/define-operation.ts';
import { budgetParams, budgetSchema, presentBudget, requireOwnBudget } from './budget.schema.ts';

export const getBudget = defineOperation({
  method: 'GET',
  path: '/budgets/:budgetId',
  operationId: 'budgets.get',
  summary: 'Get a budget and its spending',
  tag: 'billing',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: budgetParams,
  success: { status: 200, schema: budgetSchema },
  errors: [],

  async load({ params, actor, em }) {
    return requireOwnBudget(em, actor.accountId, params.budgetId);
  },
  async handle({ loaded: budget, deps }) {
    return presentBudget(budget, deps.clock());
  },
});
