import { z } from 'zod';
import { UnownedRuntime } from '../../../database/entities/unowned-runtime.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { byCreation, nextCursor, olderThan, paginate } from '../../contract/pagination.ts';
import { presentUnowned, unownedRuntime } from './quarantine.schema.ts';

const pages = paginate('quarantine', byCreation);

export const listQuarantine = defineOperation({
  method: 'GET',
  path: '/admin/quarantine',
  operationId: 'quarantine.list',
  summary: 'List the runtimes that no instance owns, newest first',
  description: 'A runtime is a gateway with its storage. The list shows what the last sweep found. Sweeps run every minute.',
  tag: 'operator',
  auth: 'operator',
  audit: 'none',
  rateLimit: 'none',
  idempotent: false,
  query: z.object(pages.fields),
  success: { status: 200, schema: z.object({ runtimes: z.array(unownedRuntime), nextCursor }) },
  errors: [],

  async handle({ query, em, deps }) {
    const rows = await em.find(UnownedRuntime, olderThan(query.cursor, 'runtimeId', 'foundAt'), {
      orderBy: { foundAt: 'desc', runtimeId: 'desc' },
      limit: query.limit + 1,
    });
    const page = pages.page(rows, query.limit, ({ foundAt, runtimeId }) => [foundAt.getTime(), runtimeId]);
    const runtimes = page.items.map((row) => presentUnowned(row, deps.config.QUARANTINE_DAYS));
    return { runtimes, nextCursor: page.nextCursor };
  },
});
