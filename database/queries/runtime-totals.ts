import type { EntityManager } from '@mikro-orm/postgresql';
import { BILLED, msBetween, provenUntil } from './billing/meter-sql.ts';

export interface RuntimeTotals {
  /** All the time that it was ready, the open interval included. */
  totalRuntimeMs: number;
  /** What was debited and what has accrued. Never falls and is never over totalRuntimeMs. */
  billedMs: number;
  /** When its current or last interval began. */
  startedAt: Date | null;
}

interface TotalsRow extends Omit<RuntimeTotals, 'startedAt'> {
  instanceId: string;
  startedAtMs: number;
}

const NONE: RuntimeTotals = { totalRuntimeMs: 0, billedMs: 0, startedAt: null };

/**
 * How long these instances have run. An interval is billed up to the last proof that its gateway ran: a gateway that is
 * found dead later was dead since then at most, so what was shown stands.
 */
export async function findRuntimeTotals(
  em: EntityManager,
  instanceIds: readonly string[],
): Promise<(id: string) => RuntimeTotals> {
  if (instanceIds.length === 0) return () => NONE;
  const rows = await em.execute<TotalsRow[]>(
    `select instance_id as "instanceId", sum(greatest(ran, billed))::float8 as "totalRuntimeMs", sum(billed)::float8 as "billedMs",
            (extract(epoch from max(started_at)) * 1000)::float8 as "startedAtMs"
       from (select i.instance_id, i.started_at,
                    greatest(0, ${msBetween('i.started_at', `coalesce(i.ended_at, date_trunc('milliseconds', now()))`)}) as ran,
                    ${msBetween(
                      'i.started_at',
                      `case when i.settled then ${BILLED}
                                                      else date_trunc('milliseconds', greatest(${BILLED}, ${provenUntil('now()')})) end`,
                    )} as billed
               from runtime_intervals i
               join instances on instances.id = i.instance_id
               join watch_shards shard on shard.shard = instances.shard
              where i.instance_id in (select jsonb_array_elements_text(?::jsonb))) spans
      group by instance_id`,
    [JSON.stringify(instanceIds)],
  );
  const byId = new Map(
    rows.map(({ instanceId, startedAtMs, ...totals }) => [instanceId, { ...totals, startedAt: new Date(startedAtMs) }]),
  );
  return (id) => byId.get(id) ?? NONE;
}
