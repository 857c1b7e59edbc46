import type { EntityManager } from '@mikro-orm/postgresql';
import { LockMode } from '@mikro-orm/postgresql';
import { ClaudeSession } from '../../../../database/entities/claude-session.ts';

/** A session that is locked until the transaction ends; null when it is gone. Lock its instance first. */
export function lockSession(em: EntityManager, id: string): Promise<ClaudeSession | null> {
  return em.findOne(ClaudeSession, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true });
}
