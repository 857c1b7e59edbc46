import type { EntityManager } from '@mikro-orm/postgresql';
import { recordEvent } from './record-event.ts';
import type { NewEvent } from './record-event.ts';

type Notice = Pick<NewEvent, 'id' | 'accountId' | 'type' | 'createdAt'> & { data: Record<string, unknown> };

/** Records an event about an account, which no instance and no agent has. Locks the account's counter, as recordEvent does. */
export async function recordNotice(em: EntityManager, notice: Notice): Promise<void> {
  const ofNoAgent = { instanceId: null, agentSlug: null, agentName: null, source: null, messageId: null, jobName: null };
  await recordEvent(em, { ...notice, ...ofNoAgent, content: null, error: null, occurrenceKey: null });
}
