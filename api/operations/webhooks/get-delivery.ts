import { z } from 'zod';
import { WebhookDelivery } from '../../../database/entities/webhook-delivery.ts';
import { AppError } from '../../../domain/errors.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField } from '../../contract/fields.ts';
import { deliverySchema, presentDeliveries } from './delivery.schema.ts';
import { findWebhook, webhookParams } from './webhook.schema.ts';

export const getDelivery = defineOperation({
  method: 'GET',
  path: '/webhooks/:webhookId/deliveries/:deliveryId',
  operationId: 'webhooks.deliveries.get',
  summary: 'Get a delivery with its body',
  tag: 'webhooks',
  auth: 'account',
  scope: 'read',
  keyOfInstance: true,
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: webhookParams.extend({ deliveryId: idField('dlv') }),
  success: {
    status: 200,
    schema: deliverySchema
      .extend({ body: z.string().meta({ description: 'The text that is signed and sent with each attempt.' }) })
      .meta({ id: 'DeliveryWithBody' }),
  },
  errors: [],

  async handle({ params, actor, em }) {
    const { webhookId, deliveryId } = params;
    await findWebhook(em, actor, webhookId);
    const delivery = await em.findOne(WebhookDelivery, { id: deliveryId, webhook: webhookId });
    if (!delivery) throw new AppError('not_found', 'Delivery not found');
    const [view] = await presentDeliveries(em, [delivery]);
    if (!view) throw new Error('one delivery has one view');
    return { ...view, body: delivery.body };
  },
});
