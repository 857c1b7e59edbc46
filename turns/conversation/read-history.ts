import type { EntityManager } from '@mikro-orm/postgresql';
import { findHistory } from '../../database/messages/find-messages.ts';
import type { HistoryEntry, HistoryPage } from '../../database/messages/find-messages.ts';
import type { OwnAgent } from './own-agent.ts';

/** The last messages of the agent's conversations, or of one of them, the newest first, and whether there are more. */
export function readHistory(
  em: EntityManager,
  { agentId }: OwnAgent,
  page: HistoryPage,
): Promise<{ entries: HistoryEntry[]; hasMore: boolean }> {
  return findHistory(em, agentId, page);
}
