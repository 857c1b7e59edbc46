import { z } from 'zod';
import { Agent } from '../../../database/entities/agent.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { findInstance } from '../../find-instance.ts';
import { byCreation, nextCursor, olderThan, paginate } from '../../contract/pagination.ts';
import { instanceParams } from '../instances/instance.schema.ts';
import { agentSchema, presentAgent } from './agent.schema.ts';

const pages = paginate('agents', byCreation);

export const listAgents = defineOperation({
  method: 'GET',
  path: '/instances/:instanceId/agents',
  operationId: 'agents.list',
  summary: 'List the agents of an instance, newest first',
  tag: 'agents',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: instanceParams,
  query: z.object(pages.fields),
  success: { status: 200, schema: z.object({ agents: z.array(agentSchema), nextCursor }) },
  errors: [],

  async load({ params, actor, em }) {
    await findInstance(em, { accountId: actor.accountId, instanceId: params.instanceId });
  },
  async handle({ params, query, em }) {
    const { limit, cursor } = query;
    const rows = await em.find(
      Agent,
      { instance: params.instanceId, deletedAt: null, ...olderThan(cursor, 'id') },
      { orderBy: { createdAt: 'desc', id: 'desc' }, limit: limit + 1 },
    );
    const page = pages.page(rows, limit, ({ createdAt, id }) => [createdAt.getTime(), id]);
    return { agents: page.items.map(presentAgent), nextCursor: page.nextCursor };
  },
});
