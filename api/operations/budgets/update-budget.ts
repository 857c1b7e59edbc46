import { z } from 'zod';
import { defineOperation } from '../../contract/define-operation.ts';
import { nameField } from '../../contract/fields.ts';
import { budgetParams, budgetSchema, limitField, presentBudget, requireOwnBudget, warnAtField } from './budget.schema.ts';
import { changeBudget } from './change-budget.ts';

/** Refused rather than ignored: a client would believe that the field had changed. */
const immutable = z
  .never({ error: 'The scope and the period of a budget cannot be changed. Create a new budget instead.' })
  .optional()
  .meta({ description: 'Cannot be changed after creation.' });

export const updateBudget = defineOperation({
  method: 'PATCH',
  path: '/budgets/:budgetId',
  operationId: 'budgets.update',
  summary: 'Rename a budget, or change its limit or warning',
  description: 'Spending so far still counts. When the new limit is below it, new messages are refused at once.',
  tag: 'billing',
  auth: 'account',
  scope: 'write',
  audit: 'budgets.update',
  rateLimit: 'account',
  idempotent: true,
  params: budgetParams,
  body: z.object({
    name: nameField.optional(),
    limitUsd: limitField.optional(),
    warnAt: warnAtField.optional(),
    scope: immutable,
    period: immutable,
  }),
  success: { status: 200, schema: budgetSchema },
  errors: [],

  async load({ params, actor, em }) {
    await requireOwnBudget(em, actor.accountId, params.budgetId);
  },
  async handle({ params, body, actor, em, deps }) {
    const { budgetId } = params;
    const { name, limitUsd, warnAt } = body;
    await changeBudget(em, budgetId, { name, limitNanoUsd: limitUsd, warnAt });
    return presentBudget(await requireOwnBudget(em, actor.accountId, budgetId), deps.clock());
  },
});
