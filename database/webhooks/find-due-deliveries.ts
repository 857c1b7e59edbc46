import type { EntityManager } from '@mikro-orm/postgresql';
import { FAILURES_UNTIL_PROBING } from '../../domain/webhooks/webhook-health.ts';
import { columns, db, optionalColumns } from '../db.ts';
import { WebhookDelivery } from '../entities/webhook-delivery.ts';
import { Webhook } from '../entities/webhook.ts';
import { fetchRows } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { sql } from '../sql.ts';

/** What a delivery needs to know of its webhook. */
export interface Endpoint {
  webhookId: string;
  accountId: string;
  url: string;
  /** Encrypted. */
  secret: string;
  /** The secret before, while deliveries are still signed with it too. */
  previousSecret: string | null;
  enabled: boolean;
  failures: number;
  /** Nothing but tests may be sent yet. */
  isResting: boolean;
}

export interface DueDelivery {
  id: string;
  eventId: string;
  eventType: string;
  body: string;
  isTest: boolean;
  /** How many attempts there were, and how many of them count for the retry schedule. */
  attempts: number;
  tries: number;
}

interface Question {
  webhookId: string;
  limit: number;
  /** The most bytes of bodies together. The last body may exceed it, if it begins within it. */
  bytes: number;
  /** Deliveries that are under way. */
  except: readonly string[];
}

const WEBHOOK = columns(Webhook, 'webhook');
const WAITING = columns(WebhookDelivery, 'waiting');
const DELIVERY = optionalColumns(WebhookDelivery, 'delivery');

const FIELDS = {
  webhookId: WEBHOOK.id,
  accountId: WEBHOOK.account,
  url: WEBHOOK.url,
  secret: WEBHOOK.secret,
  previousSecret: sql<string | null>`case when ${WEBHOOK.previousSecretUntil} > now() then ${WEBHOOK.previousSecret} end`,
  enabled: WEBHOOK.enabled,
  failures: WEBHOOK.failures,
  isResting: sql<boolean>`coalesce(${WEBHOOK.notBefore} > now(), false)`,
  id: DELIVERY.id,
  eventId: DELIVERY.eventId,
  eventType: DELIVERY.eventType,
  body: DELIVERY.body,
  isTest: DELIVERY.isTest,
  attempts: DELIVERY.attempts,
  tries: DELIVERY.tries,
};

/** What this webhook may be sent now: nothing but tests while it is disabled, rests, or is to be probed. */
const MAY_BE_SENT = sql`(${WAITING.isTest} or ${WEBHOOK.enabled} and ${WEBHOOK.failures} < ${FAILURES_UNTIL_PROBING}
  and coalesce(${WEBHOOK.notBefore} <= now(), true))`;

/**
 * The endpoint of a webhook and what may be sent to it now, what has waited longest first; null when there is no such
 * webhook. One that is disabled, rests, or is to be probed gets nothing but tests.
 */
export async function findDueDeliveries(
  em: EntityManager,
  { webhookId, limit, bytes, except }: Question,
): Promise<{ endpoint: Endpoint; due: DueDelivery[] } | null> {
  const rows = await fetchRows(
    em,
    FIELDS,
    (fields) => sql`select ${fields}
       from webhooks webhook
       left join lateral (
         select id, at
           from (select id, at, sum(size) over (order by at, id) - size as bytes_before
                   from (select ${WAITING.id} as id, ${WAITING.nextAttemptAt} as at, octet_length(${WAITING.body}) as size
                           from webhook_deliveries waiting
                          where ${WAITING.webhook} = ${WEBHOOK.id} and ${WAITING.status} = 'pending'
                            and ${WAITING.nextAttemptAt} <= now() and ${MAY_BE_SENT} and ${WAITING.id} <> all(${[...except]})
                          order by ${WAITING.nextAttemptAt} limit ${limit}) due) sized
          where bytes_before < ${bytes}
       ) due on true
       left join webhook_deliveries delivery on ${DELIVERY.id} = due.id and ${DELIVERY.nextAttemptAt} = due.at
      where ${WEBHOOK.id} = ${webhookId} and ${WEBHOOK.deletedAt} is null
      order by due.at, due.id`,
  );
  const [first] = rows;
  return first ? { endpoint: first, due: rows.filter(isDelivery) } : null;
}

function isDelivery(row: RowOf<typeof FIELDS>): row is Endpoint & DueDelivery {
  return row.id !== null;
}

/** The delivery that has waited longest, whether it is due or not: what a failing endpoint is probed with. */
export async function findOldestDelivery(
  em: EntityManager,
  { webhookId, except }: Pick<Question, 'webhookId' | 'except'>,
): Promise<DueDelivery | null> {
  const oldest = await db(em)
    .selectFrom('WebhookDelivery')
    .select(['id', 'eventId', 'eventType', 'body', 'isTest', 'attempts', 'tries'])
    .where('webhook', '=', webhookId)
    .where('status', '=', 'pending')
    .where('isTest', '=', false)
    .where('id', '<>', sql<string>`all(${[...except]})`)
    .orderBy('createdAt')
    .orderBy('id')
    .limit(1)
    .executeTakeFirst();
  return oldest ?? null;
}
