import type { EntityManager } from '@mikro-orm/postgresql';
import { columns } from '../db.ts';
import { Event } from '../entities/event.ts';
import type { EventType } from '../../domain/webhooks/webhook-events.ts';
import { bytesToHere, fittingRows, pageOf } from '../page-bytes.ts';
import { fetchRows, listOf } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { allOf, asNumber, sql } from '../sql.ts';

const event = columns(Event, 'events');

const FIELDS = {
  id: event.id,
  seq: event.seq,
  type: event.type.$castTo<EventType>(),
  instanceId: event.instance,
  agentSlug: event.agentSlug,
  agentName: event.agentName,
  source: event.source,
  messageId: event.messageId,
  content: event.content,
  contentTruncated: event.contentTruncated,
  finishReason: event.finishReason,
  jobName: event.jobName,
  /** How late the run of its job began, because the instance was asleep; null: it did not. */
  lateMs: event.lateMs,
  errorCode: event.errorCode,
  errorMessage: event.errorMessage,
  /** JSON. */
  data: event.data,
  deleted: event.deleted,
  createdAt: event.createdAt,
};

/** An event as the API shows it. */
export type EventView = RowOf<typeof FIELDS>;

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
  const conditions = [sql`${event.instance} = ${instanceId} and not ${event.deleted}`];
  if (agentSlug !== undefined) conditions.push(sql`${event.agentSlug} = ${agentSlug}`);
  if (source !== undefined) conditions.push(sql`${event.source} = ${source}`);
  const matching = allOf(conditions);
  const newestFirst = sql`${event.seq} desc`;
  const found = await fetchRows(em, { ...FIELDS, bytesToHere: bytesToHere(event.content, newestFirst) }, (fields) =>
    fittingRows(sql`
      select ${fields} from events where ${matching} and ${before === undefined ? sql`true` : sql`${event.seq} < ${before}`}
       order by ${newestFirst} limit ${limit + 1}`),
  );
  const { rows, hasMore } = pageOf(found, limit);
  const [counted] = await fetchRows(
    em,
    { total: asNumber(sql<bigint>`count(*)`) },
    (fields) => sql`select ${fields} from (select from events where ${matching} limit ${MOST_COUNTED + 1}) as counted`,
  );
  const total = counted?.total ?? 0;
  return { events: rows, hasMore, total: Math.min(total, MOST_COUNTED), totalCapped: total > MOST_COUNTED };
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
  const { seq, content, account } = event;
  const bounds = {
    oldest: asNumber(sql<bigint | null>`min(${seq})`),
    latest: asNumber(sql<bigint | null>`max(${seq})`),
  };
  const page = fittingRows(sql`
    select ${listOf({ ...FIELDS, bytesToHere: bytesToHere(content, seq) })} from events
     where ${account} = ${accountId} and ${seq} > ${after} order by ${seq} limit ${limit}`);
  const [ends, ...events] = await fetchRows(
    em,
    { ...bounds, ...FIELDS },
    () => sql`
      with page as (${page}), bounds as (select ${listOf(bounds)} from events where ${account} = ${accountId})
      select bounds.*, page.* from bounds left join page on false
      union all
      (select null, null, page.* from page order by page.seq)`,
  );
  return { events, oldestSeq: ends?.oldest ?? null, latestSeq: ends?.latest ?? null };
}
