import type { EntityManager } from '@mikro-orm/postgresql';

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
  const [row] = await em.execute<LockedReply[]>(
    `select id, attempt > 0 as "isSent" from messages
      where role = 'agent' and agent_id = ?
        and (id = ? or (conversation_id, number) = (select conversation_id, number from messages where id = ? and agent_id = ?))
        for update`,
    [agentId, messageId, messageId, agentId],
  );
  return row ?? null;
}
