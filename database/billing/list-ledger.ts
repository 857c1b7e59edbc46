import type { EntityManager } from '@mikro-orm/postgresql';
import { columns, optionalColumns } from '../db.ts';
import { Agent } from '../entities/agent.ts';
import { RuntimeInterval } from '../entities/runtime-interval.ts';
import { Transfer } from '../entities/transfer.ts';
import { fetchRows } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { asText, epochMs, sql } from '../sql.ts';

const line = columns(Transfer, 'transfers');
const interval = optionalColumns(RuntimeInterval, 'runtime_intervals');
const agent = optionalColumns(Agent, 'agents');

const FIELDS = {
  entryId: line.id,
  atMs: epochMs(line.at),
  kind: line.kind,
  amountNanoUsd: asText(
    sql<bigint>`case when ${line.toBook} = 'customer' then ${line.amountNanoUsd} else -${line.amountNanoUsd} end`,
  ),
  instanceId: sql<string | null>`coalesce(${interval.instance}, ${agent.instance})`,
  intervalId: line.interval,
  fromMs: epochMs(line.spanFrom),
  toMs: epochMs(line.spanTo),
  priceNanoUsdPerHour: asText(line.priceNanoUsdPerHour),
  /** Of a debit for model calls. */
  agentId: line.agent,
  model: line.model,
  calls: line.calls,
  reason: line.reason,
};

/** A ledger line as the customer sees it; the amount is what it adds to the balance. */
export type LedgerEntry = RowOf<typeof FIELDS>;

/** The lines of an account, the latest first, behind this place. */
export function listLedger(
  em: EntityManager,
  { accountId, after, limit }: { accountId: string; after: readonly [number, string] | undefined; limit: number },
): Promise<LedgerEntry[]> {
  const place = after ? sql`and (${line.at}, ${line.id}) < (to_timestamp(${after[0]}::float8 / 1000), ${after[1]})` : sql``;
  return fetchRows(
    em,
    FIELDS,
    (fields) => sql`
      select ${fields}
        from transfers
        left join runtime_intervals on ${interval.id} = ${line.interval}
        left join agents on ${agent.id} = ${line.agent}
       where ${line.account} = ${accountId} ${place} order by ${line.at} desc, ${line.id} desc limit ${limit}`,
  );
}
