import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';
import { namedConversation } from './find-conversation.ts';
import type { WatchedInstance } from './watched-turns.ts';
import { watchedRows } from './watched-turns.ts';

/** A conversation of an agent as a list shows it. */
export interface ListedConversation {
  conversationId: string;
  /** As the client named it; empty for the conversation without a name. */
  sessionId: string;
  lastAt: Date;
  /** Both sides of each turn, and what the agent said unprompted. */
  messages: number;
  /** The beginning of its first message. */
  beginning: string;
}

/** Where a page of the list ends: the conversation with the newest message comes first. */
export type ConversationPosition = readonly [lastAtMs: number, conversationId: string];

const BEGINNING_CHARACTERS = 200;

/** A page of the conversations of an agent behind this position. */
export async function listConversations(
  em: EntityManager,
  agentId: string,
  { after, limit }: { after: ConversationPosition | undefined; limit: number },
): Promise<ListedConversation[]> {
  const isBehind = after ? sql`(last_at, id) < (${new Date(after[0])}, ${after[1]})` : sql`true`;
  const rows = await query<Omit<ListedConversation, 'lastAt'> & { lastAt: Date | string }>(
    em,
    // Each number is a turn, which has two messages, or one message that the agent sent unprompted.
    sql`select page.id as "conversationId", page.session_id as "sessionId", page.last_at as "lastAt",
               (2 * page.last_number - spoken.count)::float8 as messages, coalesce(first.beginning, '') as beginning
          from (select * from conversations where agent_id = ${agentId} and deleted_at is null and ${isBehind}
                 order by last_at desc, id desc limit ${limit}) page
          cross join lateral (select count(*) from messages where conversation_id = page.id and source is not null) spoken
          left join lateral (select left(content, ${BEGINNING_CHARACTERS}) as beginning from messages
                              where conversation_id = page.id and role = 'user' order by number limit 1) first on true
         order by page.last_at desc, page.id desc`,
  );
  return rows.map((row) => ({ ...row, lastAt: new Date(row.lastAt) }));
}

/**
 * Hides a conversation of the agent, by its id or its session id, with all its messages, and frees its session id.
 * Returns its id; null when the agent has no such conversation. Its turns must be ended afterwards.
 */
export async function hideConversation(
  em: EntityManager,
  { agentId, name, now }: { agentId: string; name: string; now: Date },
): Promise<string | null> {
  const [hidden] = await query<{ id: string }>(
    em,
    // A session id of a client has at most 128 characters.
    sql`update conversations set deleted_at = ${now}, session_id = rpad(id, 129, '-'), prompt_hash = null
         where id = (select id from conversations where ${namedConversation(agentId, name)} for update)
        returning id`,
  );
  return hidden?.id ?? null;
}

/** A conversation that was deleted here and not yet in its gateway. */
export interface ConversationRemoval {
  conversationId: string;
  instanceId: string;
  gatewayAgentId: string;
  /** The gateway deletes the sessions of an agent with the agent. */
  agentIsDeleted: boolean;
}

const REMOVALS_AT_ONCE = 20;

/** The conversations of these instances that were deleted, up to twenty of each instance, those deleted first. */
export async function listRemovals(em: EntityManager, instances: readonly WatchedInstance[]): Promise<ConversationRemoval[]> {
  return query<ConversationRemoval>(
    em,
    // A limit for each instance, so that one whose gateway refuses does not keep the others waiting.
    sql`select removal.* from (
          select c.id as "conversationId", a.instance_id as "instanceId", a.gateway_agent_id as "gatewayAgentId",
                 a.deleted_at is not null as "agentIsDeleted",
                 row_number() over (partition by a.instance_id order by c.deleted_at, c.id) as place
            from conversations c join agents a on a.id = c.agent_id join ${watchedRows(instances)} on watched.instance_id = a.instance_id
           where c.deleted_at is not null) removal
         where place <= ${REMOVALS_AT_ONCE}`,
  );
}

/**
 * Removes one batch of messages of deleted conversations, of one or of all. The messages of a turn that its gateway must
 * still abort stay until it has. Returns how many were removed.
 */
export async function dropHiddenMessages(
  em: EntityManager,
  { conversationId, limit }: { conversationId?: string; limit: number },
): Promise<number> {
  const isMeant = conversationId === undefined ? sql`true` : sql`c.id = ${conversationId}`;
  return run(
    em,
    sql`delete from messages where id in (
       select m.id from conversations c join messages m on m.conversation_id = c.id
        where c.deleted_at is not null and ${isMeant}
          and not exists (select from messages reply
                           where reply.conversation_id = m.conversation_id and reply.number = m.number
                             and (reply.abort_due or reply.status = 'pending'))
        limit ${limit})`,
  );
}

/** Whether messages of a deleted conversation are left, because the gateway must still abort their turns. */
export async function hasMessages(em: EntityManager, conversationId: string): Promise<boolean> {
  const rows = await query<{ id: string }>(em, sql`select id from messages where conversation_id = ${conversationId} limit 1`);
  return rows.length > 0;
}

/** Removes the row of a deleted conversation that has no messages any more. */
export async function dropConversation(em: EntityManager, conversationId: string): Promise<void> {
  await run(em, sql`delete from conversations where id = ${conversationId} and deleted_at is not null`);
}
