import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';
import { IS_SHOWN } from './find-reply.ts';

interface LockedReply {
  id: string;
  /** A gateway may be working on it. */
  isSent: boolean;
}

/**
 * Locks the turn that this message of the agent belongs to, so that it is not sent meanwhile; what the agent sent by
 * itself stands for itself. Null when the agent has no such message.
 */
export async function lockReply(em: EntityManager, agentId: string, messageId: string): Promise<LockedReply | null> {
  const [row] = await query<LockedReply>(
    em,
    sql`select id, attempt > 0 as "isSent" from messages
      where role = 'agent' and agent_id = ${agentId} and ${IS_SHOWN}
        and (id = ${messageId} or (conversation_id, number) = (select conversation_id, number from messages where id = ${messageId} and agent_id = ${agentId}))
        for update`,
  );
  return row ?? null;
}
