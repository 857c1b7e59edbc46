import type { EntityManager } from '@mikro-orm/postgresql';

interface DeliveryLag {
  /** Deliveries of enabled webhooks that have not ended. */
  waiting: number;
  /** Those of disabled ones. */
  disabled: number;
  /** How long the oldest of the enabled ones has waited. */
  oldestSeconds: number;
}

/** How much waits to be delivered. */
export async function deliveryLag(em: EntityManager): Promise<DeliveryLag> {
  const [lag] = await em.execute<DeliveryLag[]>(
    `select count(*) filter (where enabled)::float8 as waiting, count(*) filter (where not enabled)::float8 as disabled,
            coalesce(extract(epoch from now() - min(delivery.created_at) filter (where enabled)), 0)::float8 as "oldestSeconds"
       from webhook_deliveries delivery join webhooks on webhooks.id = webhook_id
      where status = 'pending' and webhooks.deleted_at is null`,
  );
  return lag ?? { waiting: 0, disabled: 0, oldestSeconds: 0 };
}
