import { z } from 'zod';
import { AppError } from '../../../domain/errors.ts';
import { awaitAwake } from '../../../turns/conversation/await-awake.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { nameField } from '../../contract/fields.ts';
import { findAgent } from '../../find-instance.ts';
import { atGateway, holdForCrons, keepCron, keepGone } from './cron-gateway.ts';
import {
  cronMessageField,
  cronParams,
  cronSchema,
  findCron,
  gatewaySchedule,
  presentCron,
  scheduleField,
} from './cron.schema.ts';

export const updateCron = defineOperation({
  method: 'PATCH',
  path: '/instances/:instanceId/agents/:agentId/crons/:cronId',
  operationId: 'crons.update',
  summary: 'Update, enable or disable a cron job',
  tag: 'crons',
  auth: 'account',
  scope: 'write',
  audit: 'crons.update',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  params: cronParams,
  body: z.object({
    name: nameField.optional(),
    schedule: scheduleField.optional(),
    message: cronMessageField.optional(),
    enabled: z.boolean().optional(),
  }),
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
  async handle({ params, body, actor, em, deps, loaded: { gatewayJobId } }) {
    const { name, message, enabled } = body;
    const schedule = body.schedule && gatewaySchedule(body.schedule, deps.clock());
    (await holdForCrons(em, params.instanceId))();
    return { accountId: actor.accountId, ...params, gatewayJobId, changes: { name, schedule, message, enabled } };
  },
  auditSubject: ({ cronId, instanceId }) => ({ target: cronId, instanceId }),

  async after(changed, { em, deps }) {
    const { instanceId, gatewayJobId, changes } = changed;
    if (Object.values(changes).some((value) => value !== undefined)) {
      const job = await atGateway(deps, changed, ({ jobs }) => jobs.update(gatewayJobId, changes));
      if (!job) {
        await keepGone(deps, instanceId, gatewayJobId);
        throw new AppError('not_found', 'Cron not found');
      }
      await keepCron(deps, instanceId, job);
    }
    return presentCron(await findCron(em, changed));
  },
});
