import { z } from 'zod';
import { AuditEntry } from '../../../database/entities/audit-entry.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField, timestamp } from '../../contract/fields.ts';
import { byCreation, nextCursor, paginate } from '../../contract/pagination.ts';

const pages = paginate('audit', byCreation);

export const listAudit = defineOperation({
  method: 'GET',
  path: '/admin/audit',
  operationId: 'audit.list',
  summary: 'List the audit entries, newest first',
  tag: 'operator',
  auth: 'operator',
  audit: 'none',
  rateLimit: 'none',
  idempotent: false,
  query: z.object({ ...pages.fields, accountId: idField('acc').optional(), instanceId: idField('inst').optional() }),
  success: {
    status: 200,
    schema: z.object({
      entries: z.array(
        z.object({
          auditId: z.string(),
          at: timestamp,
          actor: z.string().meta({
            description:
              'Who performed the action: `account:<id>` (with a token), `key:<id>` (with an API key), `operator` or `system`.',
          }),
          action: z.string().meta({ description: 'The action, such as `instances.stop`.' }),
          target: z
            .string()
            .nullable()
            .meta({ description: 'The id of the resource that the action changed; `null` when there is none.' }),
          accountId: z.string().nullable(),
          instanceId: z.string().nullable(),
          requestId: z.string().nullable(),
          address: z.string().nullable().meta({ description: 'The IP address of the caller; `null` when there was no request.' }),
        }),
      ),
      nextCursor,
    }),
  },
  errors: [],

  async handle({ query, em }) {
    const { limit, cursor, accountId, instanceId } = query;
    const filter = { ...(accountId === undefined ? {} : { accountId }), ...(instanceId === undefined ? {} : { instanceId }) };
    const rows = await em.find(
      AuditEntry,
      { ...filter, ...before(cursor) },
      { orderBy: { at: 'desc', id: 'desc' }, limit: limit + 1 },
    );
    const page = pages.page(rows, limit, ({ at, id }) => [at.getTime(), id]);
    const entries = page.items.map(({ id, at, ...entry }) => ({ ...entry, auditId: id, at: at.toISOString() }));
    return { entries, nextCursor: page.nextCursor };
  },
});

function before(cursor: readonly [number, string] | undefined) {
  if (!cursor) return {};
  const at = new Date(cursor[0]);
  return { $or: [{ at: { $lt: at } }, { at, id: { $lt: cursor[1] } }] };
}
