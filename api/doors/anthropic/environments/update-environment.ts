import { z } from 'zod';
import { defineOperation } from '../../../contract/define-operation.ts';
import { nameField } from '../../../contract/fields.ts';
import { changedMetadata, changeMetadata } from '../../../contract/metadata.ts';
import { configField, descriptionField, environmentSchema, presentEnvironment } from './environment.schema.ts';
import { environmentParams, instanceOfEnvironment } from '../ids.ts';
import { findOwnEnvironment, holdEnvironmentFields } from './own-environment.ts';

export const updateEnvironment = defineOperation({
  method: 'POST',
  path: '/v1/environments/:environmentId',
  operationId: 'anthropic.environments.update',
  summary: 'Change the name, the description, the metadata or the configuration of an environment',
  tag: 'instances',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'instances.update',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  params: environmentParams,
  body: z.object({
    name: nameField.nullish(),
    config: configField.nullish(),
    description: descriptionField,
    metadata: changedMetadata.nullish(),
  }),
  success: { status: 200, schema: environmentSchema },
  errors: [],

  async load({ params, actor, em }) {
    return findOwnEnvironment(em, actor, params.environmentId);
  },
  async handle({ params, body, actor, em, deps, loaded: instance }) {
    const { name, config, description, metadata } = body;
    instance.name = name ?? instance.name;
    const kept = await holdEnvironmentFields(em, instance, deps.clock());
    kept.fields = {
      config: config ?? kept.fields.config,
      description: description === undefined ? kept.fields.description : description,
    };
    kept.updatedAt = deps.clock();
    await em.flush();
    if (metadata) await changeMetadata(em, 'instances', instance.id, withoutEmpty(metadata));
    return presentEnvironment(await findOwnEnvironment(em, actor, params.environmentId), kept);
  },
  auditSubject: ({ id }) => ({ target: id, instanceId: instanceOfEnvironment(id) }),
});

/** An empty text removes a pair, as null does. */
function withoutEmpty(changes: Readonly<Record<string, string | null>>): Record<string, string | null> {
  return Object.fromEntries(Object.entries(changes).map(([key, value]) => [key, value === '' ? null : value]));
}
