import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../db.ts';
import type { Row } from '../db.ts';
import { anyOf, asNumber, fromNow, isThere, NOW, secondsSince } from '../sql.ts';

export interface OutboxRow {
  id: number;
  workflow: Row<'OutboxEntry'>['workflow'];
  subjectId: string;
  /** Whose instance or webhook it is about; null when there is no such thing. */
  accountId: string | null;
  /** It is about an instance that was never started. */
  isUnstarted: boolean;
  /** A `deliverWebhook` run is delivering for this webhook and looks once more before it ends: it need not be woken. */
  isDrained: boolean;
}

/**
 * Takes the oldest rows that no other relay works on and keeps the others off them for leaseMs. What its relay neither
 * deletes nor postpones comes back after that.
 */
export async function claimOutbox(
  em: EntityManager,
  { limit, leaseMs }: { limit: number; leaseMs: number },
): Promise<OutboxRow[]> {
  const rows = await db(em)
    .with('due', (due) =>
      due
        .selectFrom('OutboxEntry')
        .select('id')
        .where((eb) => eb.or([eb('claimedUntil', 'is', null), eb('claimedUntil', '<', NOW)]))
        .orderBy('id')
        .limit(limit)
        .forUpdate()
        .skipLocked(),
    )
    .updateTable('OutboxEntry')
    .set({ claimedUntil: fromNow(leaseMs) })
    .from('due')
    .whereRef('OutboxEntry.id', '=', 'due.id')
    .returning((eb) => [
      asNumber(eb.ref('OutboxEntry.id')).as('id'),
      'OutboxEntry.workflow',
      'OutboxEntry.subjectId',
      eb.fn
        .coalesce(
          eb.selectFrom('Instance as i').select('i.account').whereRef('i.id', '=', 'OutboxEntry.subjectId'),
          eb
            .selectFrom('Webhook as w')
            .select('w.account')
            .whereRef('w.id', '=', 'OutboxEntry.subjectId')
            .where('w.deletedAt', 'is', null),
        )
        .as('accountId'),
      isThere(
        eb
          .selectFrom('Instance as i')
          .whereRef('i.id', '=', 'OutboxEntry.subjectId')
          .where('i.epoch', '=', 0)
          .where('i.desiredStatus', '=', 'running'),
      ).as('isUnstarted'),
      isThere(eb.selectFrom('Webhook as w').whereRef('w.id', '=', 'OutboxEntry.subjectId').where('w.drainedUntil', '>', NOW)).as(
        'isDrained',
      ),
    ])
    .execute();
  return rows;
}

/** Forgets rows whose workflow has been woken. */
export async function deleteOutbox(em: EntityManager, ids: readonly number[]): Promise<void> {
  if (ids.length > 0) await db(em).deleteFrom('OutboxEntry').where('id', '=', anyOf(ids)).execute();
}

/** Has rows come back after this delay. */
export async function postponeOutbox(em: EntityManager, ids: readonly number[], delayMs: number): Promise<void> {
  if (ids.length === 0) return;
  await db(em)
    .updateTable('OutboxEntry')
    .set({ claimedUntil: fromNow(delayMs) })
    .where('id', '=', anyOf(ids))
    .execute();
}

/** How many workflows' wake-ups wait, and for how long the oldest has. */
export async function outboxLag(em: EntityManager): Promise<{ rows: number; oldestSeconds: number }> {
  const lag = await db(em)
    .selectFrom('OutboxEntry')
    .select((eb) => [
      asNumber(eb.fn.countAll()).as('rows'),
      secondsSince(eb.fn.min<Date | null>('createdAt')).as('oldestSeconds'),
    ])
    .executeTakeFirstOrThrow();
  return { ...lag, oldestSeconds: lag.oldestSeconds ?? 0 };
}
