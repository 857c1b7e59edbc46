import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { CronJob } from '../../../database/entities/cron-job.ts';
import { countCronsLocked, dropUnsentCron } from '../../../database/crons/crons.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { AppError } from '../../../domain/errors.ts';
import type { NewCron } from '../../../runtime/gateway/gateway-jobs.ts';
import { awaitAwake } from '../../../turns/conversation/await-awake.ts';
import { awaitActiveAgent } from '../../../turns/conversation/await-active-agent.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import type { Deps } from '../../deps.ts';
import { nameField } from '../../contract/fields.ts';
import { findAgent } from '../../find-instance.ts';
import { agentParams } from '../agents/agent.schema.ts';
import { atGateway, holdForCrons, keepCron } from './cron-gateway.ts';
import { cronMessageField, cronSchema, findCron, gatewaySchedule, presentCron, scheduleField } from './cron.schema.ts';

const MAX_CRONS = 100;
const SOON_SECONDS = 5;

export const createCron = defineOperation({
  method: 'POST',
  path: '/instances/:instanceId/agents/:agentId/crons',
  operationId: 'crons.create',
  summary: 'Create a cron job for an agent',
  description:
    'At each run, the agent receives the message in a separate conversation, and its reply is recorded as a `cron.completed` event.',
  tag: 'crons',
  auth: 'account',
  scope: 'write',
  audit: 'crons.create',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  params: agentParams,
  body: z.object({ name: nameField, schedule: scheduleField, message: cronMessageField, enabled: z.boolean().default(true) }),
  success: { status: 201, schema: cronSchema },
  errors: ['conflict', 'instance_not_ready', 'payment_required'],

  async load({ params, actor, em }) {
    return findAgent(em, { accountId: actor.accountId, ...params });
  },
  async before({ params, actor, deps, signal }) {
    await awaitActiveAgent(deps, actor, params, signal);
    await awaitAwake(deps, { accountId: actor.accountId, ...params }, signal);
  },
  async handle({ params, body, actor, em, deps }) {
    const { name, message, enabled } = body;
    const schedule = gatewaySchedule(body.schedule, deps.clock());
    const wanted = { cronId: deps.makeId('cron'), accountId: actor.accountId, ...params };
    const agentId = await placeCron(em, deps, { ...wanted, added: { name, message, enabled, schedule } });
    return { ...wanted, added: { cronId: wanted.cronId, agentId, name, schedule, message, enabled } };
  },
  auditSubject: ({ cronId, instanceId }) => ({ target: cronId, instanceId }),

  /**
   * The gateway takes it once, however often this is repeated; if it is not, the watcher finds what the gateway has. What
   * the gateway refused is not kept, so a repeated call begins anew.
   */
  async after(created, { em, deps }) {
    const { cronId, agentId, instanceId } = created;
    const row = await em.findOne(CronJob, { id: cronId });
    if (!row) await runTransaction(deps.orm.em, (transaction) => placeCron(transaction, deps, created));
    if (!row?.gatewayJobId) {
      const onRefused = () => dropUnsentCron(deps.orm.em.fork(), cronId);
      const job = await atGateway(deps, created, ({ jobs }) => jobs.add(created.added), { onRefused });
      await keepCron(deps, instanceId, job);
    }
    return presentCron(await findCron(deps.orm.em.fork(), { agentId, cronId }));
  },
});

interface WantedCron {
  cronId: string;
  accountId: string;
  instanceId: string;
  agentId: string;
  added: Pick<NewCron, 'name' | 'message' | 'enabled' | 'schedule'>;
}

/**
 * Makes room for a job that is about to be added, unless that is done already, in the caller's transaction. Answers the
 * agent's name inside the gateway. Throws `conflict` for one job too many, and `instance_not_ready`.
 */
async function placeCron(em: EntityManager, deps: Deps, { cronId, added, ...owned }: WantedCron): Promise<string> {
  const { instanceId, agentId } = owned;
  const requireRunning = await holdForCrons(em, instanceId);
  const count = await countCronsLocked(em, agentId);
  const isPlaced = (await em.count(CronJob, { id: cronId })) > 0;
  if (!isPlaced && count >= MAX_CRONS)
    throw new AppError('conflict', `An agent can have at most ${MAX_CRONS} cron jobs. Delete a cron job first.`);
  requireRunning();
  const { status, gatewayAgentId } = await findAgent(em, owned);
  if (status !== 'active')
    throw new AppError('instance_not_ready', `The agent is not active yet (status: ${status}). Try again in a moment.`, {
      reason: status,
      retryAfterSeconds: SOON_SECONDS,
    });
  if (isPlaced) return gatewayAgentId;
  const now = deps.clock();
  const { name, message, enabled, schedule } = added;
  em.create(CronJob, {
    ...{
      id: cronId,
      name,
      message,
      enabled,
      instance: instanceId,
      agent: agentId,
      createdBy: 'api',
      createdAt: now,
      seenAt: now,
    },
    schedule: JSON.stringify(schedule),
  });
  return gatewayAgentId;
}
