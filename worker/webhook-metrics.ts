import type { MikroORM } from '@mikro-orm/postgresql';
import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import { deliveryLag } from '../database/queries/delivery-lag.ts';
import type { AttemptOutcome } from '../domain/webhook-health.ts';

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
  const oldest = new Gauge({
    name: 'thermidora_webhook_oldest_seconds',
    help: 'How long the oldest delivery that may be sent has waited',
    registers: [registry],
  });
  new Gauge({
    name: 'thermidora_webhook_deliveries_waiting',
    help: 'Deliveries that have not ended; `enabled` ones and those that wait for their webhook to be enabled',
    labelNames: ['webhook'],
    registers: [registry],
    async collect() {
      const lag = await deliveryLag(orm.em.fork());
      this.set({ webhook: 'enabled' }, lag.waiting);
      this.set({ webhook: 'disabled' }, lag.disabled);
      oldest.set(lag.oldestSeconds);
    },
  });
  return (result) => attempts.inc({ result });
}
