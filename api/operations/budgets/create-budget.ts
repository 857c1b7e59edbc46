import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { Agent } from '../../../database/entities/agent.ts';
import { ApiKey } from '../../../database/entities/api-key.ts';
import { EACH } from '../../../domain/money/budgets.ts';
import { AppError } from '../../../domain/errors.ts';
import { findInstance } from '../../find-instance.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { nameField } from '../../contract/fields.ts';
import { addBudget } from './add-budget.ts';
import {
  budgetSchema,
  limitField,
  periodField,
  presentBudget,
  requireOwnBudget,
  scopeField,
  warnAtField,
} from './budget.schema.ts';

export const createBudget = defineOperation({
  method: 'POST',
  path: '/budgets',
  operationId: 'budgets.create',
  summary: 'Create a budget, a cap on what is spent',
  description:
    'A message that a budget has no room for is refused with 402, and a running turn ends when its next model call has no room. An instance whose running time a budget counts is stopped at the limit. Spending counts from the creation of the budget on.',
  tag: 'billing',
  auth: 'account',
  scope: 'write',
  audit: 'budgets.create',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  body: z
    .object({ name: nameField, scope: scopeField, period: periodField, limitUsd: limitField, warnAt: warnAtField.default(80) })
    .meta({ example: { name: 'each end user', scope: { senderId: '*' }, period: 'day', limitUsd: '1.00' } }),
  success: { status: 201, schema: budgetSchema },
  errors: ['not_found', 'conflict'],

  async handle({ body, actor, em, deps }) {
    const { accountId } = actor;
    const { name, scope, period, limitUsd: limitNanoUsd, warnAt } = body;
    await requireOwn(em, accountId, scope);
    const { budgetId, createdAt } = await addBudget(em, deps, { accountId, name, scope, period, limitNanoUsd, warnAt });
    return presentBudget(await requireOwnBudget(em, accountId, budgetId), createdAt);
  },
  auditSubject: ({ budgetId }) => ({ target: budgetId, instanceId: null }),
});

/** Throws `not_found` where the scope names something that the account does not have. */
async function requireOwn(em: EntityManager, account: string, scope: z.output<typeof scopeField>): Promise<void> {
  const named = (id: string | undefined): id is string => id !== undefined && id !== EACH;
  const { instanceId, agentId, keyId } = scope;
  if (named(instanceId)) await findInstance(em, { accountId: account, instanceId });
  if (named(agentId) && (await em.count(Agent, { id: agentId, account, deletedAt: null })) === 0)
    throw new AppError('not_found', 'Agent not found');
  if (named(keyId) && (await em.count(ApiKey, { id: keyId, account, revokedAt: null })) === 0)
    throw new AppError('not_found', 'API key not found');
}
