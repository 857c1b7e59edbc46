import { z } from 'zod';
import { ClaudeAgent } from '../../../../database/entities/claude-agent.ts';
import { defineOperation } from '../../../contract/define-operation.ts';
import { byCreation, olderThan, paginate } from '../../../contract/pagination.ts';
import { agentSchema, presentAgent } from './claude-agent.schema.ts';
import { includeArchivedField } from '../request-fields.ts';

const pages = paginate('claudeAgents', byCreation, { defaultLimit: 20, maxLimit: 100 });

export const listClaudeAgents = defineOperation({
  method: 'GET',
  path: '/v1/agents',
  operationId: 'anthropic.agents.list',
  summary: 'List the agents, newest first',
  tag: 'agents',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  query: z.object({
    limit: pages.fields.limit,
    page: pages.fields.cursor,
    include_archived: includeArchivedField,
  }),
  success: { status: 200, schema: z.object({ data: z.array(agentSchema), next_page: z.string().nullable() }) },
  errors: [],

  async handle({ query, actor, em }) {
    const shown = query.include_archived ? {} : { archivedAt: null };
    const where = { account: actor.accountId, $and: [shown, olderThan(query.page, 'id')] };
    const rows = await em.find(ClaudeAgent, where, { orderBy: { createdAt: 'desc', id: 'desc' }, limit: query.limit + 1 });
    const page = pages.page(rows, query.limit, ({ createdAt, id }) => [createdAt.getTime(), id]);
    return { data: page.items.map(presentAgent), next_page: page.nextCursor };
  },
});
