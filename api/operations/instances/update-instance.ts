import { z } from 'zod';
import { defineOperation } from '../../contract/define-operation.ts';
import { nameField } from '../../contract/fields.ts';
import { changedMetadata, changeMetadata } from '../../contract/metadata.ts';
import { findInstance } from '../../find-instance.ts';
import { instanceParams, instanceSchema, presentInstance } from './instance.schema.ts';

export const updateInstance = defineOperation({
  method: 'PATCH',
  path: '/instances/:instanceId',
  operationId: 'instances.update',
  summary: 'Change the name or the metadata of an instance',
  description: 'Fields that are not given stay as they are. The instance goes on running.',
  tag: 'instances',
  auth: 'account',
  scope: 'write',
  audit: 'instances.update',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  params: instanceParams,
  body: z.object({ name: nameField.optional(), metadata: changedMetadata.optional() }),
  success: { status: 200, schema: instanceSchema },
  errors: [],

  async load({ params, actor, em }) {
    return findInstance(em, { accountId: actor.accountId, ...params });
  },
  async handle({ params, body, actor, em, loaded: instance }) {
    instance.name = body.name ?? instance.name;
    await em.flush();
    if (body.metadata) await changeMetadata(em, 'instances', instance.id, body.metadata);
    return presentInstance(em, { accountId: actor.accountId, ...params });
  },
});
