import type { EntityManager } from '@mikro-orm/postgresql';
import { columns, notNull, optionalColumns } from '../db.ts';
import { Conversation } from '../entities/conversation.ts';
import { Message } from '../entities/message.ts';
import { fetchPlannedRow } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { sql } from '../sql.ts';
import { turnUsage, USAGE_FIELDS } from './turn-usage.ts';
import type { TurnUsage } from './turn-usage.ts';

const m = columns(Message, 'm');
const u = optionalColumns(Message, 'u');
const c = optionalColumns(Conversation, 'c');

const TURN = {
  messageId: m.id,
  /** Null: the agent said it unprompted. */
  requestMessageId: u.id,
  instanceId: m.instance,
  agentId: m.agent,
  /** Null: the agent said it unprompted, outside of conversations. */
  conversationId: m.conversation,
  /** As the customer names the conversation; empty for the agent's one without a name, null where there is none. */
  sessionId: c.sessionId,
  status: notNull(m.status),
  /** Empty until it has completed. */
  content: m.content,
  /** Null until it has completed, and of replies from before it was recorded. */
  finishReason: m.finishReason,
  errorReason: m.errorReason,
  errorMessage: m.errorMessage,
  createdAt: m.createdAt,
  endedAt: m.endedAt,
  /** Its conversation was deleted: nothing of it is shown. */
  isDeleted: sql<boolean>`${c.deletedAt} is not null`,
};

/** The fields of a turn, of rows that come from TURN_SOURCES. */
export const TURN_FIELDS = { ...TURN, ...USAGE_FIELDS };

/** Where they come from: replies with the name `m`. */
export const TURN_SOURCES = sql`
  m left join messages u on ${u.conversation} = ${m.conversation} and ${u.number} = ${m.number} and ${u.role} = 'user'
    left join conversations c on ${c.id} = ${m.conversation}
   cross join lateral ${turnUsage(m.id)} usage`;

/** A reply as its customer may see it, or what an agent said unprompted. */
export type TurnView = RowOf<typeof TURN> & {
  /** Of all model calls of the turn so far. */
  usage: TurnUsage;
};

/** The turn with this reply, whatever its state; null when there is none, or no more. */
export async function getTurn(em: EntityManager, messageId: string): Promise<TurnView | null> {
  const row = await fetchPlannedRow(
    em,
    'turn',
    TURN_FIELDS,
    (fields) => sql`select ${fields} from messages ${TURN_SOURCES} where ${m.id} = ${messageId} and ${m.role} = 'agent'`,
  );
  return row && viewOf(row);
}

/** The turn of a row with TURN_FIELDS. */
export function viewOf(row: RowOf<typeof TURN_FIELDS>): TurnView {
  const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, thinkingTokens, costNanoUsd, models, ...turn } = row;
  const cache = { cacheReadTokens, cacheWriteTokens };
  return { ...turn, usage: { inputTokens, outputTokens, ...cache, thinkingTokens, costNanoUsd, models } };
}
