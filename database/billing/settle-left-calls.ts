import type { EntityManager } from '@mikro-orm/postgresql';
import { columns } from '../db.ts';
import { OpenModelCall } from '../entities/open-model-call.ts';
import { fetchRow, fetchRows } from '../rows.ts';
import { sql } from '../sql.ts';

/**
 * Counts model calls whose relay process has died, as what was reserved for them: nothing else is known. Answers how many
 * there were, at most as many as the limit. `now` null: the database's time. One transaction settles one call, so that a relay
 * that settles another call never waits for all of them.
 */
export async function settleLeftCalls(em: EntityManager, { limit, now }: { limit: number; now: Date | null }): Promise<number> {
  const call = columns(OpenModelCall);
  const left = await fetchRows(
    em,
    { id: call.id },
    (fields) => sql`
      select ${fields} from open_model_calls where ${call.expiresAt} < coalesce(${now}::timestamptz, now())
       order by ${call.expiresAt}, ${call.id} limit ${limit}`,
  );
  let count = 0;
  for (const { id } of left) {
    const settled = await fetchRow(
      em,
      {
        isFirst: sql<boolean>`settle_model_call(${call.id}, ${call.inputTokens}, ${call.outputTokens}, 0, 0, 0, null, null, null, ${now}::timestamptz)`,
      },
      (fields) => sql`select ${fields} from open_model_calls where ${call.id} = ${id}`,
    );
    count += Number(settled?.isFirst ?? false);
  }
  return count;
}
