import { z } from 'zod';
import { queueDelivery } from '../../../database/webhooks/webhooks.ts';
import { testBody } from '../../../domain/webhooks/event-body.ts';
import { TEST_EVENT } from '../../../domain/webhooks/webhook-events.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField } from '../../contract/fields.ts';
import { findWebhook, webhookParams } from './webhook.schema.ts';

export const testWebhook = defineOperation({
  method: 'POST',
  path: '/webhooks/:webhookId/test',
  operationId: 'webhooks.test',
  summary: 'Send a test event',
  description: 'The test event is sent once, also while the webhook is disabled. The list of deliveries shows the result.',
  tag: 'webhooks',
  auth: 'account',
  scope: 'write',
  keyOfInstance: true,
  audit: 'webhooks.test',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  params: webhookParams,
  success: { status: 200, schema: z.object({ message: z.literal('Test event dispatched'), deliveryId: idField('dlv') }) },
  errors: [],

  async handle({ params, actor, em, deps }) {
    const { id: webhookId } = await findWebhook(em, actor, params.webhookId);
    const [now, eventId, deliveryId] = [deps.clock(), deps.makeId('evt'), deps.makeId('dlv')];
    const body = testBody({ eventType: TEST_EVENT, eventId, at: now });
    await queueDelivery(em, { id: deliveryId, webhookId, eventId, eventType: TEST_EVENT, body, isTest: true, now });
    return { message: 'Test event dispatched' as const, deliveryId };
  },
});
