import { z } from 'zod';
import { BASE_PATH } from '../../http/base-path.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { nameField } from '../../contract/fields.ts';
import { newMetadata } from '../../contract/metadata.ts';
import { addInstance } from './add-instance.ts';
import { awaitStatus, waitSeconds } from './await-status.ts';
import { instanceSchema, presentInstance, sleepAfterField } from './instance.schema.ts';

export const createInstance = defineOperation({
  method: 'POST',
  path: '/instances',
  operationId: 'instances.create',
  summary: 'Create an instance',
  description: 'Provisioning is asynchronous: poll `GET /instances/:instanceId` until the status is `running`, or pass `wait`.',
  tag: 'instances',
  auth: 'account',
  scope: 'write',
  audit: 'instances.create',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  query: z.object({ wait: waitSeconds.optional() }),
  body: z.object({ name: nameField, metadata: newMetadata.default({}), sleepAfterMs: sleepAfterField.optional() }),
  success: {
    status: 201,
    schema: instanceSchema,
    headers: {
      Location: {
        description: 'The path of the new instance.',
        value: ({ instanceId }) => `${BASE_PATH}/instances/${instanceId}`,
      },
    },
  },
  errors: ['conflict', 'payment_required', 'not_found'],

  async handle({ body, actor, em, deps }) {
    const { accountId } = actor;
    const instanceId = await addInstance(em, deps, { accountId, ...body });
    return presentInstance(em, { accountId, instanceId });
  },
  auditSubject: ({ instanceId }) => ({ target: instanceId, instanceId }),

  async after(created, { query, actor, deps, signal }) {
    if (query.wait === undefined) return created;
    const { instanceId } = created;
    return awaitStatus(deps, { accountId: actor.accountId, instanceId, status: 'running', seconds: query.wait, signal });
  },
});
