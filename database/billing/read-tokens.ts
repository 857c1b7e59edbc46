import type { EntityManager } from '@mikro-orm/postgresql';
import type { TokenHour, TokenPart, TokenRecord } from '../../domain/money/verify-tokens.ts';
import { columns } from '../db.ts';
import type { Columns } from '../db.ts';
import { ModelCall } from '../entities/model-call.ts';
import { ModelPrice } from '../entities/model-price.ts';
import { TokenCharge } from '../entities/token-charge.ts';
import { Transfer } from '../entities/transfer.ts';
import { fetchRows } from '../rows.ts';
import { asNumber, asText, epochMs, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/** A call that began within this time after new prices took effect may still have the earlier ones. */
const UNSEEN = sql`interval '1 minute'`;

/** What these accounts' model calls cost, recomputed, beside what was written down of it. `accountIds` is a JSON array. */
export async function readTokens(em: EntityManager, accountIds: string): Promise<Map<string, TokenRecord>> {
  const [spans, parts] = [await readHours(em, accountIds), await readParts(em, accountIds)];
  const ids = new Set([...spans, ...parts].map(({ accountId }) => accountId));
  const [hoursOf, partsOf] = [Map.groupBy(spans, ({ accountId }) => accountId), Map.groupBy(parts, ({ accountId }) => accountId)];
  return new Map([...ids].map((id) => [id, { hours: hoursOf.get(id) ?? [], parts: partsOf.get(id) ?? [] }]));
}

const call = columns(ModelCall, 'call');
const c = columns(ModelCall);
const t = columns(Transfer);

/** What a call costs by the prices that it had. */
function costOf(price: Columns<typeof ModelPrice>): Sql {
  const fresh = sql`(${c.inputTokens} - ${c.cacheReadTokens} - ${c.cacheWriteTokens})::numeric`;
  return sql`coalesce(div(${fresh} * ${price.inputNanoUsd} + ${c.outputTokens}::numeric * ${price.outputNanoUsd}
    + ${c.cacheReadTokens}::numeric * ${price.cacheReadNanoUsd} + ${c.cacheWriteTokens}::numeric * ${price.cacheWriteNanoUsd}, 1000000), 0)`;
}

const hours = {
  accountId: c.account,
  agentId: c.agent,
  model: c.model,
  hour: epochMs(sql<Date>`hour`),
  cost: asText(sql<bigint>`coalesce(cost, 0)`),
  calls: asNumber(sql<bigint>`coalesce(spent.calls, 0)`),
  wrongCalls: asNumber(sql<bigint>`coalesce(wrong, 0)`),
  debited: asText(sql<bigint>`coalesce(debited, 0)`),
  debitedCalls: asNumber(sql<bigint>`coalesce(line.calls, 0)`),
  waiting: asText(sql<bigint>`coalesce(waiting, 0)`),
  isKept: sql<boolean>`coalesce(hour > (select ${c.at} from model_calls order by ${c.id} limit 1), false)
                       or coalesce(spent.calls, 0) >= coalesce(line.calls, 0)`,
};

async function readHours(em: EntityManager, accountIds: string): Promise<(TokenHour & { accountId: string })[]> {
  const price = columns(ModelPrice, 'model_prices');
  const later = columns(ModelPrice, 'later');
  const charge = columns(TokenCharge);
  const rows = await fetchRows(
    em,
    hours,
    (fields) => sql`
      with chosen as materialized (select jsonb_array_elements_text(${accountIds}::jsonb) as id), call as (
        select ${c.account}, ${c.agent}, ${call.model}, date_bin('1 hour', ${c.at}, 'epoch') as hour, ${c.costNanoUsd} as recorded,
               ${costOf(price)} as cost,
               ${c.pricedFrom} > ${c.begunAt} or exists (
                 select from model_prices later
                  where ${later.model} = ${call.model} and ${later.startsAt} > coalesce(${c.pricedFrom}, '-infinity')
                    and ${later.startsAt} <= ${c.begunAt} - ${UNSEEN}) as is_outdated
          from model_calls call left join model_prices on ${price.model} = ${call.model} and ${price.startsAt} = ${c.pricedFrom}
         where ${c.account} in (select id from chosen)
      ), spent as (
        select ${c.account}, ${c.agent}, ${c.model}, hour, sum(cost) as cost, count(*) filter (where cost > 0) as calls,
               count(*) filter (where cost <> recorded or coalesce(is_outdated, false)) as wrong
          from call group by 1, 2, 3, 4
      ), line as (
        select ${t.account}, ${t.agent}, ${t.model}, ${t.spanFrom} as hour, sum(${t.amountNanoUsd}) as debited, sum(${t.calls}) as calls
          from transfers where ${t.kind} = 'debit' and ${t.agent} is not null and ${t.account} in (select id from chosen) group by 1, 2, 3, 4
      ), charge as (
        select ${charge.account}, ${charge.agent}, ${charge.model}, ${charge.hour} as hour, ${charge.costNanoUsd} as waiting
          from token_charges where ${charge.account} in (select id from chosen)
      )
      select ${fields}
        from spent full join line using (${c.account}, ${c.agent}, ${c.model}, hour)
        full join charge using (${c.account}, ${c.agent}, ${c.model}, hour)
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
  const credit = columns(Transfer, 'credit');
  const hour = sql<Date>`date_bin('1 hour', ${credit.at}, 'epoch')`;
  const part = {
    accountId: credit.account,
    agentId: call.agent,
    model: call.model,
    at: epochMs(credit.at),
    hour: epochMs(hour),
    cost: asText(sql<bigint>`sum(${call.costNanoUsd})`),
  };
  const rows = await fetchRows(
    em,
    part,
    (fields) => sql`
      select ${fields}
        from (select distinct ${t.account}, ${t.at} from transfers
               where ${t.kind} in ('credit', 'reversal') and ${t.account} in (select jsonb_array_elements_text(${accountIds}::jsonb))) credit
        join model_calls call on ${call.account} = ${credit.account} and ${call.at} >= ${hour} and ${call.at} <= ${credit.at}
       group by ${credit.account}, ${credit.at}, ${call.agent}, ${call.model}`,
  );
  return rows.map(({ cost, ...row }) => ({ ...row, costNanoUsd: BigInt(cost) }));
}
