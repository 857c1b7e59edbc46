import type { EntityManager } from '@mikro-orm/postgresql';
import type { TurnStatus } from '../../domain/turn.ts';
import { query, sql } from '../sql.ts';

/** Of a row of messages: its conversation was not deleted. */
export const IS_SHOWN = sql`not exists (select from conversations hidden where hidden.id = messages.conversation_id and hidden.deleted_at is not null)`;

export interface FoundReply {
  messageId: string;
  status: TurnStatus;
  createdMs: number;
}

/**
 * What the agent said under this id, or in reply to the message with this id. Null when the agent has no such message.
 */
export async function findReply(em: EntityManager, agentId: string, messageId: string): Promise<FoundReply | null> {
  const [row] = await query<FoundReply>(
    em,
    sql`select id as "messageId", status, (extract(epoch from created_at) * 1000)::float8 as "createdMs" from messages
         where role = 'agent' and agent_id = ${agentId} and ${IS_SHOWN}
           and (id = ${messageId} or (conversation_id, number) = (select conversation_id, number from messages
                                                                 where id = ${messageId} and agent_id = ${agentId} and role = 'user'))`,
  );
  return row ?? null;
}
