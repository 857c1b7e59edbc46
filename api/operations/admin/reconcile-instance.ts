import { z } from 'zod';
import { lookAgain } from '../../../database/instances/look-again.ts';
import { AppError } from '../../../domain/errors.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField } from '../../contract/fields.ts';
import { instanceParams } from '../instances/instance.schema.ts';

export const reconcileInstance = defineOperation({
  method: 'POST',
  path: '/admin/instances/:instanceId/reconcile',
  operationId: 'operator.instances.reconcile',
  summary: 'Reconcile an instance now',
  description: 'Starts a new attempt to bring the instance to its desired status, also when its status is `error`.',
  tag: 'operator',
  auth: 'operator',
  audit: 'instances.reconcile',
  rateLimit: 'none',
  idempotent: true,
  params: instanceParams,
  success: {
    status: 200,
    schema: z.object({ instanceId: idField('inst'), accountId: idField('acc'), reconciling: z.literal(true) }),
  },
  errors: [],

  async handle({ params, em }) {
    const accountId = await lookAgain(em, params.instanceId);
    if (accountId === null) throw new AppError('not_found', 'Instance not found');
    return { instanceId: params.instanceId, accountId, reconciling: true as const };
  },
  auditSubject: ({ instanceId, accountId }) => ({ target: instanceId, instanceId, accountId }),
});
