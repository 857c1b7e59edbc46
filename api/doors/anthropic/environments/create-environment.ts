import { z } from 'zod';
import { ClaudeEnvironment } from '../../../../database/entities/claude-environment.ts';
import { AppError } from '../../../../domain/errors.ts';
import { defineOperation } from '../../../contract/define-operation.ts';
import { nameField } from '../../../contract/fields.ts';
import { newMetadata } from '../../../contract/metadata.ts';
import { findInstance } from '../../../find-instance.ts';
import { addInstance } from '../../../operations/instances/add-instance.ts';
import { configField, descriptionField, environmentSchema, PLAIN_FIELDS, presentEnvironment } from './environment.schema.ts';

export const createEnvironment = defineOperation({
  method: 'POST',
  path: '/v1/environments',
  operationId: 'anthropic.environments.create',
  summary: 'Create an environment, which is an instance',
  tag: 'instances',
  auth: 'account',
  scope: 'messages',
  audit: 'instances.create',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  body: z.object({
    name: nameField,
    config: configField.nullish(),
    description: descriptionField,
    metadata: newMetadata.nullish(),
  }),
  success: { status: 200, schema: environmentSchema },
  errors: ['payment_required', 'not_found'],

  async handle({ body, actor, em, deps }) {
    const { accountId, limits } = actor;
    if (limits.instanceId !== null) throw new AppError('forbidden', 'This API key is limited to one environment.');
    const { name, description = null, config, metadata } = body;
    const instanceId = await addInstance(em, deps, { accountId, name, metadata: metadata ?? {} });
    const fields = { config: config ?? PLAIN_FIELDS.config, description };
    const updatedAt = deps.clock();
    em.create(ClaudeEnvironment, { instance: instanceId, account: accountId, fields, updatedAt });
    await em.flush();
    return presentEnvironment(await findInstance(em, { accountId, instanceId }), { fields, updatedAt, archivedAt: null });
  },
  auditSubject: ({ id }) => ({ target: id, instanceId: id.replace(/^env_/, 'inst_') }),
});
