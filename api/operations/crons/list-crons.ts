import { z } from 'zod';
import { CronJob } from '../../../database/entities/cron-job.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { findAgent } from '../../find-instance.ts';
import { byCreation, nextCursor, olderThan, paginate } from '../../contract/pagination.ts';
import { agentParams } from '../agents/agent.schema.ts';
import { cronSchema, presentCron } from './cron.schema.ts';

const pages = paginate('crons', byCreation);

export const listCrons = defineOperation({
  method: 'GET',
  path: '/instances/:instanceId/agents/:agentId/crons',
  operationId: 'crons.list',
  summary: 'List the cron jobs of an agent, newest first',
  description: 'The list includes the jobs that the agent created. Jobs run only while the instance is running.',
  tag: 'crons',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: agentParams,
  query: z.object(pages.fields),
  success: { status: 200, schema: z.object({ crons: z.array(cronSchema), nextCursor }) },
  errors: [],

  async load({ params, actor, em }) {
    await findAgent(em, { accountId: actor.accountId, ...params });
  },
  async handle({ params, query, em }) {
    const { limit, cursor } = query;
    const rows = await em.find(
      CronJob,
      { agent: params.agentId, removedAt: null, gatewayJobId: { $ne: null }, ...olderThan(cursor, 'id') },
      { orderBy: { createdAt: 'desc', id: 'desc' }, limit: limit + 1 },
    );
    const page = pages.page(rows, limit, ({ createdAt, id }) => [createdAt.getTime(), id]);
    return { crons: page.items.map(presentCron), nextCursor: page.nextCursor };
  },
});
