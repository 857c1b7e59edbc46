import { WebhookDelivery } from '../../../database/entities/webhook-delivery.ts';
import { queueDelivery } from '../../../database/webhooks/webhooks.ts';
import { AppError } from '../../../domain/errors.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField } from '../../contract/fields.ts';
import { findWebhook, webhookParams } from './webhook.schema.ts';
import { deliverySchema, presentDeliveries } from './delivery.schema.ts';

export const redeliver = defineOperation({
  method: 'POST',
  path: '/webhooks/:webhookId/deliveries/:deliveryId/redeliver',
  operationId: 'webhooks.deliveries.redeliver',
  summary: 'Send a delivery again',
  description: 'Sends the same body as a new delivery of the same event.',
  tag: 'webhooks',
  auth: 'account',
  scope: 'write',
  keyOfInstance: true,
  audit: 'webhooks.redeliver',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  params: webhookParams.extend({ deliveryId: idField('dlv') }),
  success: { status: 200, schema: deliverySchema },
  errors: ['conflict'],

  async handle({ params, actor, em, deps }) {
    const { webhookId, deliveryId } = params;
    const webhook = await findWebhook(em, actor, webhookId);
    const old = await em.findOne(WebhookDelivery, { id: deliveryId, webhook: webhookId });
    if (!old) throw new AppError('not_found', 'Delivery not found');
    if (!webhook.enabled && !old.isTest) throw new AppError('conflict', 'This webhook is disabled. Enable it first.');
    const id = deps.makeId('dlv');
    const { eventId, eventType, body, isTest } = old;
    await queueDelivery(em, { id, webhookId, eventId, eventType, body, isTest, now: deps.clock() });
    const [view] = await presentDeliveries(em, [await em.findOneOrFail(WebhookDelivery, { id })]);
    if (!view) throw new Error('one delivery has one view');
    return view;
  },
  auditSubject: ({ deliveryId }) => ({ target: deliveryId }),
});
