import type { EntityManager } from '@mikro-orm/postgresql';
import type { TurnStatus } from '../../domain/turn.ts';
import { allOf, query, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

export interface KnownConversation {
  sessionId: string;
  instructionsHash: Buffer | null;
}

/** Locks the conversation with this name until the transaction ends; null when the agent has none. */
export async function lockConversation(em: EntityManager, agentId: string, sessionId: string): Promise<KnownConversation | null> {
  const [row] = await query<KnownConversation>(
    em,
    sql`select session_id as "sessionId", instructions_hash as "instructionsHash" from conversations
         where agent_id = ${agentId} and session_id = ${sessionId} and deleted_at is null for update`,
  );
  return row ?? null;
}

/** Which row of `conversations` is the agent's with this id, or else with this name. */
export const namedConversation = (agentId: string, idOrName: string): Sql => sql`
  agent_id = ${agentId} and deleted_at is null and (id = ${idOrName} or session_id = ${idOrName})
  order by id = ${idOrName} desc limit 1`;

/** The name of the agent's conversation with this id, or of the one with this name; null when it has neither. */
export async function findSessionId(em: EntityManager, agentId: string, idOrName: string): Promise<string | null> {
  const [row] = await query<{ sessionId: string }>(
    em,
    sql`select session_id as "sessionId" from conversations where ${namedConversation(agentId, idOrName)}`,
  );
  return row?.sessionId ?? null;
}

/** What a client has of a conversation: a hash up to its last message, and one of the reply to that. */
export interface ReceivedPart {
  promptHash: Buffer;
  replyHash: Buffer;
}

/** How many of the newest conversations with the same beginning are compared. */
const CANDIDATES = 50;

/** These characters at the ends of a text are not compared. */
export const BLANKS = ' \t\r\n';

/**
 * Locks a conversation of the agent that ends as the client has it, until the transaction ends: its last message is the
 * one that was hashed, and the reply to it is the one that the client received. Null when there is none.
 */
export async function lockContinued(
  em: EntityManager,
  agentId: string,
  { promptHash, replyHash }: ReceivedPart,
): Promise<KnownConversation | null> {
  const [found] = await query<{ id: string }>(
    em,
    sql`select candidate.id
          from (select id, created_at from conversations where agent_id = ${agentId} and prompt_hash = ${promptHash}
                 order by created_at desc limit ${CANDIDATES}) candidate
         cross join lateral (select status, content from messages
                              where conversation_id = candidate.id and role = 'agent' and source is null
                              order by number desc limit 1) last
         where last.status = 'completed' and sha256(convert_to(btrim(last.content, ${BLANKS}), 'UTF8')) = ${replyHash}
         order by candidate.created_at desc limit 1`,
  );
  if (!found) return null;
  // Another message may have come first: then the conversation does not end there any more.
  const [row] = await query<KnownConversation>(
    em,
    sql`select session_id as "sessionId", instructions_hash as "instructionsHash" from conversations
         where id = ${found.id} and prompt_hash = ${promptHash} for update`,
  );
  return row ?? null;
}

export interface RepeatedTurn {
  sessionId: string;
  messageId: string;
  status: TurnStatus;
  acceptedAtMs: number;
}

interface Repeated {
  promptHash: Buffer;
  /** Only the conversation with this name. */
  sessionId?: string | undefined;
}

/** The last turn of the newest conversation that ends with exactly this message; null when there is none. */
export async function findRepeated(
  em: EntityManager,
  agentId: string,
  { promptHash, sessionId }: Repeated,
): Promise<RepeatedTurn | null> {
  const isThere = [sql`agent_id = ${agentId}`, sql`prompt_hash = ${promptHash}`];
  if (sessionId !== undefined) isThere.push(sql`session_id = ${sessionId}`);
  const [row] = await query<RepeatedTurn>(
    em,
    sql`select newest.session_id as "sessionId", last.id as "messageId", last.status,
               (extract(epoch from last.created_at) * 1000)::float8 as "acceptedAtMs"
          from (select id, session_id from conversations where ${allOf(isThere)} order by created_at desc limit 1) newest
         cross join lateral (select id, status, created_at from messages
                              where conversation_id = newest.id and role = 'agent' and source is null
                              order by number desc limit 1) last`,
  );
  return row ?? null;
}
