import { z } from 'zod';
import { ApiKey } from '../../../database/entities/api-key.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField, timestamp } from '../../contract/fields.ts';
import { limitFields, presentLimits } from './key.schema.ts';
import { byCreation, nextCursor, olderThan, paginate } from '../../contract/pagination.ts';

const pages = paginate('keys', byCreation);

export const listKeys = defineOperation({
  method: 'GET',
  path: '/auth/keys',
  operationId: 'keys.list',
  summary: 'List your API keys, newest first',
  tag: 'auth',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  query: z.object(pages.fields),
  success: {
    status: 200,
    schema: z.object({
      keys: z.array(
        z.object({
          keyId: idField('key'),
          name: z.string(),
          prefix: z.string().meta({ description: 'The first characters of the key.' }),
          last4: z.string().meta({ description: 'The last four characters of the key.' }),
          createdAt: timestamp,
          lastUsedAt: timestamp.nullable().meta({ description: 'When the key was last used; `null` before its first use.' }),
          ...limitFields,
        }),
      ),
      nextCursor,
    }),
  },
  errors: [],

  async handle({ query, actor, em }) {
    const { limit, cursor } = query;
    const rows = await em.find(
      ApiKey,
      { account: actor.accountId, revokedAt: null, ...olderThan(cursor, 'id') },
      { orderBy: { createdAt: 'desc', id: 'desc' }, limit: limit + 1 },
    );
    const page = pages.page(rows, limit, ({ createdAt, id }) => [createdAt.getTime(), id]);
    const keys = page.items.map((key) => ({
      keyId: key.id,
      name: key.name,
      prefix: key.prefix,
      last4: key.last4,
      createdAt: key.createdAt.toISOString(),
      lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
      ...presentLimits(key),
    }));
    return { keys, nextCursor: page.nextCursor };
  },
});
