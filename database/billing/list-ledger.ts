import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';

/** A ledger line as the customer sees it; the amount is what it adds to the balance. */
export interface LedgerEntry {
  entryId: string;
  atMs: number;
  kind: 'credit' | 'debit' | 'reversal' | 'writeoff';
  amountNanoUsd: string;
  instanceId: string | null;
  intervalId: string | null;
  fromMs: number | null;
  toMs: number | null;
  priceNanoUsdPerHour: string | null;
  /** Of a debit for model calls. */
  agentId: string | null;
  model: string | null;
  calls: number | null;
  reason: string | null;
}

/** The lines of an account, the latest first, behind this place. */
export async function listLedger(
  em: EntityManager,
  { accountId, after, limit }: { accountId: string; after: readonly [number, string] | undefined; limit: number },
): Promise<LedgerEntry[]> {
  const place = after ? sql`and (transfers.at, transfers.id) < (to_timestamp(${after[0]}::float8 / 1000), ${after[1]})` : sql``;
  return query<LedgerEntry>(
    em,
    sql`select transfers.id as "entryId", (extract(epoch from at) * 1000)::float8 as "atMs", kind,
            (case when to_book = 'customer' then amount_nano_usd else -amount_nano_usd end)::text as "amountNanoUsd",
            coalesce(runtime_intervals.instance_id, agents.instance_id) as "instanceId", interval_id as "intervalId",
            (extract(epoch from span_from) * 1000)::float8 as "fromMs", (extract(epoch from span_to) * 1000)::float8 as "toMs",
            price_nano_usd_per_hour::text as "priceNanoUsdPerHour",
            agent_id as "agentId", transfers.model, calls, reason
       from transfers left join runtime_intervals on runtime_intervals.id = interval_id left join agents on agents.id = agent_id
      where transfers.account_id = ${accountId} ${place}
      order by transfers.at desc, transfers.id desc limit ${limit}`,
  );
}
