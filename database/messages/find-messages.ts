import type { EntityManager } from '@mikro-orm/postgresql';
import type { Attachment } from '../../domain/attachments.ts';
import type { FinishReason, TurnFailure, TurnStatus } from '../../domain/turn.ts';
import { bytesToHere, fittingRows, pageOf } from '../page-bytes.ts';
import type { Sized } from '../page-bytes.ts';
import { allOf, query, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';
import { IS_SEARCHED, WORDS_OF_MESSAGE } from './message-words.ts';
import { turnUsage, USAGE_COLUMNS } from './turn-usage.ts';
import type { TurnUsage } from './turn-usage.ts';

/** One side of a turn, or what an agent sent unprompted, with what the API shows of it. */
export interface MessageView extends TurnUsage {
  id: string;
  role: 'user' | 'agent';
  content: string;
  /** The files that came with it. Null: none. */
  attachments: Attachment[] | null;
  senderType: string;
  senderId: string;
  senderName: string;
  /** As the client named it; empty for the conversation without a name, null outside of conversations. */
  sessionId: string | null;
  createdAt: Date;
  /** The rest is of what an agent said. Null: it is a reply. */
  source: 'cron' | 'agent' | null;
  jobName: string | null;
  contentTruncated: boolean;
  status: TurnStatus | null;
  finishReason: FinishReason | null;
  errorReason: TurnFailure | null;
  errorMessage: string | null;
  endedAt: Date | null;
  requestMessageId: string | null;
}

/** A message of a conversation with its place in it. */
export interface HistoryEntry extends MessageView {
  conversationId: string;
  number: number;
}

type Row<View extends MessageView> = Omit<View, 'createdAt' | 'endedAt'> & {
  createdAt: Date | string;
  endedAt: Date | string | null;
};

const COLUMNS = sql`
  message.id, message.role, message.content, message.attachments, message.sender_type as "senderType", message.sender_id as "senderId",
  message.sender_name as "senderName", conversation.session_id as "sessionId", message.created_at as "createdAt",
  message.source, message.job_name as "jobName", message.content_truncated as "contentTruncated",
  message.status, message.finish_reason as "finishReason", message.error_reason as "errorReason", message.error_message as "errorMessage",
  message.ended_at as "endedAt", request.id as "requestMessageId",
  ${USAGE_COLUMNS}`;

const TABLES = sql`
  messages message
  left join conversations conversation on conversation.id = message.conversation_id
  left join messages request on request.conversation_id = message.conversation_id and request.number = message.number
        and request.role = 'user' and message.role = 'agent'
  left join lateral ${turnUsage(sql`case message.role when 'agent' then message.id end`)} usage on true`;

/** A message of a deleted conversation is not shown; one without a conversation is. */
const IS_SHOWN = sql`conversation.deleted_at is null`;

/** One message of an agent; null when it has no such message. */
export async function findMessage(em: EntityManager, agentId: string, messageId: string): Promise<MessageView | null> {
  const [row] = await query<Row<MessageView>>(
    em,
    sql`select ${COLUMNS} from ${TABLES} where message.id = ${messageId} and message.agent_id = ${agentId} and ${IS_SHOWN}`,
  );
  return row ? { ...row, ...timesOf(row) } : null;
}

/** Where a page of history ends: the newest comes first, of one turn the reply. */
export type HistoryPosition = readonly [createdAtMs: number, conversationId: string, number: number, isReply: number];

export interface HistoryPage {
  sessionId?: string | undefined;
  /** The page holds messages later than `after` and earlier than `before`. */
  before?: HistoryPosition | undefined;
  after?: HistoryPosition | undefined;
  /** Only messages with all of these words. */
  words?: string | undefined;
  /** Whether the page has the newest or the oldest of the messages that match. */
  order: 'newest-first' | 'oldest-first';
  limit: number;
}

const PLACE = sql`(message.created_at, message.conversation_id, message.number, (message.role = 'agent')::int)`;
const ORDERS = {
  'newest-first': sql`message.created_at desc, message.conversation_id desc, message.number desc, (message.role = 'agent')::int desc`,
  'oldest-first': sql`message.created_at, message.conversation_id, message.number, (message.role = 'agent')::int`,
};

/** A page of the messages of an agent's conversations, or of one of them, in its order, and whether more follow. */
export async function findHistory(
  em: EntityManager,
  agentId: string,
  page: HistoryPage,
): Promise<{ entries: HistoryEntry[]; hasMore: boolean }> {
  const { sessionId, before, after, words, order, limit } = page;
  const conditions = [sql`message.agent_id = ${agentId}`, sql`message.conversation_id is not null`, IS_SHOWN];
  if (sessionId !== undefined) conditions.push(sql`conversation.session_id = ${sessionId}`);
  if (before) conditions.push(sql`${PLACE} < ${placeOf(before)}`);
  if (after) conditions.push(sql`${PLACE} > ${placeOf(after)}`);
  if (words !== undefined) conditions.push(sql`message.id in (select id from found)`);
  const search = words === undefined ? sql`` : withWords(agentId, words);
  const found = await query<Row<HistoryEntry> & Sized>(
    em,
    fittingRows(
      sql`${search} select ${COLUMNS}, message.conversation_id as "conversationId", message.number::float8 as number,
              ${bytesToHere(sql`message.content`, ORDERS[order])}
         from ${TABLES} where ${allOf(conditions)} order by ${ORDERS[order]} limit ${limit + 1}`,
    ),
  );
  const { rows, hasMore } = pageOf(found, limit);
  return { entries: rows.map((row) => ({ ...row, ...timesOf(row) })), hasMore };
}

/** A separate query, so that PostgreSQL uses the index of words for every order and condition of the page. */
function withWords(agentId: string, words: string): Sql {
  const asked = sql`plainto_tsquery('simple', ${words})`;
  return sql`with found as materialized (
    select message.id from messages message
     where message.agent_id = ${agentId} and ${IS_SEARCHED} and numnode(${asked}) > 0
       and ${WORDS_OF_MESSAGE} @@ (${asked} && ${agentId}::tsquery))`;
}

function placeOf([createdAtMs, conversationId, number, side]: HistoryPosition): Sql {
  return sql`(${new Date(createdAtMs)}, ${conversationId}, ${number}, ${side})`;
}

/** The position of a message in the history of its agent; null when it is not in it. */
export async function findPosition(em: EntityManager, agentId: string, messageId: string): Promise<HistoryPosition | null> {
  const [row] = await query<{ createdMs: number; conversationId: string; number: number; side: number }>(
    em,
    sql`select (extract(epoch from message.created_at) * 1000)::float8 as "createdMs", message.conversation_id as "conversationId",
               message.number::float8 as number, (message.role = 'agent')::int as side
          from messages message join conversations conversation on conversation.id = message.conversation_id
         where message.id = ${messageId} and message.agent_id = ${agentId} and ${IS_SHOWN}`,
  );
  return row ? [Math.round(row.createdMs), row.conversationId, row.number, row.side] : null;
}

function timesOf({ createdAt, endedAt }: Row<MessageView>): Pick<MessageView, 'createdAt' | 'endedAt'> {
  return { createdAt: new Date(createdAt), endedAt: endedAt === null ? null : new Date(endedAt) };
}
