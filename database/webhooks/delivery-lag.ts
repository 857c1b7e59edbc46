import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../db.ts';
import { asNumber, secondsSince, sql } from '../sql.ts';

interface DeliveryLag {
  /** Deliveries of enabled webhooks that have not ended. */
  waiting: number;
  /** Those of disabled ones. */
  disabled: number;
  /** For how long the oldest of the enabled ones could have been sent. What waits for a failing endpoint could not. */
  oldestSeconds: number;
}

/** How much waits to be delivered. */
export async function deliveryLag(em: EntityManager): Promise<DeliveryLag> {
  const { oldestSeconds, ...lag } = await db(em)
    .selectFrom('WebhookDelivery as d')
    .innerJoin('Webhook as w', 'w.id', 'd.webhook')
    .select(({ fn, ref }) => {
      const due = sql<Date>`greatest(${ref('d.nextAttemptAt')}, ${ref('w.notBefore')})`;
      return [
        asNumber(fn.countAll().filterWhere('w.enabled', '=', true)).as('waiting'),
        asNumber(fn.countAll().filterWhere('w.enabled', '=', false)).as('disabled'),
        secondsSince(fn.min<Date | null>(due).filterWhere('w.enabled', '=', true)).as('oldestSeconds'),
      ];
    })
    .where('d.status', '=', 'pending')
    .where('w.deletedAt', 'is', null)
    .executeTakeFirstOrThrow();
  return { ...lag, oldestSeconds: Math.max(0, oldestSeconds ?? 0) };
}
