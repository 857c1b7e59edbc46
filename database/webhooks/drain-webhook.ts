import type { EntityManager } from '@mikro-orm/postgresql';
import { FAILURES_UNTIL_PROBING } from '../../domain/webhook-health.ts';
import { query, run, sql } from '../sql.ts';

/** How long a handed-over wake-up waits, so that the run that hands it over has ended by then. */
const HAND_OVER_SECONDS = 1;

/** Notes that this run delivers for the webhook, so that new events wake no run for as long as this (database clock). */
export async function holdDrain(em: EntityManager, webhookId: string, forMs: number): Promise<void> {
  await run(
    em,
    sql`update webhooks set drained_until = now() + make_interval(secs => ${forMs / 1_000}) where id = ${webhookId} and deleted_at is null`,
  );
}

/**
 * Notes that this run has stopped delivering. Returns once every event is visible whose writer may still have seen the run as
 * active and woken no other: such writers hold the account's counter, which this waits for. So a look in a later statement
 * misses nothing.
 */
export async function releaseDrain(em: EntityManager, webhookId: string): Promise<void> {
  const [row] = await query<{ accountId: string }>(
    em,
    sql`update webhooks set drained_until = null where id = ${webhookId} returning account_id as "accountId"`,
  );
  if (row) await query(em, sql`select last_seq from event_counters where account_id = ${row.accountId} for update`);
}

/**
 * Stops delivering while something is still due, in the caller's transaction, and has a new run woken for it after a second.
 * Until then new events wake no run: they would wake the run that is ending here instead of a new one.
 */
export async function handOverDrain(em: EntityManager, webhookId: string): Promise<void> {
  await run(
    em,
    sql`update webhooks set drained_until = now() + make_interval(secs => ${HAND_OVER_SECONDS}) where id = ${webhookId}`,
  );
  await run(
    em,
    sql`insert into outbox (workflow, subject_id, claimed_until)
     values ('deliverWebhook', ${webhookId}, now() + make_interval(secs => ${HAND_OVER_SECONDS}))`,
  );
}

/** What a webhook still has to deliver. */
export interface Waiting {
  accountId: string;
  /** Deliveries that have not ended. */
  waiting: number;
  failures: number;
  enabled: boolean;
  /** When the next one may be sent, from now; 0: at once; null: none may before something changes. */
  nextInMs: number | null;
}

/** Null when there is no such webhook. */
export async function findWaiting(em: EntityManager, webhookId: string): Promise<Waiting | null> {
  const [row] = await query<Waiting>(
    em,
    sql`select webhook.account_id as "accountId", pending.count as waiting, webhook.failures, webhook.enabled,
            case when next.at is not null then greatest(0, ceil(extract(epoch from next.at - now()) * 1000))::float8 end as "nextInMs"
       from webhooks webhook
       cross join lateral (
         select count(*)::float8 as count, min(next_attempt_at) filter (where is_test) as test,
                min(next_attempt_at) filter (where not is_test) as first
           from webhook_deliveries where webhook_id = webhook.id and status = 'pending'
       ) pending
       cross join lateral (
         select least(pending.test, case when webhook.enabled and pending.first is not null
           then greatest(webhook.not_before, case when webhook.failures < ${FAILURES_UNTIL_PROBING} then pending.first else now() end) end) as at
       ) next
      where webhook.id = ${webhookId} and webhook.deleted_at is null`,
  );
  return row ?? null;
}
