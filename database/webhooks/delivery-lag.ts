import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';

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
  const [lag] = await query<DeliveryLag>(
    em,
    sql`select count(*) filter (where enabled)::float8 as waiting, count(*) filter (where not enabled)::float8 as disabled,
            greatest(0, coalesce(extract(epoch from now() - min(greatest(next_attempt_at, not_before)) filter (where enabled)), 0))::float8
              as "oldestSeconds"
       from webhook_deliveries delivery join webhooks on webhooks.id = webhook_id
      where status = 'pending' and webhooks.deleted_at is null`,
  );
  return lag ?? { waiting: 0, disabled: 0, oldestSeconds: 0 };
}
