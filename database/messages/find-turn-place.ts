import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';

/** Where a reply to a message stands. */
export interface TurnPlace {
  messageId: string;
  accountId: string;
  instanceId: string;
  agentId: string;
  conversationId: string;
  sessionId: string;
  number: number;
  createdAtMs: number;
  /** No later message was said in its conversation. */
  isLast: boolean;
}

/** The place of the turn with this reply; null when there is none, or when its conversation or its agent was deleted. */
export async function findTurnPlace(em: EntityManager, messageId: string): Promise<TurnPlace | null> {
  const [row] = await query<TurnPlace>(
    em,
    sql`select m.id as "messageId", m.account_id as "accountId", m.instance_id as "instanceId", m.agent_id as "agentId",
               m.conversation_id as "conversationId", c.session_id as "sessionId", m.number::float8 as number,
               (extract(epoch from m.created_at) * 1000)::float8 as "createdAtMs",
               not exists (select from messages later where later.conversation_id = m.conversation_id
                            and later.number > m.number and later.role = 'user') as "isLast"
          from messages m
          join conversations c on c.id = m.conversation_id and c.deleted_at is null
          join agents a on a.id = m.agent_id and a.deleted_at is null
         where m.id = ${messageId} and m.role = 'agent' and m.source is null`,
  );
  return row ?? null;
}
