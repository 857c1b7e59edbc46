import type { EntityManager } from '@mikro-orm/postgresql';
import type { Step } from '../../domain/steps.ts';
import { bytesToHere, fittingRows, pageOf } from '../page-bytes.ts';
import { columns, db, notNull, optionalColumns } from '../db.ts';
import { Conversation } from '../entities/conversation.ts';
import { Message } from '../entities/message.ts';
import { fetchPlannedRows, fetchRow, fetchRows } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { anyOf, asNumber, epochMs, runPlanned, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

const c = columns(Conversation, 'c');
const reply = columns(Message, 'reply');
const request = optionalColumns(Message, 'request');
const earlier = columns(Message, 'earlier');

const FIELDS = {
  number: notNull(reply.number),
  replyId: reply.id,
  /** What was said; null: the agent sent it by itself. */
  said: request.content,
  status: notNull(reply.status),
  /** Empty until it has completed. */
  content: reply.content,
  errorReason: reply.errorReason,
  errorMessage: reply.errorMessage,
  createdAtMs: epochMs(reply.createdAt),
  endedAtMs: epochMs(reply.endedAt),
  /** An earlier turn of the conversation has not ended. */
  isWaiting: sql<boolean>`exists (
    select from messages earlier
     where ${earlier.conversation} = ${reply.conversation} and ${earlier.status} = 'pending' and ${earlier.number} < ${reply.number})`,
};

/** A turn of a conversation with both of its sides, or what the agent sent by itself. */
export type SessionTurn = RowOf<typeof FIELDS>;

/** Which conversation: of this agent, with this name. */
export interface SessionPlace {
  agentId: string;
  sessionId: string;
}

/** The conversation of this place. */
const isAt = ({ agentId, sessionId }: SessionPlace): Sql =>
  sql`${c.agent} = ${agentId} and ${c.sessionId} = ${sessionId} and ${c.deletedAt} is null`;

interface Page {
  /** Turns with a larger number; in descending order, with a smaller one. */
  beyond: number | null;
  order: 'asc' | 'desc';
  limit: number;
}

const IN_ORDER = { asc: reply.number, desc: sql`${reply.number} desc` };
const TEXT = sql`coalesce(${request.content}, '') || ${reply.content}`;
const PAGES = {
  asc: { ...FIELDS, bytesToHere: bytesToHere(TEXT, IN_ORDER.asc) },
  desc: { ...FIELDS, bytesToHere: bytesToHere(TEXT, IN_ORDER.desc) },
};

/** Up to so many turns of a conversation in order, within the bytes of a page, and whether more follow. */
export async function listSessionTurns(
  em: EntityManager,
  place: SessionPlace,
  { beyond, order, limit }: Page,
): Promise<{ turns: SessionTurn[]; hasMore: boolean }> {
  const isAsc = order === 'asc';
  const inOrder = IN_ORDER[order];
  const isBeyond = sql`(${beyond}::bigint is null or ${isAsc ? sql`${reply.number} > ${beyond}` : sql`${reply.number} < ${beyond}`})`;
  const found = await fetchPlannedRows(em, `session_turns_${order}`, PAGES[order], (fields) =>
    fittingRows(sql`
      select ${fields}
        from conversations c
        join messages reply on ${reply.conversation} = ${c.id} and ${reply.role} = 'agent'
        left join messages request on ${request.conversation} = ${c.id} and ${request.number} = ${reply.number} and ${request.role} = 'user'
       where ${isAt(place)} and ${isBeyond}
       order by ${inOrder} limit ${limit + 1}`),
  );
  const { rows, hasMore } = pageOf(found, limit);
  return { turns: rows, hasMore };
}

/** The number of the turn with this reply; null when the conversation has none. */
export async function findTurnNumber(em: EntityManager, place: SessionPlace, replyId: string): Promise<number | null> {
  const turn = await fetchRow(
    em,
    { number: notNull(reply.number) },
    (fields) => sql`
      select ${fields} from conversations c join messages reply on ${reply.conversation} = ${c.id}
       where ${isAt(place)} and ${reply.id} = ${replyId} and ${reply.role} = 'agent'`,
  );
  return turn?.number ?? null;
}

/** The number of the last turn before which everything has ended; 0 for a conversation that has not begun. */
export async function findLastEnded(em: EntityManager, place: SessionPlace): Promise<number> {
  const firstPending = sql`min(${reply.number}) filter (where ${reply.status} = 'pending')`;
  const ended = await fetchRow(
    em,
    { number: asNumber(sql<bigint>`coalesce(${firstPending} - 1, max(${reply.number}), 0)`) },
    (fields) => sql`
      select ${fields} from conversations c join messages reply on ${reply.conversation} = ${c.id} and ${reply.role} = 'agent'
       where ${isAt(place)}`,
  );
  return ended?.number ?? 0;
}

/** The replies that a conversation waits for, the last first: so none becomes the next while they are ended. */
export async function listPendingReplies(em: EntityManager, place: SessionPlace): Promise<string[]> {
  const replies = await fetchRows(
    em,
    { id: reply.id },
    (fields) => sql`
      select ${fields} from conversations c join messages reply on ${reply.conversation} = ${c.id} and ${reply.status} = 'pending'
       where ${isAt(place)} order by ${reply.number} desc`,
  );
  return replies.map(({ id }) => id);
}

/** The stored steps of each of these turns that has any, by its reply. */
export async function findStepsOf(em: EntityManager, replyIds: readonly string[]): Promise<Map<string, Step[]>> {
  const rows = await db(em)
    .selectFrom('MessageSteps')
    .select(['message', 'steps'])
    .where('message', '=', anyOf(replyIds))
    .execute();
  return new Map(rows.map(({ message, steps }) => [message, steps]));
}

/** Tells those who follow this session at the commit that something was said in it. They look once a second, too. */
export async function notifySession(em: EntityManager, sessionId: string): Promise<void> {
  await runPlanned(em, 'notify_session', sql`select pg_notify('session', ${sessionId})`);
}
