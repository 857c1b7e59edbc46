import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment } from './columns.ts';
import { Webhook } from './webhook.ts';

const WebhookDeliverySchema = defineEntity({
  name: 'WebhookDelivery',
  tableName: 'webhook_deliveries',
  indexes: [
    { name: 'webhook_deliveries_webhook_index', properties: ['webhook', 'createdAt', 'id'] },
    {
      name: 'webhook_deliveries_pending_index',
      expression: `create index "webhook_deliveries_pending_index" on "webhook_deliveries" ("webhook_id", "next_attempt_at") where status = 'pending'`,
    },
  ],
  checks: [
    { name: 'webhook_deliveries_status_known', expression: "status in ('pending', 'succeeded', 'failed')" },
    { name: 'webhook_deliveries_due_while_pending', expression: "(status = 'pending') = (next_attempt_at is not null)" },
  ],
  properties: {
    id: p.text().primary(),
    webhook: () => p.manyToOne(Webhook).mapToPk().foreignKeyName('webhook_deliveries_webhook_fk').index(false),
    /** No reference: a delivery outlives its event. */
    eventId: p.text(),
    eventType: p.text(),
    /** The very text that is signed and sent, on every attempt. Never jsonb, which would change it. */
    body: p.text(),
    /** Sent once, whether its webhook is enabled or not. */
    isTest: p.boolean().default(false),
    status: p.text().$type<DeliveryStatus>().default('pending'),
    /** All of them, probes too. */
    attempts: p.integer().default(0),
    /** Those that count for the retry schedule. */
    tries: p.integer().default(0),
    nextAttemptAt: moment().strictNullable(),
    createdAt: moment(),
  },
});

export type DeliveryStatus = 'pending' | 'succeeded' | 'failed';

/** One event on its way to one webhook. */
export class WebhookDelivery extends WebhookDeliverySchema.class {}
WebhookDeliverySchema.setClass(WebhookDelivery);
