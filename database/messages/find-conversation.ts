import type { EntityManager } from '@mikro-orm/postgresql';
import { columns, notNull } from '../db.ts';
import { Conversation } from '../entities/conversation.ts';
import { Message } from '../entities/message.ts';
import { fetchPlannedRow, fetchRow } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { allOf, epochMs, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

const c = columns(Conversation);

const KNOWN = { sessionId: c.sessionId, instructionsHash: c.instructionsHash };

export type KnownConversation = RowOf<typeof KNOWN>;

/** Locks the conversation with this name until the transaction ends; null when the agent has none. */
export function lockConversation(em: EntityManager, agentId: string, sessionId: string): Promise<KnownConversation | null> {
  return fetchPlannedRow(
    em,
    'lock_conversation',
    KNOWN,
    (fields) => sql`
      select ${fields} from conversations
       where ${c.agent} = ${agentId} and ${c.sessionId} = ${sessionId} and ${c.deletedAt} is null for update`,
  );
}

/** Which row of `conversations` is the agent's with this id, or else with this name. */
export const namedConversation = (agentId: string, idOrName: string): Sql => sql`
  ${c.agent} = ${agentId} and ${c.deletedAt} is null and (${c.id} = ${idOrName} or ${c.sessionId} = ${idOrName})
  order by ${c.id} = ${idOrName} desc limit 1`;

/** The name of the agent's conversation with this id, or of the one with this name; null when it has neither. */
export async function findSessionId(em: EntityManager, agentId: string, idOrName: string): Promise<string | null> {
  const found = await fetchRow(
    em,
    { sessionId: c.sessionId },
    (fields) => sql`select ${fields} from conversations where ${namedConversation(agentId, idOrName)}`,
  );
  return found?.sessionId ?? null;
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
  const candidate = columns(Conversation, 'candidate');
  const found = await fetchRow(
    em,
    { id: candidate.id },
    (fields) => sql`
      select ${fields}
        from (select ${c.id}, ${c.createdAt} from conversations where ${c.agent} = ${agentId} and ${c.promptHash} = ${promptHash}
               order by ${c.createdAt} desc limit ${CANDIDATES}) candidate
       cross join lateral ${lastReply(candidate.id)} last
       where ${last.status} = 'completed' and sha256(convert_to(btrim(${last.content}, ${BLANKS}), 'UTF8')) = ${replyHash}
       order by ${candidate.createdAt} desc limit 1`,
  );
  if (!found) return null;
  // Another message may have come first: then the conversation does not end there any more.
  return fetchRow(
    em,
    KNOWN,
    (fields) => sql`
      select ${fields} from conversations where ${c.id} = ${found.id} and ${c.promptHash} = ${promptHash} for update`,
  );
}

const last = columns(Message, 'last');

/** The last reply of a conversation. What its agent sent unprompted is none. */
function lastReply(conversationId: Sql): Sql {
  const { id, status, content, createdAt, conversation, role, source, number } = columns(Message);
  return sql`(
    select ${id}, ${status}, ${content}, ${createdAt} from messages
     where ${conversation} = ${conversationId} and ${role} = 'agent' and ${source} is null order by ${number} desc limit 1)`;
}

const newest = columns(Conversation, 'newest');

const REPEATED = {
  sessionId: newest.sessionId,
  messageId: last.id,
  status: notNull(last.status),
  acceptedAtMs: epochMs(last.createdAt),
};

export type RepeatedTurn = RowOf<typeof REPEATED>;

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
  const isThere = [sql`${c.agent} = ${agentId}`, sql`${c.promptHash} = ${promptHash}`];
  if (sessionId !== undefined) isThere.push(sql`${c.sessionId} = ${sessionId}`);
  return fetchRow(
    em,
    REPEATED,
    (fields) => sql`
      select ${fields}
        from (select ${c.id}, ${c.sessionId} from conversations where ${allOf(isThere)} order by ${c.createdAt} desc limit 1) newest
       cross join lateral ${lastReply(newest.id)} last`,
  );
}
