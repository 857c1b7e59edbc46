import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { WebhookAttempt } from '../../../database/entities/webhook-attempt.ts';
import type { WebhookDelivery } from '../../../database/entities/webhook-delivery.ts';
import { idField, timestamp } from '../../fields.ts';

export const deliveryStatus = z.enum(['pending', 'succeeded', 'failed']);

const attemptSchema = z.object({
  at: timestamp,
  statusCode: z.int().nullable().meta({ description: 'Null: no answer came.' }),
  durationMs: z.int(),
  error: z.string().nullable(),
  response: z.string().nullable().meta({ description: 'The first 4 KiB of the answer.' }),
});

export const deliverySchema = z
  .object({
    deliveryId: idField('dlv'),
    eventId: idField('evt'),
    eventType: z.string(),
    status: deliveryStatus,
    attempts: z.array(attemptSchema),
    nextAttemptAt: timestamp.nullable().meta({
      description: 'Null when it has ended. A failing or disabled endpoint may make it wait longer.',
    }),
    createdAt: timestamp,
  })
  .meta({ id: 'Delivery' });

/** All but the body, which may be large. */
type ShownDelivery = Pick<WebhookDelivery, 'id' | 'eventId' | 'eventType' | 'status' | 'nextAttemptAt' | 'createdAt'>;

/** Deliveries as their customer sees them, in the same order. */
export async function presentDeliveries(
  em: EntityManager,
  deliveries: readonly ShownDelivery[],
): Promise<z.input<typeof deliverySchema>[]> {
  const ids = deliveries.map(({ id }) => id);
  const attempts = await em.find(WebhookAttempt, { delivery: { $in: ids } }, { orderBy: { number: 'asc' } });
  const byDelivery = Map.groupBy(attempts, ({ delivery }) => delivery);
  return deliveries.map(({ id, eventId, eventType, status, nextAttemptAt, createdAt }) => ({
    ...{ deliveryId: id, eventId, eventType, status },
    attempts: (byDelivery.get(id) ?? []).map(presentAttempt),
    nextAttemptAt: nextAttemptAt?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
  }));
}

function presentAttempt({ at, statusCode, durationMs, error, response }: WebhookAttempt): z.input<typeof attemptSchema> {
  return { at: at.toISOString(), statusCode, durationMs, error, response };
}
