import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';

export interface OutboxRow {
  id: string;
  workflow: string;
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
  return query<OutboxRow>(
    em,
    sql`with due as (
       select id from outbox where claimed_until is null or claimed_until < now() order by id limit ${limit} for update skip locked
     )
     update outbox set claimed_until = now() + make_interval(secs => ${leaseMs / 1_000}) from due where outbox.id = due.id
     returning outbox.id::text as id, outbox.workflow, outbox.subject_id as "subjectId",
               coalesce((select account_id from instances where id = outbox.subject_id),
                        (select account_id from webhooks where id = outbox.subject_id and deleted_at is null)) as "accountId",
               exists (select from instances where id = outbox.subject_id and epoch = 0 and desired_status = 'running') as "isUnstarted",
               exists (select from webhooks where id = outbox.subject_id and drained_until > now()) as "isDrained"`,
  );
}

/** Forgets rows whose workflow has been woken. */
export async function deleteOutbox(em: EntityManager, ids: readonly string[]): Promise<void> {
  if (ids.length > 0) await run(em, sql`delete from outbox where id = any(${ids})`);
}

/** Has rows come back after this delay. */
export async function postponeOutbox(em: EntityManager, ids: readonly string[], delayMs: number): Promise<void> {
  if (ids.length === 0) return;
  await run(em, sql`update outbox set claimed_until = now() + make_interval(secs => ${delayMs / 1_000}) where id = any(${ids})`);
}

/** How many workflows' wake-ups wait, and for how long the oldest has. */
export async function outboxLag(em: EntityManager): Promise<{ rows: number; oldestSeconds: number }> {
  const [lag] = await query<{ rows: number; oldestSeconds: number }>(
    em,
    sql`select count(*)::float8 as rows,
            coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as "oldestSeconds"
       from outbox`,
  );
  return lag ?? { rows: 0, oldestSeconds: 0 };
}
