import type { EntityManager } from '@mikro-orm/postgresql';
import type { TokenPrice } from '../../domain/token-cost.ts';
import { query, sql } from '../sql.ts';

/** An advisory lock, a number with no other use: only one process at a time enters prices. */
const TOKEN_PRICES_LOCK = 724_310_381;

/**
 * Has the calls of these models that begin from `at` on cost this much, in the caller's transaction. A model that had prices and is
 * not among them costs nothing from then on. `at` null: the database's own time. Answers the models whose prices are others
 * now, none when all were entered before.
 */
export async function setTokenPrices(em: EntityManager, prices: readonly TokenPrice[], at: Date | null): Promise<string[]> {
  await query(em, sql`select pg_advisory_xact_lock(${TOKEN_PRICES_LOCK})`);
  const given = prices.map(({ model, input, output, cacheRead, cacheWrite }) => ({
    ...{ model, input: input.toString(), output: output.toString() },
    ...{ cache_read: cacheRead.toString(), cache_write: cacheWrite.toString() },
  }));
  const rows = await query<{ model: string }>(
    em,
    sql`with given as (
       select * from jsonb_to_recordset(${JSON.stringify(given)}::jsonb) as given (model text, input bigint, output bigint, cache_read bigint, cache_write bigint)
     ), last as (
       select distinct on (model) * from model_prices order by model, starts_at desc
     )
     insert into model_prices (model, starts_at, input_nano_usd, output_nano_usd, cache_read_nano_usd, cache_write_nano_usd)
     select model, greatest(date_trunc('milliseconds', coalesce(${at}::timestamptz, clock_timestamp())), last.starts_at + interval '1 millisecond'),
            coalesce(input, 0), coalesce(output, 0), coalesce(cache_read, 0), coalesce(cache_write, 0)
       from given full join last using (model)
      where (coalesce(input, 0), coalesce(output, 0), coalesce(cache_read, 0), coalesce(cache_write, 0)) is distinct from
            (coalesce(input_nano_usd, 0), coalesce(output_nano_usd, 0), coalesce(cache_read_nano_usd, 0), coalesce(cache_write_nano_usd, 0))
     returning model`,
  );
  return rows.map(({ model }) => model);
}
