import { z } from 'zod';
import { awaitAwake } from '../../../turns/conversation/await-awake.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField } from '../../contract/fields.ts';
import { findAgent } from '../../find-instance.ts';
import { atGateway, holdForCrons, keepGone } from './cron-gateway.ts';
import { cronParams, findCron } from './cron.schema.ts';

export const deleteCron = defineOperation({
  method: 'DELETE',
  path: '/instances/:instanceId/agents/:agentId/crons/:cronId',
  operationId: 'crons.delete',
  summary: 'Delete a cron job',
  description: 'The events of earlier runs remain.',
  tag: 'crons',
  auth: 'account',
  scope: 'write',
  audit: 'crons.delete',
  rateLimit: 'account',
  idempotent: true,
  params: cronParams,
  success: { status: 200, schema: z.object({ cronId: idField('cron'), deleted: z.literal(true) }) },
  errors: ['instance_not_ready', 'payment_required'],

  async load({ params, actor, em }) {
    await findAgent(em, { accountId: actor.accountId, ...params });
    return findCron(em, params);
  },
  async before({ params, actor, em, deps, signal }) {
    await findAgent(em, { accountId: actor.accountId, ...params });
    await awaitAwake(deps, { accountId: actor.accountId, ...params }, signal);
  },
  async handle({ params, actor, em, loaded: { gatewayJobId } }) {
    (await holdForCrons(em, params.instanceId))();
    return { accountId: actor.accountId, ...params, gatewayJobId };
  },
  auditSubject: ({ cronId, instanceId }) => ({ target: cronId, instanceId }),

  async after(deleted, { deps }) {
    const { instanceId, gatewayJobId, cronId } = deleted;
    await atGateway(deps, deleted, ({ jobs }) => jobs.remove(gatewayJobId));
    await keepGone(deps, instanceId, gatewayJobId);
    return { cronId, deleted: true as const };
  },
});
