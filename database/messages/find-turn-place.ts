import { columns, notNull } from '../db.ts';
import { Agent } from '../entities/agent.ts';
import { Conversation } from '../entities/conversation.ts';
import { Message } from '../entities/message.ts';
import type { RowOf } from '../rows.ts';
import { epochMs, sql } from '../sql.ts';

const m = columns(Message, 'm');
const c = columns(Conversation, 'c');
const a = columns(Agent, 'a');
const later = columns(Message, 'later');

/** Of TURN_PLACED. */
export const TURN_PLACE = {
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
export type TurnPlace = RowOf<typeof TURN_PLACE>;

/** The replies to messages of conversations and agents that were not deleted, as a `from`; a `where` for the reply `m` follows. */
export const TURN_PLACED = sql`
  messages m
  join conversations c on ${c.id} = ${m.conversation} and ${c.deletedAt} is null and ${m.role} = 'agent' and ${m.source} is null
  join agents a on ${a.id} = ${m.agent} and ${a.deletedAt} is null`;
