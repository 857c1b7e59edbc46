import type { MikroORM } from '@mikro-orm/postgresql';
import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import { deliveryLag } from '../database/webhooks/delivery-lag.ts';
import type { AttemptOutcome } from '../domain/webhooks/webhook-health.ts';
import { askedOnce } from './gateways/asked-once.ts';

/** What an operator watches of deliveries. Answers what counts an attempt. */
export function registerWebhookMetrics(
  registry: Registry,
  { orm }: { orm: MikroORM },
): (result: AttemptOutcome['result']) => void {
  const attempts = new Counter({
    name: 'thermidora_webhook_attempts_total',
    help: 'Attempts to deliver to a webhook, by how they went',
    labelNames: ['result'],
    registers: [registry],
  });
  // The registry reads gauges concurrently, so each asks for the lag: a gauge that another one set would show the reading before.
  const lag = askedOnce(() => deliveryLag(orm.em.fork()));
  new Gauge({
    name: 'thermidora_webhook_deliveries_waiting',
    help: 'Deliveries that have not ended; `enabled` ones and those that wait for their webhook to be enabled',
    labelNames: ['webhook'],
    registers: [registry],
    async collect() {
      const { waiting, disabled } = await lag();
      this.set({ webhook: 'enabled' }, waiting);
      this.set({ webhook: 'disabled' }, disabled);
    },
  });
  new Gauge({
    name: 'thermidora_webhook_oldest_seconds',
    help: 'For how long the oldest delivery that waits could have been sent; not while its endpoint rests',
    registers: [registry],
    async collect() {
      this.set((await lag()).oldestSeconds);
    },
  });
  return (result) => attempts.inc({ result });
}
