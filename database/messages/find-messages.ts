import type { EntityManager } from '@mikro-orm/postgresql';
import type { FinishReason, TurnFailure, TurnStatus } from '../../domain/turn.ts';
import { bytesToHere, fittingRows, pageOf } from '../page-bytes.ts';
import type { Sized } from '../page-bytes.ts';
import { allOf, query, sql } from '../sql.ts';
import { turnUsage, USAGE_COLUMNS } from './turn-usage.ts';
import type { TurnUsage } from './turn-usage.ts';

/** One side of a turn, or what an agent sent by itself, with what the API shows of it. */
export interface MessageView extends TurnUsage {
  id: string;
  role: 'user' | 'agent';
  content: string;
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
  message.id, message.role, message.content, message.sender_type as "senderType", message.sender_id as "senderId",
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

/** One message of an agent; null when it has no such message. */
export async function findMessage(em: EntityManager, agentId: string, messageId: string): Promise<MessageView | null> {
  const [row] = await query<Row<MessageView>>(
    em,
    sql`select ${COLUMNS} from ${TABLES} where message.id = ${messageId} and message.agent_id = ${agentId}`,
  );
  return row ? { ...row, ...timesOf(row) } : null;
}

/** Where a page of history ends: the newest comes first, of one turn the reply. */
export type HistoryPosition = readonly [createdAtMs: number, conversationId: string, number: number, isReply: number];

export interface HistoryPage {
  sessionId: string | undefined;
  before: HistoryPosition | undefined;
  limit: number;
}

const NEWEST_FIRST = sql`message.created_at desc, message.conversation_id desc, message.number desc, (message.role = 'agent')::int desc`;

/** The last messages of an agent's conversations, or of one of them, the newest first, and whether there are more. */
export async function findHistory(
  em: EntityManager,
  agentId: string,
  page: HistoryPage,
): Promise<{ entries: HistoryEntry[]; hasMore: boolean }> {
  const { sessionId, before, limit } = page;
  const conditions = [sql`message.agent_id = ${agentId}`, sql`message.conversation_id is not null`];
  if (sessionId !== undefined) conditions.push(sql`conversation.session_id = ${sessionId}`);
  if (before) {
    const [createdAtMs, conversationId, number, side] = before;
    conditions.push(
      sql`(message.created_at, message.conversation_id, message.number, (message.role = 'agent')::int)
        < (${new Date(createdAtMs)}, ${conversationId}, ${number}, ${side})`,
    );
  }
  const found = await query<Row<HistoryEntry> & Sized>(
    em,
    fittingRows(
      sql`select ${COLUMNS}, message.conversation_id as "conversationId", message.number::float8 as number,
              ${bytesToHere(sql`message.content`, NEWEST_FIRST)}
         from ${TABLES} where ${allOf(conditions)} order by ${NEWEST_FIRST} limit ${limit + 1}`,
    ),
  );
  const { rows, hasMore } = pageOf(found, limit);
  return { entries: rows.map((row) => ({ ...row, ...timesOf(row) })), hasMore };
}

function timesOf({ createdAt, endedAt }: Row<MessageView>): Pick<MessageView, 'createdAt' | 'endedAt'> {
  return { createdAt: new Date(createdAt), endedAt: endedAt === null ? null : new Date(endedAt) };
}
