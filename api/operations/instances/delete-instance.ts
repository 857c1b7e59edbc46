import { z } from 'zod';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField } from '../../contract/fields.ts';
import { findInstance } from '../../find-instance.ts';
import { instanceParams } from './instance.schema.ts';
import { acceptPower } from './power.ts';

export const deleteInstance = defineOperation({
  method: 'DELETE',
  path: '/instances/:instanceId',
  operationId: 'instances.delete',
  summary: 'Delete an instance and all its data',
  description:
    'An instance can be deleted in every status, and the call can be repeated. The status is `destroying` until the instance is deleted; after that, calls return 404.',
  tag: 'instances',
  auth: 'account',
  scope: 'write',
  audit: 'instances.delete',
  rateLimit: 'account',
  idempotent: true,
  params: instanceParams,
  success: { status: 200, schema: z.object({ instanceId: idField('inst'), status: z.literal('destroying') }) },
  errors: [],

  async handle({ params, actor, em, deps }) {
    const { instanceId } = params;
    await findInstance(em, { accountId: actor.accountId, instanceId });
    await acceptPower(em, instanceId, 'destroy', deps.clock());
    return { instanceId, status: 'destroying' as const };
  },
});
