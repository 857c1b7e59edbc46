import { AppError } from '../../../domain/errors.ts';
import { awaitAwake } from '../../../turns/conversation/await-awake.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { findAgent } from '../../find-instance.ts';
import { atGateway, holdForCrons, keepGone } from './cron-gateway.ts';
import { cronParams, cronSchema, findCron, presentCron } from './cron.schema.ts';

export const runCron = defineOperation({
  method: 'POST',
  path: '/instances/:instanceId/agents/:agentId/crons/:cronId/run',
  operationId: 'crons.run',
  summary: 'Run a cron job now',
  description: 'The call returns once the run is queued. The result is recorded as an event. The schedule does not change.',
  tag: 'crons',
  auth: 'account',
  scope: 'write',
  audit: 'crons.run',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  params: cronParams,
  success: { status: 200, schema: cronSchema },
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

  async after(wanted, { em, deps }) {
    const { instanceId, gatewayJobId } = wanted;
    if (!(await atGateway(deps, wanted, ({ jobs }) => jobs.run(gatewayJobId)))) {
      await keepGone(deps, instanceId, gatewayJobId);
      throw new AppError('not_found', 'Cron not found');
    }
    return presentCron(await findCron(em, wanted));
  },
});
