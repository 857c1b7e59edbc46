import { z } from 'zod';
import { listBudgets as findBudgets } from '../../../database/budgets/list-budgets.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { byCreation, nextCursor, paginate } from '../../contract/pagination.ts';
import { budgetSchema, presentBudget } from './budget.schema.ts';

const pages = paginate('budgets', byCreation);

export const listBudgets = defineOperation({
  method: 'GET',
  path: '/budgets',
  operationId: 'budgets.list',
  summary: 'List your budgets, newest first',
  tag: 'billing',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  query: z.object(pages.fields),
  success: { status: 200, schema: z.object({ budgets: z.array(budgetSchema), nextCursor }) },
  errors: [],

  async handle({ query, actor, em, deps }) {
    const { limit, cursor } = query;
    const rows = await findBudgets(em, { accountId: actor.accountId, after: cursor, limit: limit + 1 });
    const page = pages.page(rows, limit, ({ createdAtMs, budgetId }) => [createdAtMs, budgetId]);
    const now = deps.clock();
    return { budgets: page.items.map((budget) => presentBudget(budget, now)), nextCursor: page.nextCursor };
  },
});
