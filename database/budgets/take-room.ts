import { sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/** What a model call may use at most, as far as that is known. */
export interface ModelCallSize {
  inputTokens: number;
  outputTokens: number;
}

export interface TurnToHold extends ModelCallSize {
  /** The reply, which is the turn. */
  messageId: string;
  accountId: string;
  instanceId: string;
  agentId: string;
  model: string;
  /** Null for a token. */
  keyId: string | null;
  senderId: string;
  /** Empty for the agent's one conversation without a name, which is no session. */
  sessionId: string;
}

/**
 * An expression that reserves what one model call of a new turn may cost in each budget that it counts for, until the turn ends. It
 * is the id of the first budget that has no room, and then nothing is reserved; null when all have. Locks what is spent of these
 * budgets: the last thing that the transaction does.
 */
export function takeRoom(turn: TurnToHold, now: Sql): Sql {
  const { messageId, accountId, instanceId, agentId, model, keyId, senderId, sessionId, inputTokens, outputTokens } = turn;
  const cost = sql`most_token_cost(${model}, ${inputTokens}::bigint, ${outputTokens}::bigint, ${now})`;
  return sql`take_budgets(${accountId}, ${instanceId}, ${agentId}, ${keyId}::text, ${senderId}, nullif(${sessionId}, ''), ${messageId},
                          null, ${cost}, ${now})`;
}
