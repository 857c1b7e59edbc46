import type { DeliveryDeps } from './delivery-deps.ts';
import { sendDeliveries } from './send-deliveries.ts';
import { sweepRetention } from './sweep-retention.ts';
import { sweepWebhooks } from './sweep-webhooks.ts';

/** What the workflows about webhooks and events do, by the names under which Temporal knows it. */
export function createWebhookActivities(deps: DeliveryDeps) {
  return {
    sendDeliveries: (input: { webhookId: string }) => sendDeliveries(deps, input),
    sweepWebhooks: () => sweepWebhooks(deps),
    sweepRetention: () => sweepRetention(deps),
  };
}

export type WebhookActivities = ReturnType<typeof createWebhookActivities>;
