import type { EntityManager } from '@mikro-orm/postgresql';
import { columns, notNull, optionalColumns } from '../db.ts';
import { Conversation } from '../entities/conversation.ts';
import { Message } from '../entities/message.ts';
import { bytesToHere, fittingRows, pageOf } from '../page-bytes.ts';
import { fetchPlannedRow, fetchRow, fetchRows } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { allOf, epochMs, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';
import { IS_SEARCHED, WORDS_OF_MESSAGE } from './message-words.ts';
import { turnUsage, USAGE_FIELDS } from './turn-usage.ts';

const message = columns(Message, 'message');
const conversation = optionalColumns(Conversation, 'conversation');
const request = optionalColumns(Message, 'request');

const FIELDS = {
  id: message.id,
  role: message.role,
  content: message.content,
  /** The files that came with it. Null: none. */
  attachments: message.attachments,
  senderType: message.senderType,
  senderId: message.senderId,
  senderName: message.senderName,
  /** As the client named it; empty for the conversation without a name, null outside of conversations. */
  sessionId: conversation.sessionId,
  createdAt: message.createdAt,
  /** The rest is of what an agent said. Null: it is a reply. */
  source: message.source,
  jobName: message.jobName,
  contentTruncated: message.contentTruncated,
  status: message.status,
  finishReason: message.finishReason,
  errorReason: message.errorReason,
  errorMessage: message.errorMessage,
  endedAt: message.endedAt,
  requestMessageId: request.id,
  ...USAGE_FIELDS,
};

/** One side of a turn, or what an agent sent unprompted, with what the API shows of it. */
export type MessageView = RowOf<typeof FIELDS>;

const PLACED = { ...FIELDS, conversationId: notNull(message.conversation), number: notNull(message.number) };

/** A message of a conversation with its place in it. */
export type HistoryEntry = RowOf<typeof PLACED>;

const TABLES = sql`
  messages message
  left join conversations conversation on ${conversation.id} = ${message.conversation}
  left join messages request on ${request.conversation} = ${message.conversation} and ${request.number} = ${message.number}
        and ${request.role} = 'user' and ${message.role} = 'agent'
  left join lateral ${turnUsage(sql`case ${message.role} when 'agent' then ${message.id} end`)} usage on true`;

/** A message of a deleted conversation is not shown; one without a conversation is. */
const IS_SHOWN = sql`${conversation.deletedAt} is null`;

/** One message of an agent; null when it has no such message. */
export function findMessage(em: EntityManager, agentId: string, messageId: string): Promise<MessageView | null> {
  return fetchPlannedRow(
    em,
    'message',
    FIELDS,
    (fields) => sql`
      select ${fields} from ${TABLES} where ${message.id} = ${messageId} and ${message.agent} = ${agentId} and ${IS_SHOWN}`,
  );
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

/** Of one turn the reply comes behind its message. */
const SIDE = sql<number>`(${message.role} = 'agent')::int`;
const PLACE = sql`(${message.createdAt}, ${message.conversation}, ${message.number}, ${SIDE})`;
const ORDERS = {
  'newest-first': sql`${message.createdAt} desc, ${message.conversation} desc, ${message.number} desc, ${SIDE} desc`,
  'oldest-first': sql`${message.createdAt}, ${message.conversation}, ${message.number}, ${SIDE}`,
};

/** A page of the messages of an agent's conversations, or of one of them, in its order, and whether more follow. */
export async function findHistory(
  em: EntityManager,
  agentId: string,
  page: HistoryPage,
): Promise<{ entries: HistoryEntry[]; hasMore: boolean }> {
  const { sessionId, before, after, words, order, limit } = page;
  const conditions = [sql`${message.agent} = ${agentId}`, sql`${message.conversation} is not null`, IS_SHOWN];
  if (sessionId !== undefined) conditions.push(sql`${conversation.sessionId} = ${sessionId}`);
  if (before) conditions.push(sql`${PLACE} < ${placeOf(before)}`);
  if (after) conditions.push(sql`${PLACE} > ${placeOf(after)}`);
  if (words !== undefined) conditions.push(sql`${message.id} in (select id from found)`);
  const search = words === undefined ? sql`` : withWords(agentId, words);
  const found = await fetchRows(em, { ...PLACED, bytesToHere: bytesToHere(message.content, ORDERS[order]) }, (fields) =>
    fittingRows(sql`
      ${search} select ${fields} from ${TABLES} where ${allOf(conditions)} order by ${ORDERS[order]} limit ${limit + 1}`),
  );
  const { rows, hasMore } = pageOf(found, limit);
  return { entries: rows, hasMore };
}

/** A separate query, so that PostgreSQL uses the index of words for every order and condition of the page. */
function withWords(agentId: string, words: string): Sql {
  const asked = sql`plainto_tsquery('simple', ${words})`;
  return sql`with found as materialized (
    select ${message.id} from messages message
     where ${message.agent} = ${agentId} and ${IS_SEARCHED} and numnode(${asked}) > 0
       and ${WORDS_OF_MESSAGE} @@ (${asked} && ${agentId}::tsquery))`;
}

function placeOf([createdAtMs, conversationId, number, side]: HistoryPosition): Sql {
  return sql`(${new Date(createdAtMs)}, ${conversationId}, ${number}, ${side})`;
}

/** The position of a message in the history of its agent; null when it is not in it. */
export async function findPosition(em: EntityManager, agentId: string, messageId: string): Promise<HistoryPosition | null> {
  const place = {
    createdMs: epochMs(message.createdAt),
    conversationId: notNull(message.conversation),
    number: notNull(message.number),
    side: SIDE,
  };
  const row = await fetchRow(
    em,
    place,
    (fields) => sql`
      select ${fields} from messages message join conversations conversation on ${conversation.id} = ${message.conversation}
       where ${message.id} = ${messageId} and ${message.agent} = ${agentId} and ${IS_SHOWN}`,
  );
  return row ? [Math.round(row.createdMs), row.conversationId, row.number, row.side] : null;
}
