import { z } from 'zod';
import { ClaudeSession } from '../../../../database/entities/claude-session.ts';
import { defineOperation } from '../../../contract/define-operation.ts';
import { byCreation, olderThan, paginate } from '../../../contract/pagination.ts';
import { keptSessions } from './own-session.ts';
import { includeArchivedField } from '../request-fields.ts';
import { presentSessions, sessionSchema } from './session.schema.ts';

const pages = paginate('claudeSessions', byCreation, { defaultLimit: 20, maxLimit: 100 });

export const listSessions = defineOperation({
  method: 'GET',
  path: '/v1/sessions',
  operationId: 'anthropic.sessions.list',
  summary: 'List the sessions, newest first',
  tag: 'messages',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  query: z.object({ limit: pages.fields.limit, page: pages.fields.cursor, include_archived: includeArchivedField }),
  success: {
    status: 200,
    schema: z.object({ data: z.array(sessionSchema), next_page: z.string().nullable(), prev_page: z.null() }),
  },
  errors: [],

  async handle({ query, actor, em }) {
    const { accountId, limits } = actor;
    const ofKey = limits.instanceId === null ? {} : { instance: limits.instanceId };
    const shown = query.include_archived ? {} : { archivedAt: null };
    const where = { account: accountId, $and: [ofKey, shown, olderThan(query.page, 'id')] };
    const rows = await em.find(ClaudeSession, where, { orderBy: { createdAt: 'desc', id: 'desc' }, limit: query.limit + 1 });
    const page = pages.page(rows, query.limit, ({ createdAt, id }) => [createdAt.getTime(), id]);
    const kept = await keptSessions(em, page.items);
    return { data: await presentSessions(em, kept), next_page: page.nextCursor, prev_page: null };
  },
});
