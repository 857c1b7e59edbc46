import { z } from 'zod';
import { Invite } from '../../../database/entities/invite.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { byCreation, nextCursor, olderThan, paginate } from '../../contract/pagination.ts';
import { inviteSchema, presentInvite } from './invite.schema.ts';

const pages = paginate('invites', byCreation);

export const listInvites = defineOperation({
  method: 'GET',
  path: '/admin/invites',
  operationId: 'invites.list',
  summary: 'List the invite codes',
  tag: 'operator',
  auth: 'operator',
  audit: 'none',
  rateLimit: 'none',
  idempotent: false,
  query: z.object(pages.fields),
  success: { status: 200, schema: z.object({ invites: z.array(inviteSchema), nextCursor }), credential: true },
  errors: [],

  async handle({ query, em }) {
    const rows = await em.find(Invite, olderThan(query.cursor, 'code'), {
      orderBy: { createdAt: 'desc', code: 'desc' },
      limit: query.limit + 1,
    });
    const page = pages.page(rows, query.limit, ({ createdAt, code }) => [createdAt.getTime(), code]);
    return { invites: page.items.map(presentInvite), nextCursor: page.nextCursor };
  },
});
