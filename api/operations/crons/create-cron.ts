import { z } from 'zod';
import { CronJob } from '../../../database/entities/cron-job.ts';
import { countCronsLocked, dropUnsentCron } from '../../../database/queries/crons.ts';
import { AppError } from '../../../domain/errors.ts';
import { addCron } from '../../../runtime/openclaw/crons.ts';
import { defineOperation } from '../../define-operation.ts';
import { nameField } from '../../fields.ts';
import { findAgent } from '../../find-instance.ts';
import { agentParams } from '../agents/agent.schema.ts';
import { awaitActiveAgent } from '../messages/await-active-agent.ts';
import { atGateway, holdForCrons, keepCron } from './cron-gateway.ts';
import {
  cronMessageField,
  cronSchema,
  findCron,
  gatewaySchedule,
  presentCron,
  scheduleField,
  scheduleRefused,
} from './cron.schema.ts';

const MAX_CRONS = 100;
const SOON_SECONDS = 5;

export const createCron = defineOperation({
  method: 'POST',
  path: '/instances/:instanceId/agents/:agentId/crons',
  operationId: 'crons.create',
  summary: 'Schedule a job of an agent',
  description: 'At each run the agent gets the message in a conversation of its own; what it says is a `cron.completed` event.',
  tag: 'crons',
  auth: 'account',
  audit: 'crons.create',
  rateLimit: 'account',
  idempotent: true,
  params: agentParams,
  body: z.object({ name: nameField, schedule: scheduleField, message: cronMessageField, enabled: z.boolean().default(true) }),
  success: { status: 201, schema: cronSchema },
  errors: ['conflict', 'instance_not_ready'],

  async load({ params, actor, em }) {
    return findAgent(em, { accountId: actor.accountId, ...params });
  },
  async before({ params, actor, deps, signal }) {
    await awaitActiveAgent(deps, { accountId: actor.accountId, ...params }, signal);
  },
  async handle({ params, body, actor, em, deps }) {
    const { instanceId, agentId } = params;
    const now = deps.clock();
    const schedule = gatewaySchedule(body.schedule, now);
    const requireRunning = await holdForCrons(em, instanceId);
    if ((await countCronsLocked(em, agentId)) >= MAX_CRONS)
      throw new AppError('conflict', `An agent has at most ${MAX_CRONS} crons. Delete one first.`);
    requireRunning();
    const { status, gatewayAgentId } = await findAgent(em, { accountId: actor.accountId, ...params });
    if (status !== 'active')
      throw new AppError('instance_not_ready', `The agent is not there yet (${status}). Try again in a moment.`, {
        reason: status,
        retryAfterSeconds: SOON_SECONDS,
      });
    const { name, message, enabled } = body;
    const id = deps.makeId('cron');
    em.create(CronJob, {
      ...{ id, name, message, enabled, instance: instanceId, agent: agentId, createdBy: 'api', createdAt: now, seenAt: now },
      schedule: JSON.stringify(schedule),
    });
    return {
      cronId: id,
      accountId: actor.accountId,
      ...params,
      added: { cronId: id, agentId: gatewayAgentId, name, schedule, message, enabled },
    };
  },
  auditSubject: ({ cronId, instanceId }) => ({ target: cronId, instanceId }),

  /** The gateway takes it once, however often this is repeated; if it is not, the watcher finds what the gateway has. */
  async after(created, { em, deps }) {
    const { cronId, agentId, instanceId } = created;
    const row = await em.findOne(CronJob, { id: cronId });
    if (!row) throw scheduleRefused();
    if (row.gatewayJobId === null) {
      const job = await atGateway(deps, created, (client) => addCron(client, created.added)).catch(async (error: unknown) => {
        if (error instanceof AppError && error.code === 'invalid_request') await dropUnsentCron(deps.orm.em.fork(), cronId);
        throw error;
      });
      await keepCron(deps, instanceId, job);
    }
    return presentCron(await findCron(deps.orm.em.fork(), { agentId, cronId }));
  },
});
