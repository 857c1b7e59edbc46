import type { EntityManager } from '@mikro-orm/postgresql';
import { columns, notNull } from '../db.ts';
import { Conversation } from '../entities/conversation.ts';
import { Message } from '../entities/message.ts';
import { fetchRow } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { epochMs, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

const message = columns(Message, 'messages');
const hidden = columns(Conversation, 'hidden');

/** Of a row of messages: its conversation was not deleted. */
const IS_SHOWN = sql`not exists (
  select from conversations hidden where ${hidden.id} = ${message.conversation} and ${hidden.deletedAt} is not null)`;

/** The reply with this id, or to the message with this id, where this agent has it and shows it. */
export function isReply(agentId: string, messageId: string): Sql {
  const request = columns(Message, 'request');
  const place = sql`
    select ${request.conversation}, ${request.number} from messages request
     where ${request.id} = ${messageId} and ${request.agent} = ${agentId} and ${request.role} = 'user'`;
  return sql`${message.role} = 'agent' and ${message.agent} = ${agentId} and ${IS_SHOWN}
    and (${message.id} = ${messageId} or (${message.conversation}, ${message.number}) = (${place}))`;
}

const FIELDS = { messageId: message.id, status: notNull(message.status), createdMs: epochMs(message.createdAt) };

export type FoundReply = RowOf<typeof FIELDS>;

/**
 * What the agent said under this id, or in reply to the message with this id. Null when the agent has no such message.
 */
export function findReply(em: EntityManager, agentId: string, messageId: string): Promise<FoundReply | null> {
  return fetchRow(em, FIELDS, (fields) => sql`select ${fields} from messages where ${isReply(agentId, messageId)}`);
}
