import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment } from './columns.ts';
import { WebhookDelivery } from './webhook-delivery.ts';

const WebhookAttemptSchema = defineEntity({
  name: 'WebhookAttempt',
  tableName: 'webhook_attempts',
  properties: {
    delivery: () =>
      p
        .manyToOne(WebhookDelivery)
        .mapToPk()
        .primary()
        .foreignKeyName('webhook_attempts_delivery_fk')
        .deleteRule('cascade')
        .updateRule('no action'),
    /** From 1. */
    number: p.integer().primary(),
    at: moment(),
    /** Null: no answer came. */
    statusCode: p.smallint().strictNullable(),
    durationMs: p.integer(),
    /** Why it failed, for the customer. */
    error: p.text().strictNullable(),
    /** The first 4 KiB of the answer. */
    response: p.text().strictNullable(),
  },
});

/** One request to an endpoint, and how it went. */
export class WebhookAttempt extends WebhookAttemptSchema.class {}
WebhookAttemptSchema.setClass(WebhookAttempt);
