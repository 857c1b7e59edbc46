import type { EntityManager } from '@mikro-orm/postgresql';
import { columns, db } from '../db.ts';
import { Agent } from '../entities/agent.ts';
import { Conversation } from '../entities/conversation.ts';
import { Message } from '../entities/message.ts';
import { fetchRow, fetchRows } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { asNumber, run, sql } from '../sql.ts';
import { namedConversation } from './find-conversation.ts';
import type { WatchedInstance } from './watched-turns.ts';
import { watchedRows } from './watched-turns.ts';

/** A conversation of an agent as a list shows it. */
export type ListedConversation = RowOf<typeof LISTED>;

/** Where a page of the list ends: the conversation with the newest message comes first. */
export type ConversationPosition = readonly [lastAtMs: number, conversationId: string];

const BEGINNING_CHARACTERS = 200;

const c = columns(Conversation);
const page = columns(Conversation, 'page');
const message = columns(Message);

const LISTED = {
  conversationId: page.id,
  /** As the client named it; empty for the conversation without a name. */
  sessionId: page.sessionId,
  lastAt: page.lastAt,
  /** Both sides of each turn, and what the agent said unprompted: each number is a turn, or one message that was sent unprompted. */
  messages: asNumber(sql<bigint>`2 * ${page.lastNumber} - spoken.count`),
  /** The beginning of its first message. */
  beginning: sql<string>`coalesce(first.beginning, '')`,
};

/** A page of the conversations of an agent behind this position. */
export function listConversations(
  em: EntityManager,
  agentId: string,
  { after, limit }: { after: ConversationPosition | undefined; limit: number },
): Promise<ListedConversation[]> {
  const isBehind = after ? sql`(${c.lastAt}, ${c.id}) < (${new Date(after[0])}, ${after[1]})` : sql`true`;
  return fetchRows(
    em,
    LISTED,
    (fields) => sql`
      select ${fields}
        from (select * from conversations where ${c.agent} = ${agentId} and ${c.deletedAt} is null and ${isBehind}
               order by ${c.lastAt} desc, ${c.id} desc limit ${limit}) page
       cross join lateral (select count(*) from messages where ${message.conversation} = ${page.id} and ${message.source} is not null) spoken
        left join lateral (select left(${message.content}, ${BEGINNING_CHARACTERS}) as beginning from messages
                            where ${message.conversation} = ${page.id} and ${message.role} = 'user'
                            order by ${message.number} limit 1) first on true
       order by ${page.lastAt} desc, ${page.id} desc`,
  );
}

/**
 * Hides a conversation of the agent, by its id or its session id, with all its messages, and frees its session id.
 * Returns its id; null when the agent has no such conversation. Its turns must be ended afterwards.
 */
export async function hideConversation(
  em: EntityManager,
  { agentId, name, now }: { agentId: string; name: string; now: Date },
): Promise<string | null> {
  const hidden = await fetchRow(
    em,
    { id: c.id },
    // A session id of a client has at most 128 characters.
    (fields) => sql`
      update conversations set ${c.deletedAt} = ${now}, ${c.sessionId} = rpad(${c.id}, 129, '-'), ${c.promptHash} = null
       where ${c.id} = (select ${c.id} from conversations where ${namedConversation(agentId, name)} for update)
      returning ${fields}`,
  );
  return hidden?.id ?? null;
}

const deleted = columns(Conversation, 'c');
const agent = columns(Agent, 'a');

const REMOVAL = {
  conversationId: deleted.id,
  instanceId: agent.instance,
  gatewayAgentId: agent.gatewayAgentId,
  /** The gateway deletes the sessions of an agent with the agent. */
  agentIsDeleted: sql<boolean>`${agent.deletedAt} is not null`,
};

/** A conversation that was deleted here and not yet in its gateway. */
export type ConversationRemoval = RowOf<typeof REMOVAL>;

const REMOVALS_AT_ONCE = 20;

/** The conversations of these instances that were deleted, up to twenty of each instance, those deleted first. */
export function listRemovals(em: EntityManager, instances: readonly WatchedInstance[]): Promise<ConversationRemoval[]> {
  return fetchRows(
    em,
    REMOVAL,
    // A limit for each instance, so that one whose gateway refuses does not keep the others waiting.
    (fields) => sql`
      select removal.* from (
        select ${fields}, row_number() over (partition by ${agent.instance} order by ${deleted.deletedAt}, ${deleted.id}) as place
          from conversations c join agents a on ${agent.id} = ${deleted.agent}
          join ${watchedRows(instances)} on watched.instance_id = ${agent.instance}
         where ${deleted.deletedAt} is not null) removal
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
  const said = columns(Message, 'm');
  const reply = columns(Message, 'reply');
  const isMeant = conversationId === undefined ? sql`true` : sql`${deleted.id} = ${conversationId}`;
  return run(
    em,
    sql`delete from messages where ${message.id} in (
          select ${said.id} from conversations c join messages m on ${said.conversation} = ${deleted.id}
           where ${deleted.deletedAt} is not null and ${isMeant}
             and not exists (select from messages reply
                              where ${reply.conversation} = ${said.conversation} and ${reply.number} = ${said.number}
                                and (${reply.abortDue} or ${reply.status} = 'pending'))
           limit ${limit})`,
  );
}

/** Whether messages of a deleted conversation are left, because the gateway must still abort their turns. */
export async function hasMessages(em: EntityManager, conversationId: string): Promise<boolean> {
  const left = await db(em).selectFrom('Message').select('id').where('conversation', '=', conversationId).limit(1).execute();
  return left.length > 0;
}

/** Removes the row of a deleted conversation that has no messages any more. */
export async function dropConversation(em: EntityManager, conversationId: string): Promise<void> {
  await db(em).deleteFrom('Conversation').where('id', '=', conversationId).where('deletedAt', 'is not', null).execute();
}
