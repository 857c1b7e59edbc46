import type { EntityManager } from '@mikro-orm/postgresql';
import { FAILURES_UNTIL_PROBING } from '../../domain/webhook-health.ts';
import { query, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

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

type Row = Endpoint & { [Field in keyof DueDelivery]: DueDelivery[Field] | null };

const ENDPOINT = sql`
  webhook.id as "webhookId", webhook.account_id as "accountId", webhook.url, webhook.secret,
  case when webhook.previous_secret_until > now() then webhook.previous_secret end as "previousSecret",
  webhook.enabled, webhook.failures, coalesce(webhook.not_before > now(), false) as "isResting"`;
const DELIVERY = sql`id, event_id as "eventId", event_type as "eventType", body, is_test as "isTest", attempts, tries`;
const isNoneOf = (ids: readonly string[]): Sql =>
  sql`id not in (select jsonb_array_elements_text(${JSON.stringify(ids)}::jsonb))`;

/**
 * The endpoint of a webhook and what may be sent to it now, what has waited longest first; null when there is no such
 * webhook. One that is disabled, rests, or is to be probed gets nothing but tests.
 */
export async function findDueDeliveries(
  em: EntityManager,
  { webhookId, limit, bytes, except }: Question,
): Promise<{ endpoint: Endpoint; due: DueDelivery[] } | null> {
  const rows = await query<Row>(
    em,
    sql`select ${ENDPOINT}, delivery.*
       from webhooks webhook
       left join lateral (
         select ${DELIVERY}
           from (select id, next_attempt_at, sum(size) over (order by next_attempt_at, id) - size as bytes_before
                   from (select id, next_attempt_at, octet_length(body) as size from webhook_deliveries
                          where webhook_id = webhook.id and status = 'pending' and next_attempt_at <= now() and ${isNoneOf(except)}
                            and (is_test or webhook.enabled and webhook.failures < ${FAILURES_UNTIL_PROBING} and coalesce(webhook.not_before <= now(), true))
                          order by next_attempt_at limit ${limit}) due) sized
           join webhook_deliveries using (id, next_attempt_at)
          where bytes_before < ${bytes} order by next_attempt_at, id
       ) delivery on true
      where webhook.id = ${webhookId} and webhook.deleted_at is null`,
  );
  const [first] = rows;
  return first ? { endpoint: first, due: rows.filter(isDelivery) } : null;
}

function isDelivery(row: Row): row is Endpoint & DueDelivery {
  return row.id !== null;
}

/** The delivery that has waited longest, whether it is due or not: what a failing endpoint is probed with. */
export async function findOldestDelivery(
  em: EntityManager,
  { webhookId, except }: Pick<Question, 'webhookId' | 'except'>,
): Promise<DueDelivery | null> {
  const [oldest] = await query<DueDelivery>(
    em,
    sql`select ${DELIVERY} from webhook_deliveries
      where id = (select id from webhook_deliveries
                   where webhook_id = ${webhookId} and status = 'pending' and not is_test and ${isNoneOf(except)}
                   order by created_at, id limit 1)`,
  );
  return oldest ?? null;
}
