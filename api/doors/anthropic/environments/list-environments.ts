import { z } from 'zod';
import { ClaudeEnvironment } from '../../../../database/entities/claude-environment.ts';
import { Instance } from '../../../../database/entities/instance.ts';
import { defineOperation } from '../../../contract/define-operation.ts';
import { byCreation, olderThan, paginate } from '../../../contract/pagination.ts';
import { environmentSchema, presentEnvironment } from './environment.schema.ts';
import { includeArchivedField } from '../request-fields.ts';

const pages = paginate('environments', byCreation, { defaultLimit: 20, maxLimit: 100 });

export const listEnvironments = defineOperation({
  method: 'GET',
  path: '/v1/environments',
  operationId: 'anthropic.environments.list',
  summary: 'List the environments, newest first',
  tag: 'instances',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  query: z.object({ limit: pages.fields.limit, page: pages.fields.cursor, include_archived: includeArchivedField }),
  success: { status: 200, schema: z.object({ data: z.array(environmentSchema), next_page: z.string().nullable() }) },
  errors: [],

  async handle({ query, actor, em }) {
    const { accountId: account, limits } = actor;
    const own = { account, deletedAt: null, desiredStatus: { $ne: 'destroyed' as const } };
    const ofKey = limits.instanceId === null ? {} : { id: limits.instanceId };
    const archived = query.include_archived ? [] : await em.find(ClaudeEnvironment, { account, archivedAt: { $ne: null } });
    const shown = archived.length === 0 ? {} : { id: { $nin: archived.map(({ instance }) => instance) } };
    const where = { ...own, $and: [ofKey, shown, olderThan(query.page, 'id')] };
    const rows = await em.find(Instance, where, { orderBy: { createdAt: 'desc', id: 'desc' }, limit: query.limit + 1 });
    const found = pages.page(rows, query.limit, ({ createdAt, id }) => [createdAt.getTime(), id]);
    const kept = await em.find(ClaudeEnvironment, { instance: { $in: found.items.map(({ id }) => id) } });
    const byInstance = new Map(kept.map((one) => [one.instance, one]));
    return { data: found.items.map((one) => presentEnvironment(one, byInstance.get(one.id))), next_page: found.nextCursor };
  },
});
