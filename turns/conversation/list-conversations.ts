import type { EntityManager } from '@mikro-orm/postgresql';
import { listConversations as list } from '../../database/messages/conversations.ts';
import type { ConversationPosition, ListedConversation } from '../../database/messages/conversations.ts';
import type { OwnAgent } from './own-agent.ts';

export interface ConversationView extends ListedConversation {
  /** The first words of its first message, in one line. */
  title: string;
}

const TITLE_CHARACTERS = 80;

/** A page of the conversations of the agent behind this position, those with the newest messages first. */
export async function listConversations(
  em: EntityManager,
  { agentId }: OwnAgent,
  page: { after: ConversationPosition | undefined; limit: number },
): Promise<ConversationView[]> {
  const found = await list(em, agentId, page);
  return found.map((one) => ({ ...one, title: titleOf(one.beginning) }));
}

function titleOf(beginning: string): string {
  const line = beginning.replaceAll(/\s+/g, ' ').trim();
  const characters = Array.from(line);
  if (characters.length <= TITLE_CHARACTERS) return line;
  const cut = characters.slice(0, TITLE_CHARACTERS).join('');
  // A text without blanks is cut in the middle of a word.
  return `${cut.slice(0, cut.lastIndexOf(' ') + 1).trim() || cut}…`;
}
