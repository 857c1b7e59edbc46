import type { EntityManager } from '@mikro-orm/postgresql';
import { FAILURES_UNTIL_PROBING } from '../../domain/webhooks/webhook-health.ts';
import { db } from '../db.ts';
import { isThere, NOW, sql } from '../sql.ts';

/** Has the workflow of this webhook woken once the transaction is committed, to deliver what is due. */
export async function wakeWebhook(em: EntityManager, webhookId: string): Promise<void> {
  await db(em).insertInto('OutboxEntry').values({ workflow: 'deliverWebhook', subjectId: webhookId }).execute();
}

/** Wakes every webhook that may send something now, has no run that delivers for it, and has no wake-up in the outbox. */
export async function wakeDueWebhooks(em: EntityManager): Promise<number> {
  const { numInsertedOrUpdatedRows } = await db(em)
    .insertInto('OutboxEntry')
    .columns(['workflow', 'subjectId'])
    .expression((eb) =>
      eb
        .selectFrom('Webhook as w')
        .select([sql<'deliverWebhook'>`'deliverWebhook'`.as('workflow'), 'w.id as subjectId'])
        .where('w.deletedAt', 'is', null)
        .where((of) => of.or([of('w.drainedUntil', 'is', null), of('w.drainedUntil', '<', NOW)]))
        .where((of) => {
          const waiting = of
            .selectFrom('WebhookDelivery as d')
            .whereRef('d.webhook', '=', 'w.id')
            .where('d.status', '=', 'pending');
          const tests = waiting.where('d.isTest', '=', true).where('d.nextAttemptAt', '<=', NOW);
          const others = waiting
            .where('d.isTest', '=', false)
            .where((at) => at.or([at('w.failures', '>=', FAILURES_UNTIL_PROBING), at('d.nextAttemptAt', '<=', NOW)]));
          const rests = of.and([of('w.notBefore', 'is not', null), of('w.notBefore', '>', NOW)]);
          return of.or([of.and([of('w.enabled', '=', true), of.not(rests), isThere(others)]), isThere(tests)]);
        })
        .where((of) => {
          const wakes = of
            .selectFrom('OutboxEntry as o')
            .where('o.workflow', '=', 'deliverWebhook')
            .whereRef('o.subjectId', '=', 'w.id');
          return of.not(isThere(wakes));
        }),
    )
    .executeTakeFirst();
  return Number(numInsertedOrUpdatedRows ?? 0);
}
