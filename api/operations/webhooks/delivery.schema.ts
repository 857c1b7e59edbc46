import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { WebhookAttempt } from '../../../database/entities/webhook-attempt.ts';
import type { WebhookDelivery } from '../../../database/entities/webhook-delivery.ts';
import { idField, timestamp } from '../../contract/fields.ts';

export const deliveryStatus = z.enum(['pending', 'succeeded', 'failed']);

const attemptSchema = z.object({
  at: timestamp,
  statusCode: z.int().nullable().meta({ description: 'The HTTP status of the response; `null` when there was no response.' }),
  durationMs: z.int().meta({ description: 'The duration of the attempt in milliseconds.' }),
  error: z.string().nullable().meta({ description: 'Why the attempt failed; `null` when it succeeded.' }),
  response: z.string().nullable().meta({ description: 'The first 4 KiB of the response; `null` when there was no response.' }),
});

export const deliverySchema = z
  .object({
    deliveryId: idField('dlv'),
    eventId: idField('evt'),
    eventType: z.string(),
    status: deliveryStatus,
    attempts: z.array(attemptSchema),
    nextAttemptAt: timestamp.nullable().meta({
      description:
        'When the next attempt is due; `null` when the delivery has ended. While the endpoint fails or the webhook is disabled, the attempt may be made later.',
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
