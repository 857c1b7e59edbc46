import type { EntityManager } from '@mikro-orm/postgresql';
import type { TurnFailure, TurnStatus } from '../../domain/turn.ts';
import type { Step } from '../../domain/steps.ts';
import { bytesToHere, fittingRows, pageOf } from '../page-bytes.ts';
import type { Sized } from '../page-bytes.ts';
import { query, run, sql } from '../sql.ts';

/** A turn of a conversation with both of its sides, or what the agent sent by itself. */
export interface SessionTurn {
  number: number;
  replyId: string;
  /** What was said; null: the agent sent it by itself. */
  said: string | null;
  status: TurnStatus;
  /** Empty until it has completed. */
  content: string;
  errorReason: TurnFailure | null;
  errorMessage: string | null;
  createdAtMs: number;
  endedAtMs: number | null;
  /** An earlier turn of the conversation has not ended. */
  isWaiting: boolean;
}

/** Which conversation: of this agent, with this name. */
export interface SessionPlace {
  agentId: string;
  sessionId: string;
}

interface Page {
  /** Turns with a larger number; in descending order, with a smaller one. */
  beyond: number | null;
  order: 'asc' | 'desc';
  limit: number;
}

/** Up to so many turns of a conversation in order, within the bytes of a page, and whether more follow. */
export async function listSessionTurns(
  em: EntityManager,
  { agentId, sessionId }: SessionPlace,
  { beyond, order, limit }: Page,
): Promise<{ turns: SessionTurn[]; hasMore: boolean }> {
  const isAsc = order === 'asc';
  const isBeyond = beyond === null ? sql`true` : isAsc ? sql`reply.number > ${beyond}` : sql`reply.number < ${beyond}`;
  const inOrder = isAsc ? sql`reply.number` : sql`reply.number desc`;
  const found = await query<SessionTurn & Sized>(
    em,
    fittingRows(
      sql`select reply.number::float8 as number, reply.id as "replyId", request.content as said, reply.status, reply.content,
                 reply.error_reason as "errorReason", reply.error_message as "errorMessage",
                 (extract(epoch from reply.created_at) * 1000)::float8 as "createdAtMs",
                 (extract(epoch from reply.ended_at) * 1000)::float8 as "endedAtMs",
                 exists (select from messages earlier where earlier.conversation_id = reply.conversation_id
                          and earlier.status = 'pending' and earlier.number < reply.number) as "isWaiting",
                 ${bytesToHere(sql`coalesce(request.content, '') || reply.content`, inOrder)}
            from conversations c
            join messages reply on reply.conversation_id = c.id and reply.role = 'agent'
            left join messages request on request.conversation_id = c.id and request.number = reply.number and request.role = 'user'
           where c.agent_id = ${agentId} and c.session_id = ${sessionId} and c.deleted_at is null and ${isBeyond}
           order by ${inOrder} limit ${limit + 1}`,
    ),
  );
  const { rows, hasMore } = pageOf(found, limit);
  return { turns: rows, hasMore };
}

/** The number of the turn with this reply; null when the conversation has none. */
export async function findTurnNumber(
  em: EntityManager,
  { agentId, sessionId }: SessionPlace,
  replyId: string,
): Promise<number | null> {
  const [row] = await query<{ number: number }>(
    em,
    sql`select reply.number::float8 as number from conversations c join messages reply on reply.conversation_id = c.id
         where c.agent_id = ${agentId} and c.session_id = ${sessionId} and c.deleted_at is null
           and reply.id = ${replyId} and reply.role = 'agent'`,
  );
  return row?.number ?? null;
}

/** The number of the last turn before which everything has ended; 0 for a conversation that has not begun. */
export async function findLastEnded(em: EntityManager, { agentId, sessionId }: SessionPlace): Promise<number> {
  const [row] = await query<{ number: number }>(
    em,
    sql`select coalesce(min(reply.number) filter (where reply.status = 'pending') - 1, max(reply.number), 0)::float8 as number
          from conversations c join messages reply on reply.conversation_id = c.id and reply.role = 'agent'
         where c.agent_id = ${agentId} and c.session_id = ${sessionId} and c.deleted_at is null`,
  );
  return row?.number ?? 0;
}

/** The replies that a conversation waits for, the last first: so none becomes the next while they are ended. */
export async function listPendingReplies(em: EntityManager, { agentId, sessionId }: SessionPlace): Promise<string[]> {
  const rows = await query<{ id: string }>(
    em,
    sql`select reply.id from conversations c join messages reply on reply.conversation_id = c.id and reply.status = 'pending'
         where c.agent_id = ${agentId} and c.session_id = ${sessionId} and c.deleted_at is null order by reply.number desc`,
  );
  return rows.map(({ id }) => id);
}

/** The stored steps of each of these turns that has any, by its reply. */
export async function findStepsOf(em: EntityManager, replyIds: readonly string[]): Promise<Map<string, Step[]>> {
  const rows = await query<{ replyId: string; steps: Step[] }>(
    em,
    sql`select message_id as "replyId", steps from message_steps
         where message_id in (select jsonb_array_elements_text(${JSON.stringify(replyIds)}::jsonb))`,
  );
  return new Map(rows.map(({ replyId, steps }) => [replyId, steps]));
}

/** Tells those who follow this session at the commit that something was said in it. They look once a second, too. */
export async function notifySession(em: EntityManager, sessionId: string): Promise<void> {
  await run(em, sql`select pg_notify('session', ${sessionId})`);
}
