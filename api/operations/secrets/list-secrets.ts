import { z } from 'zod';
import { InstanceSecret } from '../../../database/entities/instance-secret.ts';
import { MAX_SECRETS, SECRET_KEY } from '../../../domain/agents/secrets.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { timestamp } from '../../contract/fields.ts';
import { findInstance } from '../../find-instance.ts';
import { nextCursor, paginate } from '../../contract/pagination.ts';
import { instanceParams } from '../instances/instance.schema.ts';

const pages = paginate('secrets', z.string().regex(SECRET_KEY), { defaultLimit: MAX_SECRETS, maxLimit: MAX_SECRETS });

export const listSecrets = defineOperation({
  method: 'GET',
  path: '/instances/:instanceId/secrets',
  operationId: 'secrets.list',
  summary: 'List the secrets of an instance, sorted by key',
  description: 'The API never returns the values of secrets.',
  tag: 'secrets',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: instanceParams,
  query: z.object(pages.fields),
  success: {
    status: 200,
    schema: z.object({ secrets: z.array(z.object({ key: z.string(), updatedAt: timestamp })), nextCursor }),
  },
  errors: [],

  async load({ params, actor, em }) {
    await findInstance(em, { accountId: actor.accountId, instanceId: params.instanceId });
  },
  async handle({ params, query, em }) {
    const { limit, cursor } = query;
    const rows = await em.find(
      InstanceSecret,
      { instance: params.instanceId, ...(cursor === undefined ? {} : { key: { $gt: cursor } }) },
      { orderBy: { key: 'asc' }, limit: limit + 1, fields: ['key', 'updatedAt'] },
    );
    const page = pages.page(rows, limit, ({ key }) => key);
    return {
      secrets: page.items.map(({ key, updatedAt }) => ({ key, updatedAt: updatedAt.toISOString() })),
      nextCursor: page.nextCursor,
    };
  },
});
