import type { EntityManager } from '@mikro-orm/postgresql';
import { findHistory, findPosition } from '../../database/messages/find-messages.ts';
import type { HistoryEntry, HistoryPage, HistoryPosition } from '../../database/messages/find-messages.ts';
import type { OwnAgent } from './own-agent.ts';

/** A page of the messages of the agent's conversations, or of one of them, in its order, and whether more follow. */
export function readHistory(
  em: EntityManager,
  { agentId }: OwnAgent,
  page: HistoryPage,
): Promise<{ entries: HistoryEntry[]; hasMore: boolean }> {
  return findHistory(em, agentId, page);
}

/** The position of a message in the agent's history; null for one that is not in it. */
export function positionOf(em: EntityManager, { agentId }: OwnAgent, messageId: string): Promise<HistoryPosition | null> {
  return findPosition(em, agentId, messageId);
}
