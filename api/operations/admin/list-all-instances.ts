import { z } from 'zod';
import { Instance } from '../../../database/entities/instance.ts';
import { STUCK_AFTER_MS } from '../../../domain/lifecycle.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { byCreation, nextCursor, olderThan, paginate } from '../../contract/pagination.ts';
import { instanceStatus } from '../instances/instance.schema.ts';
import { operatorInstance, presentForOperator } from './operator-instance.ts';

const pages = paginate('all-instances', byCreation);

/** A start that waits for its pause is not stuck. */
const isNotPaused = (since: Date) => ({ $or: [{ startNotBefore: null }, { startNotBefore: { $lt: since } }] });

export const listAllInstances = defineOperation({
  method: 'GET',
  path: '/admin/instances',
  operationId: 'operator.instances.list',
  summary: 'List the instances of all accounts, newest first',
  tag: 'operator',
  auth: 'operator',
  audit: 'none',
  rateLimit: 'none',
  idempotent: false,
  query: z.object({
    ...pages.fields,
    status: instanceStatus.optional(),
    stuck: z.enum(['true', 'false']).default('false').meta({
      description:
        '`true` to list only instances with the status `error` and instances whose transition has lasted for more than ten minutes.',
    }),
  }),
  success: { status: 200, schema: z.object({ instances: z.array(operatorInstance), nextCursor }) },
  errors: [],

  async handle({ query, em, deps }) {
    const { limit, cursor, status, stuck } = query;
    const since = new Date(deps.clock().getTime() - STUCK_AFTER_MS);
    const filters = [
      status === undefined ? {} : { status },
      stuck === 'true'
        ? { $or: [{ status: 'error' as const }, { transitionStartedAt: { $lt: since }, ...isNotPaused(since) }] }
        : {},
      olderThan(cursor, 'id'),
    ];
    const rows = await em.find(
      Instance,
      { deletedAt: null, $and: filters },
      { orderBy: { createdAt: 'desc', id: 'desc' }, limit: limit + 1 },
    );
    const page = pages.page(rows, limit, ({ createdAt, id }) => [createdAt.getTime(), id]);
    return { instances: await presentForOperator(em, page.items, deps.config), nextCursor: page.nextCursor };
  },
});
