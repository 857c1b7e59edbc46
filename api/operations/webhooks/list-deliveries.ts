import { z } from 'zod';
import { WebhookDelivery } from '../../../database/entities/webhook-delivery.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { byCreation, nextCursor, olderThan, paginate } from '../../contract/pagination.ts';
import { deliverySchema, deliveryStatus, presentDeliveries } from './delivery.schema.ts';
import { findWebhook, webhookParams } from './webhook.schema.ts';

const pages = paginate('deliveries', byCreation);

export const listDeliveries = defineOperation({
  method: 'GET',
  path: '/webhooks/:webhookId/deliveries',
  operationId: 'webhooks.deliveries.list',
  summary: 'List the deliveries of a webhook with their attempts, newest first',
  tag: 'webhooks',
  auth: 'account',
  scope: 'read',
  keyOfInstance: true,
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: webhookParams,
  query: z.object({ ...pages.fields, status: deliveryStatus.optional() }),
  success: { status: 200, schema: z.object({ deliveries: z.array(deliverySchema), nextCursor }) },
  errors: [],

  async load({ params, actor, em }) {
    await findWebhook(em, actor, params.webhookId);
  },
  async handle({ params, query, em }) {
    const { limit, cursor, status } = query;
    const rows = await em.find(
      WebhookDelivery,
      { webhook: params.webhookId, ...(status === undefined ? {} : { status }), ...olderThan(cursor, 'id') },
      { orderBy: { createdAt: 'desc', id: 'desc' }, limit: limit + 1, exclude: ['body'] },
    );
    const page = pages.page(rows, limit, ({ createdAt, id }) => [createdAt.getTime(), id]);
    return { deliveries: await presentDeliveries(em, page.items), nextCursor: page.nextCursor };
  },
});
