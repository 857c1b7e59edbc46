import type { EntityManager } from '@mikro-orm/postgresql';
import type { NamedBudget } from '../../domain/budgets.ts';
import { CONTENT_FILTER } from '../../domain/turn.ts';
import { query, sql } from '../sql.ts';

/** Why the last model call of a turn brought no answer. */
export type Refusal = { kind: 'filtered' } | { kind: 'budget'; budget: NamedBudget };

/**
 * Whether the content filter of the model provider kept back the last answer of this turn, or refused its prompt, or a budget had
 * no room for its last call. Null: neither.
 */
export async function findRefusal(em: EntityManager, messageId: string): Promise<Refusal | null> {
  const [last] = await query<{ finishReason: string | null } & (NamedBudget | Record<keyof NamedBudget, null>)>(
    em,
    sql`select finish_reason as "finishReason", budgets.id as "budgetId", name, period
       from model_calls left join budgets on budgets.id = refused_by
      where message_id = ${messageId} order by model_calls.id desc limit 1`,
  );
  if (!last) return null;
  const { finishReason, ...budget } = last;
  if (budget.budgetId !== null) return { kind: 'budget', budget };
  return finishReason === CONTENT_FILTER ? { kind: 'filtered' } : null;
}
