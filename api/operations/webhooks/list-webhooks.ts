import { z } from 'zod';
import { Webhook } from '../../../database/entities/webhook.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { byCreation, nextCursor, olderThan, paginate } from '../../contract/pagination.ts';
import { presentMasked, webhookSchema } from './webhook.schema.ts';

const pages = paginate('webhooks', byCreation);

export const listWebhooks = defineOperation({
  method: 'GET',
  path: '/webhooks',
  operationId: 'webhooks.list',
  summary: 'List your webhooks, newest first',
  description: 'The secrets are masked.',
  tag: 'webhooks',
  auth: 'account',
  scope: 'read',
  keyOfInstance: true,
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  query: z.object(pages.fields),
  success: { status: 200, schema: z.object({ webhooks: z.array(webhookSchema), nextCursor }) },
  errors: [],

  async handle({ query, actor, em }) {
    const { limit, cursor } = query;
    const ofKey = actor.limits.instanceId === null ? {} : { instance: actor.limits.instanceId };
    const rows = await em.find(
      Webhook,
      { account: actor.accountId, deletedAt: null, ...ofKey, ...olderThan(cursor, 'id') },
      { orderBy: { createdAt: 'desc', id: 'desc' }, limit: limit + 1 },
    );
    const page = pages.page(rows, limit, ({ createdAt, id }) => [createdAt.getTime(), id]);
    return { webhooks: page.items.map(presentMasked), nextCursor: page.nextCursor };
  },
});
