import type { EntityManager } from '@mikro-orm/postgresql';
import type { NamedBudget } from '../../domain/budgets.ts';
import { columns } from '../db.ts';
import { Budget } from '../entities/budget.ts';
import { fetchPlannedRow } from '../rows.ts';
import { sql } from '../sql.ts';

export interface TurnToHold {
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
  /** What its first model call may use at most, as far as that is known. */
  inputTokens: number;
  outputTokens: number;
}

/**
 * Reserves what one model call of a new turn may cost in each budget that it counts for, until the turn ends, in the caller's
 * transaction. Answers the first budget that has no room, and then nothing is reserved; null when all have. Locks what is spent of
 * these budgets: the last thing that the transaction does.
 */
export async function holdTurn(em: EntityManager, turn: TurnToHold): Promise<NamedBudget | null> {
  const { messageId, accountId, instanceId, agentId, model, keyId, senderId, sessionId } = turn;
  const budget = columns(Budget, 'budgets');
  const cost = sql`most_token_cost(${model}, ${turn.inputTokens}::bigint, ${turn.outputTokens}::bigint, clock.now)`;
  return fetchPlannedRow(
    em,
    'hold_turn',
    { budgetId: budget.id, name: budget.name, period: budget.period },
    (fields) => sql`
      select ${fields}
        from (select date_trunc('milliseconds', now()) as now) clock
       cross join lateral take_budgets(${accountId}, ${instanceId}, ${agentId}, ${keyId}::text, ${senderId}, nullif(${sessionId}, ''),
                                       ${messageId}, null, ${cost}, clock.now) as refused_by
        join budgets on ${budget.id} = refused_by`,
  );
}
