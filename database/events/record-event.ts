import type { EntityManager } from '@mikro-orm/postgresql';
import type { RawBuilder } from 'kysely';
import { eventBody } from '../../domain/webhooks/event-body.ts';
import type { FinishReason } from '../../domain/turn.ts';
import { matchingEntries } from '../../domain/webhooks/webhook-events.ts';
import type { EventType } from '../../domain/webhooks/webhook-events.ts';
import { columns } from '../db.ts';
import { EventCounter } from '../entities/event-counter.ts';
import { EventOccurrence } from '../entities/event-occurrence.ts';
import { Event } from '../entities/event.ts';
import { OutboxEntry } from '../entities/outbox-entry.ts';
import { WebhookDelivery } from '../entities/webhook-delivery.ts';
import { Webhook } from '../entities/webhook.ts';
import { fetchPlannedRow, selectionOf } from '../rows.ts';
import { asNumber, run, sql } from '../sql.ts';
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
  const { instance, key: occurrence } = columns(EventOccurrence);
  const claimed = await run(
    em,
    sql`insert into event_occurrences (${instance}, ${occurrence}) values (${instanceId}, ${key}) on conflict do nothing`,
  );
  return claimed > 0;
}

const SEQ = sql<number>`counted.seq`;
const COUNTED = { seq: asNumber(SEQ), hasWebhooks: sql<boolean>`counted.has_webhooks` };

/**
 * Records an event under the next sequence number of its account and queues it for every webhook that wants it; null,
 * and nothing changed, when this occurrence was recorded before. Locks the account's counter, so it is the last thing
 * that a transaction does: numbers become visible in order.
 */
export async function recordEvent(em: EntityManager, event: NewEvent): Promise<number | null> {
  const claims = event.instanceId !== null && event.occurrenceKey !== null;
  const { account, lastSeq } = columns(EventCounter);
  const counter = columns(EventCounter, 'event_counters');
  const { instance, key } = columns(EventOccurrence);
  const webhook = columns(Webhook, 'webhooks');
  const hasWebhooks = sql<boolean>`exists (
    select from webhooks where ${webhook.account} = ${counter.account} and ${webhook.enabled} and ${webhook.deletedAt} is null)`;
  const taken = await fetchPlannedRow(
    em,
    'record_event',
    COUNTED,
    (fields) => sql`
      with occurrence as (
        insert into event_occurrences (${instance}, ${key}) select ${event.instanceId}, ${event.occurrenceKey} where ${claims}::boolean
        on conflict do nothing returning ${key}
      ), counted as (
        insert into event_counters (${account}, ${lastSeq})
        select ${event.accountId}, 1 where not ${claims}::boolean or exists (select from occurrence)
        on conflict (${account}) do update set ${lastSeq} = ${counter.lastSeq} + 1
        returning ${lastSeq} as seq, ${hasWebhooks} as has_webhooks
      ), stored as (
        ${insertEvent(event, SEQ)} from counted where not counted.has_webhooks
      )
      select ${fields} from counted`,
  );
  if (!taken) return null;
  if (taken.hasWebhooks) await insertAndFanOut(em, event, taken.seq);
  return taken.seq;
}

/** What inserts the event, before the `from` of one row. */
function insertEvent(event: NewEvent, seq: number | RawBuilder<number>): Sql {
  const values = selectionOf(Event, {
    id: event.id,
    account: event.accountId,
    seq,
    type: event.type,
    instance: event.instanceId,
    agentSlug: event.agentSlug,
    agentName: event.agentName,
    source: event.source,
    messageId: event.messageId,
    content: event.content,
    contentTruncated: event.contentTruncated ?? false,
    finishReason: event.finishReason ?? null,
    jobName: event.jobName,
    lateMs: event.lateMs ?? null,
    errorCode: event.error?.code ?? null,
    errorMessage: event.error?.message ?? null,
    data: event.data ? JSON.stringify(event.data) : null,
    createdAt: event.createdAt,
  });
  return sql`insert into events ${values}`;
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
  const entries = matchingEntries(event.type);
  const webhook = columns(Webhook);
  const delivery = columns(WebhookDelivery);
  const outbox = columns(OutboxEntry);
  await run(
    em,
    sql`with event as (${insertEvent(event, seq)}),
     wanting as (
       select ${webhook.id}, ${webhook.drainedUntil}, ${webhook.notBefore} from webhooks
        where ${webhook.account} = ${event.accountId} and ${webhook.enabled} and ${webhook.deletedAt} is null
          and ${webhook.events} && ${entries}::text[]
          and (${webhook.instance} is null or ${webhook.instance} = ${event.instanceId})
          and (${webhook.agent} is null or ${webhook.agent} = ${event.agentId ?? null})
     ),
     queued as (
       insert into webhook_deliveries (${delivery.id}, ${delivery.webhook}, ${delivery.eventId}, ${delivery.eventType}, ${delivery.body},
                                       ${delivery.createdAt}, ${delivery.nextAttemptAt})
       select 'dlv_' || substr(md5(${event.id} || ${webhook.id}), 1, 20), ${webhook.id}, ${event.id}, ${event.type}, ${body},
              clock_timestamp(), clock_timestamp() from wanting
     )
     insert into outbox (${outbox.workflow}, ${outbox.subjectId})
     select 'deliverWebhook', ${webhook.id} from wanting
      where coalesce(${webhook.drainedUntil} <= clock_timestamp(), true) and coalesce(${webhook.notBefore} <= clock_timestamp(), true)`,
  );
}
