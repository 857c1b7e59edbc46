import type { EntityManager } from '@mikro-orm/postgresql';
import type { FinishReason } from '../../domain/turn.ts';
import type { EventType } from '../../domain/webhook-events.ts';
import { bytesToHere, fittingRows, pageOf } from '../page-bytes.ts';
import type { Sized } from '../page-bytes.ts';
import { allOf, query, sql } from '../sql.ts';

/** An event as the API shows it. */
export interface EventView {
  id: string;
  seq: number;
  type: EventType;
  instanceId: string | null;
  agentSlug: string | null;
  agentName: string | null;
  source: 'cron' | 'agent' | null;
  messageId: string | null;
  content: string | null;
  contentTruncated: boolean;
  finishReason: FinishReason | null;
  jobName: string | null;
  /** How late the run of its job began, because the instance was asleep; null: it did not. */
  lateMs: number | null;
  errorCode: string | null;
  errorMessage: string | null;
  /** JSON. */
  data: string | null;
  deleted: boolean;
  createdAt: Date;
}

type Row = Omit<EventView, 'createdAt'> & { createdAt: Date | string };

const COLUMNS = sql`
  id, seq::float8 as seq, type, instance_id as "instanceId", agent_slug as "agentSlug", agent_name as "agentName", source,
  message_id as "messageId", content, content_truncated as "contentTruncated", finish_reason as "finishReason", job_name as "jobName",
  late_ms as "lateMs", error_code as "errorCode", error_message as "errorMessage", data, deleted, created_at as "createdAt"`;

interface InstanceFilter {
  instanceId: string;
  agentSlug: string | undefined;
  source: 'cron' | 'agent' | undefined;
}

/** Counting takes as long as there is to count. */
const MOST_COUNTED = 10_000;

/** The events of an instance, the newest first, whether there are more, and how many there are in all, up to 10,000. */
export async function findInstanceEvents(
  em: EntityManager,
  { instanceId, agentSlug, source }: InstanceFilter,
  { before, limit }: { before: number | undefined; limit: number },
): Promise<{ events: EventView[]; hasMore: boolean; total: number; totalCapped: boolean }> {
  const conditions = [sql`instance_id = ${instanceId} and not deleted`];
  if (agentSlug !== undefined) conditions.push(sql`agent_slug = ${agentSlug}`);
  if (source !== undefined) conditions.push(sql`source = ${source}`);
  const matching = allOf(conditions);
  const found = await query<Row & Sized>(
    em,
    fittingRows(
      sql`select ${COLUMNS}, ${bytesToHere(sql`content`, sql`events.seq desc`)}
         from events where ${matching} and ${before === undefined ? sql`true` : sql`seq < ${before}`}
        order by events.seq desc limit ${limit + 1}`,
    ),
  );
  const { rows, hasMore } = pageOf(found, limit);
  const [count] = await query<{ total: number }>(
    em,
    sql`select count(*)::int as total from (select from events where ${matching} limit ${MOST_COUNTED + 1}) as counted`,
  );
  const total = Math.min(count?.total ?? 0, MOST_COUNTED);
  return { events: rows.map(viewOf), hasMore, total, totalCapped: (count?.total ?? 0) > MOST_COUNTED };
}

interface AccountEvents {
  events: EventView[];
  /** The first and the last number that is there; null while there is none. */
  oldestSeq: number | null;
  latestSeq: number | null;
}

/** The events of an account after this number, the oldest first, as many as fit. One statement, so that numbers and events fit together. */
export async function findAccountEvents(
  em: EntityManager,
  { accountId, after, limit }: { accountId: string; after: number; limit: number },
): Promise<AccountEvents> {
  const [bounds, ...rows] = await query<Row & { oldest: number | null; latest: number | null }>(
    em,
    sql`with page as (${fittingRows(sql`select ${COLUMNS}, ${bytesToHere(sql`content`, sql`events.seq`)} from events
                                         where account_id = ${accountId} and seq > ${after} order by events.seq limit ${limit}`)}),
          bounds as (select min(seq)::float8 as oldest, max(seq)::float8 as latest from events where account_id = ${accountId})
     select bounds.*, page.* from bounds left join page on false
     union all
     (select null, null, page.* from page order by page.seq)`,
  );
  return { events: rows.map(viewOf), oldestSeq: bounds?.oldest ?? null, latestSeq: bounds?.latest ?? null };
}

function viewOf(row: Row): EventView {
  return { ...row, createdAt: new Date(row.createdAt) };
}
