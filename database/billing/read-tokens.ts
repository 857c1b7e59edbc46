import type { EntityManager } from '@mikro-orm/postgresql';
import type { TokenHour, TokenPart, TokenRecord } from '../../domain/verify-tokens.ts';
import { query, sql } from '../sql.ts';

type HourRow = Omit<TokenHour, 'costNanoUsd' | 'debitedNanoUsd' | 'waitingNanoUsd'> & {
  accountId: string;
  cost: string;
  debited: string;
  waiting: string;
};
type PartRow = Omit<TokenPart, 'costNanoUsd'> & { accountId: string; cost: string };

/** A call that began within this time after new prices took effect may still have the earlier ones. */
const UNSEEN = sql`interval '1 minute'`;

/** What these accounts' model calls cost, recomputed, beside what was written down of it. `accountIds` is a JSON array. */
export async function readTokens(em: EntityManager, accountIds: string): Promise<Map<string, TokenRecord>> {
  const [hours, parts] = [await readHours(em, accountIds), await readParts(em, accountIds)];
  const ids = new Set([...hours, ...parts].map(({ accountId }) => accountId));
  const [hoursOf, partsOf] = [Map.groupBy(hours, ({ accountId }) => accountId), Map.groupBy(parts, ({ accountId }) => accountId)];
  return new Map([...ids].map((id) => [id, { hours: hoursOf.get(id) ?? [], parts: partsOf.get(id) ?? [] }]));
}

async function readHours(em: EntityManager, accountIds: string): Promise<(TokenHour & { accountId: string })[]> {
  const rows = await query<HourRow>(
    em,
    sql`with chosen as materialized (select jsonb_array_elements_text(${accountIds}::jsonb) as id), call as (
       select account_id, agent_id, call.model, date_bin('1 hour', at, 'epoch') as hour, cost_nano_usd as recorded, begun_at, priced_from,
              coalesce(div((input_tokens - cache_read_tokens - cache_write_tokens)::numeric * input_nano_usd + output_tokens::numeric * output_nano_usd
                           + cache_read_tokens::numeric * cache_read_nano_usd + cache_write_tokens::numeric * cache_write_nano_usd, 1000000), 0) as cost,
              priced_from > begun_at or exists (
                select from model_prices later where later.model = call.model and later.starts_at > coalesce(priced_from, '-infinity')
                   and later.starts_at <= begun_at - ${UNSEEN}) as is_outdated
         from model_calls call left join model_prices on model_prices.model = call.model and model_prices.starts_at = priced_from
        where account_id in (select id from chosen)
     ), spent as (
       select account_id, agent_id, model, hour, sum(cost) as cost, count(*) filter (where cost > 0) as calls,
              count(*) filter (where cost <> recorded or coalesce(is_outdated, false)) as wrong
         from call group by 1, 2, 3, 4
     ), line as (
       select account_id, agent_id, model, span_from as hour, sum(amount_nano_usd) as debited, sum(calls) as calls
         from transfers where kind = 'debit' and agent_id is not null and account_id in (select id from chosen) group by 1, 2, 3, 4
     ), charge as (
       select account_id, agent_id, model, hour, cost_nano_usd as waiting from token_charges where account_id in (select id from chosen)
     )
     select account_id as "accountId", agent_id as "agentId", model, (extract(epoch from hour) * 1000)::float8 as hour,
            coalesce(cost, 0)::text as cost, coalesce(spent.calls, 0)::float8 as calls, coalesce(wrong, 0)::float8 as "wrongCalls",
            coalesce(debited, 0)::text as debited, coalesce(line.calls, 0)::float8 as "debitedCalls", coalesce(waiting, 0)::text as waiting,
            coalesce(hour > (select at from model_calls order by id limit 1), false) or coalesce(spent.calls, 0) >= coalesce(line.calls, 0) as "isKept"
       from spent full join line using (account_id, agent_id, model, hour) full join charge using (account_id, agent_id, model, hour)
      where cost > 0 or wrong > 0 or debited > 0 or waiting > 0`,
  );
  return rows.map(({ cost, debited, waiting, ...row }) => ({
    ...row,
    costNanoUsd: BigInt(cost),
    debitedNanoUsd: BigInt(debited),
    waitingNanoUsd: BigInt(waiting),
  }));
}

async function readParts(em: EntityManager, accountIds: string): Promise<(TokenPart & { accountId: string })[]> {
  const rows = await query<PartRow>(
    em,
    sql`select credit.account_id as "accountId", agent_id as "agentId", model, (extract(epoch from credit.at) * 1000)::float8 as at,
            (extract(epoch from date_bin('1 hour', credit.at, 'epoch')) * 1000)::float8 as hour, sum(cost_nano_usd)::text as cost
       from (select distinct account_id, at from transfers
              where kind in ('credit', 'reversal') and account_id in (select jsonb_array_elements_text(${accountIds}::jsonb))) credit
       join model_calls call on call.account_id = credit.account_id and call.at >= date_bin('1 hour', credit.at, 'epoch') and call.at <= credit.at
      group by credit.account_id, credit.at, agent_id, model`,
  );
  return rows.map(({ cost, ...row }) => ({ ...row, costNanoUsd: BigInt(cost) }));
}
