import type { EntityManager } from '@mikro-orm/postgresql';
import { columns } from '../db.ts';
import { Message } from '../entities/message.ts';
import { fetchRow } from '../rows.ts';
import { sql } from '../sql.ts';
import { isReply } from './find-reply.ts';

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
  const { id, attempt } = columns(Message);
  return fetchRow(
    em,
    { id, isSent: sql<boolean>`${attempt} > 0` },
    (fields) => sql`select ${fields} from messages where ${isReply(agentId, messageId)} for update`,
  );
}
