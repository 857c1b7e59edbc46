import type { EntityManager } from '@mikro-orm/postgresql';
import type { NamedBudget } from '../../domain/money/budgets.ts';
import { CONTENT_FILTER } from '../../domain/turn.ts';
import { columns, optionalColumns } from '../db.ts';
import { Budget } from '../entities/budget.ts';
import { ModelCall } from '../entities/model-call.ts';
import { fetchRow } from '../rows.ts';
import { sql } from '../sql.ts';

/** Why the last model call of a turn brought no answer. */
export type Refusal = { kind: 'filtered' } | { kind: 'budget'; budget: NamedBudget };

/**
 * Whether the content filter of the model provider kept back the last answer of this turn, or refused its prompt, or a budget had
 * no room for its last call. Null: neither.
 */
export async function findRefusal(em: EntityManager, messageId: string): Promise<Refusal | null> {
  const call = columns(ModelCall, 'model_calls');
  const budget = optionalColumns(Budget, 'budgets');
  const last = await fetchRow(
    em,
    { finishReason: call.finishReason, budgetId: budget.id, name: budget.name, period: budget.period },
    (fields) => sql`
      select ${fields} from model_calls left join budgets on ${budget.id} = ${call.refusedBy}
       where ${call.message} = ${messageId} order by ${call.id} desc limit 1`,
  );
  if (!last) return null;
  const { finishReason, budgetId, name, period } = last;
  if (budgetId !== null && name !== null && period !== null) return { kind: 'budget', budget: { budgetId, name, period } };
  return finishReason === CONTENT_FILTER ? { kind: 'filtered' } : null;
}
