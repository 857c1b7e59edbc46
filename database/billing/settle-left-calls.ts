import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';

/**
 * Counts model calls whose relay process has died, as what was reserved for them: nothing else is known. Answers how many
 * there were, at most as many as the limit. `now` null: the database's time. One transaction settles one call, so that a relay
 * that settles another call never waits for all of them.
 */
export async function settleLeftCalls(em: EntityManager, { limit, now }: { limit: number; now: Date | null }): Promise<number> {
  const left = await query<{ id: string }>(
    em,
    sql`select id::text from open_model_calls where expires_at < coalesce(${now}::timestamptz, now()) order by expires_at, id limit ${limit}`,
  );
  let count = 0;
  for (const { id } of left) {
    const [settled] = await query<{ isFirst: boolean }>(
      em,
      sql`select settle_model_call(id, input_tokens, output_tokens, 0, 0, 0, null, null, null, ${now}::timestamptz) as "isFirst"
         from open_model_calls where id = ${id}::bigint`,
    );
    count += Number(settled?.isFirst ?? false);
  }
  return count;
}
