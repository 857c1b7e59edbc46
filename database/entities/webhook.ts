import { defineEntity, p } from '@mikro-orm/postgresql';
import type { DisabledReason } from '../../domain/webhooks/webhook-events.ts';
import { Account } from './account.ts';
import { Agent } from './agent.ts';
import { moment } from './columns.ts';
import { Instance } from './instance.ts';

const WebhookSchema = defineEntity({
  name: 'Webhook',
  tableName: 'webhooks',
  indexes: [
    { name: 'webhooks_account_index', properties: ['account', 'createdAt', 'id'] },
    { name: 'webhooks_instance_index', properties: ['instance'] },
    { name: 'webhooks_agent_index', properties: ['agent'] },
  ],
  checks: [{ name: 'webhooks_disabled_reason_known', expression: "disabled_reason in ('gone', 'failing')" }],
  properties: {
    id: p.text().primary(),
    account: () => p.manyToOne(Account).mapToPk().foreignKeyName('webhooks_account_fk').index(false),
    /** Only events of this instance; null: of all. */
    instance: () =>
      p
        .manyToOne(Instance)
        .mapToPk()
        .strictNullable()
        .foreignKeyName('webhooks_instance_fk')
        .deleteRule('no action')
        .index(false),
    /** Only events of this agent, of the same instance. */
    agent: () =>
      p.manyToOne(Agent).mapToPk().strictNullable().foreignKeyName('webhooks_agent_fk').deleteRule('no action').index(false),
    url: p.text(),
    events: p.array(),
    description: p.text().strictNullable(),
    /** While it is not, nothing new is queued and what waits stays. */
    enabled: p.boolean().default(true),
    /** Why the platform disabled it; null when it did not. */
    disabledReason: p.text().$type<DisabledReason>().strictNullable().default(null),

    /** Encrypted, bound to this row (`webhookPlace`). */
    secret: p.text(),
    secretLast4: p.text(),
    /** The secret before, with which deliveries are still signed too until then. */
    previousSecret: p.text().strictNullable().default(null),
    previousSecretUntil: moment().strictNullable().default(null),

    /** Failed attempts in a row, and when the first of them was. */
    failures: p.integer().default(0),
    failingSince: moment().strictNullable().default(null),
    /** Nothing is sent before then: the next probe, or what a `Retry-After` asked for. */
    notBefore: moment().strictNullable().default(null),
    /** Until then a `deliverWebhook` run is delivering for it, so that new events need not wake one. */
    drainedUntil: moment().strictNullable().default(null),

    createdAt: moment(),
    /** Not found from then on; its rows go with the next sweep. */
    deletedAt: moment().strictNullable().default(null),
  },
});

/** A subscription: which events go to which URL. */
export class Webhook extends WebhookSchema.class {}
WebhookSchema.setClass(Webhook);
