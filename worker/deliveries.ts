import { randomBytes } from 'node:crypto';
import type { Registry } from 'prom-client';
import { createWebhookActivities } from '../activities/webhooks/create-webhook-activities.ts';
import type { WebhookActivities } from '../activities/webhooks/create-webhook-activities.ts';
import type { DeliveryDeps } from '../activities/webhooks/delivery-deps.ts';
import { createEncryption } from '../lib/crypto/encryption.ts';
import { createSafeFetch } from '../lib/net/safe-fetch.ts';
import type { ConfigOf } from '../lib/settings/config.ts';
import { registerWebhookMetrics } from './webhook-metrics.ts';

type Deps = Omit<DeliveryDeps, 'encryption' | 'safeFetch' | 'keep' | 'onAttempt'> & {
  config: ConfigOf<'worker'>;
  registry: Registry;
};

interface Deliveries {
  activities: WebhookActivities;
  /** Closes the connections to receivers. No activity may run any more. */
  close: () => Promise<void>;
}

/** What a worker calls the webhooks of customers with; `registry` gets its metrics. */
export function createDeliveries({ config, registry, ...deps }: Deps): Deliveries {
  const encryption = createEncryption({ masterKeys: config.MASTER_KEYS, randomBytes });
  const safeFetch = createSafeFetch({ allowPrivate: config.WEBHOOK_ALLOW_PRIVATE });
  const onAttempt = registerWebhookMetrics(registry, deps);
  const activities = createWebhookActivities({ ...deps, encryption, safeFetch, keep: config, onAttempt });
  return { activities, close: () => safeFetch.close() };
}
