import { z } from 'zod';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField } from '../../contract/fields.ts';
import { instanceParams } from '../instances/instance.schema.ts';
import { acceptPower } from '../instances/power.ts';
import { findAnyInstance } from './operator-instance.ts';

export const stopAnyInstance = defineOperation({
  method: 'POST',
  path: '/admin/instances/:instanceId/stop',
  operationId: 'operator.instances.stop',
  summary: 'Stop an instance of any account',
  tag: 'operator',
  auth: 'operator',
  audit: 'instances.stop',
  rateLimit: 'none',
  idempotent: true,
  params: instanceParams,
  success: {
    status: 200,
    schema: z.object({ instanceId: idField('inst'), accountId: idField('acc'), status: z.literal('stopped') }),
  },
  errors: ['conflict'],

  async handle({ params, em, deps }) {
    const { instanceId } = params;
    const { account } = await findAnyInstance(em, instanceId);
    await acceptPower(em, instanceId, 'stop', deps.clock());
    return { instanceId, accountId: account, status: 'stopped' as const };
  },
  auditSubject: ({ instanceId, accountId }) => ({ target: instanceId, instanceId, accountId }),
});
