import type { EntityManager } from '@mikro-orm/postgresql';
import type { FinishReason, TurnFailure, TurnStatus } from '../../domain/turn.ts';
import { query, sql } from '../sql.ts';
import { turnUsage, USAGE_COLUMNS } from './turn-usage.ts';
import type { TurnUsage } from './turn-usage.ts';

/** A reply as its customer may see it, or what an agent said unprompted. */
export interface TurnView {
  messageId: string;
  /** Null: the agent said it unprompted. */
  requestMessageId: string | null;
  instanceId: string;
  agentId: string;
  /** Null: the agent said it unprompted, outside of conversations. */
  conversationId: string | null;
  /** As the customer names the conversation; empty for the agent's one without a name, null where there is none. */
  sessionId: string | null;
  status: TurnStatus;
  /** Empty until it has completed. */
  content: string;
  /** Null until it has completed, and of replies from before it was recorded. */
  finishReason: FinishReason | null;
  errorReason: TurnFailure | null;
  errorMessage: string | null;
  createdAt: Date;
  endedAt: Date | null;
  /** Its conversation was deleted: nothing of it is shown. */
  isDeleted: boolean;
  /** Of all model calls of the turn so far. */
  usage: TurnUsage;
}

interface TurnRow extends Omit<TurnView, 'createdAt' | 'endedAt' | 'usage'>, TurnUsage {
  createdMs: number;
  endedMs: number | null;
}

/** The turn with this reply, whatever its state; null when there is none, or no more. */
export async function getTurn(em: EntityManager, messageId: string): Promise<TurnView | null> {
  const [row] = await query<TurnRow>(
    em,
    sql`select m.id as "messageId", u.id as "requestMessageId", m.instance_id as "instanceId", m.agent_id as "agentId",
            m.conversation_id as "conversationId", c.session_id as "sessionId", m.status, m.content,
            c.deleted_at is not null as "isDeleted", m.finish_reason as "finishReason", m.error_reason as "errorReason", m.error_message as "errorMessage",
            extract(epoch from m.created_at)::float8 * 1000 as "createdMs",
            extract(epoch from m.ended_at)::float8 * 1000 as "endedMs",
            ${USAGE_COLUMNS}
       from messages m
       left join messages u on u.conversation_id = m.conversation_id and u.number = m.number and u.role = 'user'
       left join conversations c on c.id = m.conversation_id
      cross join lateral ${turnUsage(sql`m.id`)} usage
      where m.id = ${messageId} and m.role = 'agent'`,
  );
  if (!row) return null;
  const {
    createdMs,
    endedMs,
    inputTokens,
    outputTokens,
    cacheReadTokens,
    cacheWriteTokens,
    thinkingTokens,
    costNanoUsd,
    models,
    ...turn
  } = row;
  return {
    ...turn,
    createdAt: new Date(Math.round(createdMs)),
    endedAt: endedMs === null ? null : new Date(Math.round(endedMs)),
    usage: { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, thinkingTokens, costNanoUsd, models },
  };
}
