import { z } from 'zod';
import { defineOperation } from '../../contract/define-operation.ts';
import { findInstance } from '../../find-instance.ts';
import { awaitStatus, waitSeconds } from './await-status.ts';
import { instanceParams } from './instance.schema.ts';
import { acceptPower, powerAnswer } from './power.ts';

export const stopInstance = defineOperation({
  method: 'POST',
  path: '/instances/:instanceId/stop',
  operationId: 'instances.stop',
  summary: 'Stop an instance',
  description:
    'The call returns the accepted target status before the instance has stopped, unless `wait` is given. Running turns have one minute to end. Charging ends with this call.',
  tag: 'instances',
  auth: 'account',
  scope: 'write',
  audit: 'instances.stop',
  rateLimit: 'account',
  idempotent: true,
  params: instanceParams,
  query: z.object({ wait: waitSeconds.optional() }),
  success: { status: 200, schema: powerAnswer('stopped') },
  errors: ['conflict'],

  async load({ params, actor, em }) {
    await findInstance(em, { accountId: actor.accountId, instanceId: params.instanceId });
  },
  async handle({ params, em, deps }) {
    const { instanceId } = params;
    await acceptPower(em, instanceId, 'stop', deps.clock());
    return { instanceId, status: 'stopped' as const };
  },
  async after(accepted, { query, actor, deps, signal }) {
    if (query.wait === undefined) return accepted;
    return awaitStatus(deps, { accountId: actor.accountId, ...accepted, seconds: query.wait, signal });
  },
});
