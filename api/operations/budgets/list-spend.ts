import { z } from 'zod';
import { listSpend as findSpend } from '../../../database/budgets/list-budgets.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { nextCursor, paginate } from '../../contract/pagination.ts';
import { budgetParams, requireOwnBudget } from './budget.schema.ts';

/** A key of a scope: an id, a name that a client gave, or a JSON array of some, in which control characters are escaped. */
const byKey = z
  .string()
  .max(2_048)
  .refine((key) => key.isWellFormed() && !key.includes('\0'));
const pages = paginate('spend', byKey);

export const listSpend = defineOperation({
  method: 'GET',
  path: '/budgets/:budgetId/spend',
  operationId: 'budgets.spend',
  summary: 'List the spending of a budget for each end user, instance, or other key of its scope',
  description: 'For a budget with `*` in its scope, in the order of the keys. Other budgets have no keys.',
  tag: 'billing',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: budgetParams,
  query: z.object(pages.fields),
  success: {
    status: 200,
    schema: z.object({
      keys: z.array(
        z.object({
          key: z.string().meta({
            description: 'The id that `*` stands for; with several `*`, a JSON array of the ids in the order of the scope.',
          }),
          spentNanoUsd: z.string().meta({ description: 'What was spent in the present period, in 10^-9 USD.' }),
        }),
      ),
      nextCursor,
    }),
  },
  errors: [],

  async load({ params, actor, em }) {
    await requireOwnBudget(em, actor.accountId, params.budgetId);
  },
  async handle({ params, query, em }) {
    const { limit, cursor } = query;
    const rows = await findSpend(em, { budgetId: params.budgetId, after: cursor, limit: limit + 1 });
    const page = pages.page(rows, limit, ({ key }) => key);
    return { keys: [...page.items], nextCursor: page.nextCursor };
  },
});
