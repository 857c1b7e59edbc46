import { z } from 'zod';
import { defineOperation } from '../../../contract/define-operation.ts';
import { acceptPower } from '../../../operations/instances/power.ts';
import { environmentParams, instanceOfEnvironment } from '../ids.ts';
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
    return { id: params.environmentId, type: 'environment_deleted' as const };
  },
  auditSubject: ({ id }) => ({ target: id, instanceId: instanceOfEnvironment(id) }),
});
