import { defineOperation } from '../../../contract/define-operation.ts';
import { environmentSchema, presentEnvironment } from './environment.schema.ts';
import { environmentParams, instanceOfEnvironment } from '../ids.ts';
import { findOwnEnvironment, holdEnvironmentFields } from './own-environment.ts';

export const archiveEnvironment = defineOperation({
  method: 'POST',
  path: '/v1/environments/:environmentId/archive',
  operationId: 'anthropic.environments.archive',
  summary: 'Archive an environment: no session is opened in it any more, and those that it has go on',
  tag: 'instances',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'claudeEnvironments.archive',
  rateLimit: 'account',
  idempotent: true,
  params: environmentParams,
  success: { status: 200, schema: environmentSchema },
  errors: [],

  async load({ params, actor, em }) {
    return findOwnEnvironment(em, actor, params.environmentId);
  },
  async handle({ em, deps, loaded: instance }) {
    const kept = await holdEnvironmentFields(em, instance, deps.clock());
    kept.archivedAt ??= deps.clock();
    await em.flush();
    return presentEnvironment(instance, kept);
  },
  auditSubject: ({ id }) => ({ target: id, instanceId: instanceOfEnvironment(id) }),
});
