import { z } from 'zod';
import { ClaudeSession } from '../../../database/entities/claude-session.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { removeBudgets } from '../../operations/budgets/change-budget.ts';
import { acceptPower } from '../../operations/instances/power.ts';
import { environmentParams, instanceOfEnvironment } from './ids.ts';
import { findOwnEnvironment } from './own-environment.ts';

export const deleteEnvironment = defineOperation({
  method: 'DELETE',
  path: '/v1/environments/:environmentId',
  operationId: 'anthropic.environments.delete',
  summary: 'Delete an environment with its instance and all its data',
  tag: 'instances',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'instances.delete',
  rateLimit: 'account',
  idempotent: true,
  params: environmentParams,
  success: { status: 200, schema: z.object({ id: z.string(), type: z.literal('environment_deleted') }) },
  errors: [],

  async handle({ params, actor, em, deps }) {
    const { id } = await findOwnEnvironment(em, actor, params.environmentId);
    await acceptPower(em, id, 'destroy', deps.clock());
    const sessions = await em.find(ClaudeSession, { instance: id });
    await removeBudgets(
      em,
      sessions.flatMap(({ fields }) => fields.budgetId ?? []),
      deps.clock(),
    );
    return { id: params.environmentId, type: 'environment_deleted' as const };
  },
  auditSubject: ({ id }) => ({ target: id, instanceId: instanceOfEnvironment(id) }),
});
