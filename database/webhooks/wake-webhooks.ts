import type { EntityManager } from '@mikro-orm/postgresql';
import { FAILURES_UNTIL_PROBING } from '../../domain/webhook-health.ts';
import { query, run, sql } from '../sql.ts';

/** Has the workflow of this webhook woken once the transaction is committed, to deliver what is due. */
export async function wakeWebhook(em: EntityManager, webhookId: string): Promise<void> {
  await run(em, sql`insert into outbox (workflow, subject_id) values ('deliverWebhook', ${webhookId})`);
}

/** Wakes every webhook that may send something now, has no run that delivers for it, and has no wake-up in the outbox. */
export async function wakeDueWebhooks(em: EntityManager): Promise<number> {
  const rows = await query<{ id: string }>(
    em,
    sql`insert into outbox (workflow, subject_id)
     select 'deliverWebhook', id from webhooks
      where deleted_at is null and coalesce(drained_until < now(), true)
        and (enabled and coalesce(not_before <= now(), true)
               and exists (select from webhook_deliveries
                            where webhook_id = webhooks.id and status = 'pending' and not is_test
                              and (webhooks.failures >= ${FAILURES_UNTIL_PROBING} or next_attempt_at <= now()))
             or exists (select from webhook_deliveries
                         where webhook_id = webhooks.id and status = 'pending' and is_test and next_attempt_at <= now()))
        and not exists (select from outbox where workflow = 'deliverWebhook' and subject_id = webhooks.id)
     returning subject_id as id`,
  );
  return rows.length;
}
