import type { EntityManager } from '@mikro-orm/postgresql';
import { columns, notNull } from '../db.ts';
import { Agent } from '../entities/agent.ts';
import { Conversation } from '../entities/conversation.ts';
import { Message } from '../entities/message.ts';
import { fetchRow } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { epochMs, sql } from '../sql.ts';

const m = columns(Message, 'm');
const c = columns(Conversation, 'c');
const a = columns(Agent, 'a');
const later = columns(Message, 'later');

const FIELDS = {
  messageId: m.id,
  accountId: m.account,
  instanceId: m.instance,
  agentId: m.agent,
  conversationId: notNull(m.conversation),
  sessionId: c.sessionId,
  number: notNull(m.number),
  createdAtMs: epochMs(m.createdAt),
  /** No later message was said in its conversation. */
  isLast: sql<boolean>`not exists (
    select from messages later
     where ${later.conversation} = ${m.conversation} and ${later.number} > ${m.number} and ${later.role} = 'user')`,
};

/** Where a reply to a message stands. */
export type TurnPlace = RowOf<typeof FIELDS>;

/** The place of the turn with this reply; null when there is none, or when its conversation or its agent was deleted. */
export function findTurnPlace(em: EntityManager, messageId: string): Promise<TurnPlace | null> {
  return fetchRow(
    em,
    FIELDS,
    (fields) => sql`
      select ${fields} from messages m
        join conversations c on ${c.id} = ${m.conversation} and ${c.deletedAt} is null
        join agents a on ${a.id} = ${m.agent} and ${a.deletedAt} is null
       where ${m.id} = ${messageId} and ${m.role} = 'agent' and ${m.source} is null`,
  );
}
