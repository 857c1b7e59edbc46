import type { EntityManager } from '@mikro-orm/postgresql';
import type { TokenPrice } from '../../domain/money/token-cost.ts';
import { columns } from '../db.ts';
import { ModelPrice } from '../entities/model-price.ts';
import { fetchRows } from '../rows.ts';
import { run, sql } from '../sql.ts';

/** An advisory lock, a number with no other use: only one process at a time enters prices. */
const TOKEN_PRICES_LOCK = 724_310_381;

/**
 * Has the calls of these models that begin from `at` on cost this much, in the caller's transaction. A model that had prices and is
 * not among them costs nothing from then on. `at` null: the database's own time. Answers the models whose prices are others
 * now, none when all were entered before.
 */
export async function setTokenPrices(em: EntityManager, prices: readonly TokenPrice[], at: Date | null): Promise<string[]> {
  await run(em, sql`select pg_advisory_xact_lock(${TOKEN_PRICES_LOCK})`);
  const given = prices.map(({ model, input, output, cacheRead, cacheWrite }) => ({
    ...{ model, input: input.toString(), output: output.toString() },
    ...{ cache_read: cacheRead.toString(), cache_write: cacheWrite.toString() },
  }));
  const p = columns(ModelPrice);
  const wanted = sql`coalesce(input, 0), coalesce(output, 0), coalesce(cache_read, 0), coalesce(cache_write, 0)`;
  const known = sql.join(
    [p.inputNanoUsd, p.outputNanoUsd, p.cacheReadNanoUsd, p.cacheWriteNanoUsd].map((price) => sql`coalesce(${price}, 0)`),
  );
  const rows = await fetchRows(
    em,
    { model: p.model },
    (fields) => sql`
      with given as (
        select * from jsonb_to_recordset(${JSON.stringify(given)}::jsonb) as given (model text, input bigint, output bigint, cache_read bigint, cache_write bigint)
      ), last as (
        select distinct on (${p.model}) * from model_prices order by ${p.model}, ${p.startsAt} desc
      )
      insert into model_prices (${p.model}, ${p.startsAt}, ${p.inputNanoUsd}, ${p.outputNanoUsd}, ${p.cacheReadNanoUsd}, ${p.cacheWriteNanoUsd})
      select ${p.model}, greatest(date_trunc('milliseconds', coalesce(${at}::timestamptz, clock_timestamp())), ${columns(ModelPrice, 'last').startsAt} + interval '1 millisecond'),
             ${wanted}
        from given full join last using (${p.model})
       where (${wanted}) is distinct from (${known})
      returning ${fields}`,
  );
  return rows.map(({ model }) => model);
}
