import { ClaudeEnvironment } from '../../../../database/entities/claude-environment.ts';
import { defineOperation } from '../../../contract/define-operation.ts';
import { environmentSchema, presentEnvironment } from './environment.schema.ts';
import { environmentParams } from '../ids.ts';
import { findOwnEnvironment } from './own-environment.ts';

export const getEnvironment = defineOperation({
  method: 'GET',
  path: '/v1/environments/:environmentId',
  operationId: 'anthropic.environments.retrieve',
  summary: 'Get an environment',
  tag: 'instances',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: environmentParams,
  success: { status: 200, schema: environmentSchema },
  errors: [],

  async handle({ params, actor, em }) {
    const instance = await findOwnEnvironment(em, actor, params.environmentId);
    return presentEnvironment(instance, (await em.findOne(ClaudeEnvironment, { instance: instance.id })) ?? undefined);
  },
});
