import type { EntityManager } from '@mikro-orm/postgresql';

interface LockedReply {
  id: string;
  /** A gateway may be working on it. */
  isSent: boolean;
}

/**
 * Locks the turn that this message of the agent belongs to, so that it is not sent meanwhile; null when the agent has no
 * such message.
 */
export async function lockReply(em: EntityManager, agentId: string, messageId: string): Promise<LockedReply | null> {
  const [row] = await em.execute<LockedReply[]>(
    `select reply.id, reply.attempt > 0 as "isSent"
       from messages message
       join messages reply on reply.conversation_id = message.conversation_id and reply.number = message.number
      where message.id = ? and message.agent_id = ? and reply.role = 'agent'
        for update of reply`,
    [messageId, agentId],
  );
  return row ?? null;
}
