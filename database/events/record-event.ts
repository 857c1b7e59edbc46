import type { EntityManager } from '@mikro-orm/postgresql';
import { eventBody } from '../../domain/event-body.ts';
import type { FinishReason } from '../../domain/turn.ts';
import { matchingEntries } from '../../domain/webhook-events.ts';
import type { EventType } from '../../domain/webhook-events.ts';
import { query, run, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

export interface NewEvent {
  id: string;
  accountId: string;
  /** Null for a notice about the account. */
  instanceId: string | null;
  type: EventType;
  /** For webhooks of this agent alone. */
  agentId?: string | null;
  agentSlug: string | null;
  agentName: string | null;
  source: 'agent' | 'cron' | null;
  messageId: string | null;
  content: string | null;
  /** It is only a part of what was said. */
  contentTruncated?: boolean;
  /** Of an agent's message. */
  finishReason?: FinishReason | null;
  jobName: string | null;
  /** How late the run of its job began, because the instance was asleep. */
  lateMs?: number | null;
  error: { code: string; message: string } | null;
  /** What a notice says. */
  data?: Record<string, unknown> | null;
  createdAt: Date;
  /**
   * What happened, in the gateway's own names: the same key of an instance is recorded once, for ever. Null: the
   * transaction has claimed it, with claimOccurrence or by the row that it is about.
   */
  occurrenceKey: string | null;
}

/**
 * Claims what happened for this transaction, before it writes anything about it. False when it was recorded before; waits
 * for another transaction that is recording it.
 */
export async function claimOccurrence(em: EntityManager, instanceId: string, key: string): Promise<boolean> {
  const rows = await query<{ key: string }>(
    em,
    sql`insert into event_occurrences (instance_id, key) values (${instanceId}, ${key}) on conflict do nothing returning key`,
  );
  return rows.length > 0;
}

/**
 * Records an event under the next sequence number of its account and queues it for every webhook that wants it; null,
 * and nothing changed, when this occurrence was recorded before. Locks the account's counter, so it is the last thing
 * that a transaction does: numbers become visible in order.
 */
export async function recordEvent(em: EntityManager, event: NewEvent): Promise<number | null> {
  const claims = event.instanceId !== null && event.occurrenceKey !== null;
  const [row] = await query<{ seq: string; hasWebhooks: boolean }>(
    em,
    sql`with occurrence as (
       insert into event_occurrences (instance_id, key) select ${event.instanceId}, ${event.occurrenceKey} where ${claims}::boolean on conflict do nothing returning key
     )
     insert into event_counters (account_id, last_seq)
     select ${event.accountId}, 1 where not ${claims}::boolean or exists (select from occurrence)
     on conflict (account_id) do update set last_seq = event_counters.last_seq + 1
     returning last_seq::text as seq,
               exists (select from webhooks where account_id = event_counters.account_id and enabled and deleted_at is null) as "hasWebhooks"`,
  );
  if (!row) return null;
  const seq = Number(row.seq);
  if (row.hasWebhooks) await insertAndFanOut(em, event, seq);
  else await run(em, insertEvent(event, seq));
  return seq;
}

function insertEvent(event: NewEvent, seq: number): Sql {
  const data = event.data ? JSON.stringify(event.data) : null;
  return sql`
  insert into events (id, account_id, seq, type, instance_id, agent_slug, agent_name, source, message_id, content,
                      content_truncated, finish_reason, job_name, late_ms, error_code, error_message, data, created_at)
  values (${event.id}, ${event.accountId}, ${seq}, ${event.type}, ${event.instanceId}, ${event.agentSlug}, ${event.agentName},
          ${event.source}, ${event.messageId}, ${event.content}, ${event.contentTruncated ?? false}, ${event.finishReason ?? null},
          ${event.jobName}, ${event.lateMs ?? null}, ${event.error?.code ?? null}, ${event.error?.message ?? null}, ${data}, ${event.createdAt})`;
}

/**
 * Inserts the event, a delivery for each webhook that matches, and a wake-up for those webhooks that have no active
 * `deliverWebhook` run and do not rest. It is one statement, which begins when the counter is locked: a run that stops
 * delivering first clears `drained_until`, then waits for this lock, and only then looks for deliveries one last time. So
 * each delivery is either seen by that look or wakes a new run.
 */
async function insertAndFanOut(em: EntityManager, event: NewEvent, seq: number): Promise<void> {
  const { contentTruncated = false, finishReason = null, lateMs = null, data = null } = event;
  const body = eventBody({ ...event, contentTruncated, finishReason, lateMs, data }, seq);
  const entries = JSON.stringify(matchingEntries(event.type));
  await run(
    em,
    sql`with event as (${insertEvent(event, seq)}),
     wanting as (
       select id, drained_until, not_before from webhooks
        where account_id = ${event.accountId} and enabled and deleted_at is null
          and events && (select array_agg(entry) from jsonb_array_elements_text(${entries}::jsonb) as entry)
          and (instance_id is null or instance_id = ${event.instanceId}) and (agent_id is null or agent_id = ${event.agentId ?? null})
     ),
     queued as (
       insert into webhook_deliveries (id, webhook_id, event_id, event_type, body, created_at, next_attempt_at)
       select 'dlv_' || substr(md5(${event.id} || wanting.id), 1, 20), wanting.id, ${event.id}, ${event.type}, ${body},
              clock_timestamp(), clock_timestamp() from wanting
     )
     insert into outbox (workflow, subject_id)
     select 'deliverWebhook', id from wanting
      where coalesce(drained_until <= clock_timestamp(), true) and coalesce(not_before <= clock_timestamp(), true)`,
  );
}
