import type { EntityManager } from '@mikro-orm/postgresql';
import { LOST } from './meter-sql.ts';
import { noteRunning } from '../budgets/note-running.ts';
import { reckonExhaustion } from './reckon-exhaustion.ts';
import { columns } from '../db.ts';
import { Instance } from '../entities/instance.ts';
import { RuntimeInterval } from '../entities/runtime-interval.ts';
import { WatchShard } from '../entities/watch-shard.ts';
import { fetchRow } from '../rows.ts';
import { run, sql } from '../sql.ts';

const i = columns(RuntimeInterval, 'i');
const instance = columns(Instance, 'instances');
const shard = columns(WatchShard, 'shard');

const INSTANCE_AND_SHARD = sql`instances join watch_shards shard on ${shard.shard} = ${instance.shard}`;

interface NewInterval {
  id: string;
  instanceId: string;
  accountId: string;
  bootId: string;
  /** The present; by default the database's own. */
  now?: Date;
}

/**
 * Opens the running interval of an instance on the database's clock. It counts as lost from its start until its gateway
 * has first answered a ping. Locks the account, then what is spent of its budgets.
 */
export async function openInterval(em: EntityManager, { id, instanceId, accountId, bootId, now }: NewInterval): Promise<void> {
  const { startedAt, lostAt, ...c } = columns(RuntimeInterval);
  await run(
    em,
    sql`insert into runtime_intervals (${c.id}, ${c.instance}, ${c.account}, ${c.bootId}, ${startedAt}, ${lostAt})
        select ${id}, ${instanceId}, ${accountId}, ${bootId}, at, at from (select coalesce(${now ?? null}::timestamptz, now()) as at) given`,
  );
  await reckonExhaustion(em, [accountId], now ?? null);
  // After the lock on the account, which the creation of a budget takes too: the later of the two transactions sees the other's rows.
  await noteRunning(em, { accountId, instanceId, now: now ?? null });
}

/**
 * Closes the open interval of an instance, if it has one: now, or when its gateway is known to have ended. Never before
 * what is debited or proven, whatever a clock that went back or the last trace of a gateway says: that was shown as
 * billed. Locks the interval, the account, then what is spent of its budgets.
 */
export async function closeInterval(
  em: EntityManager,
  instanceId: string,
  endedAt: Date | null = null,
  now: Date | null = null,
): Promise<void> {
  const c = columns(RuntimeInterval);
  const proven = sql`least(${LOST}, ${shard.aliveUntil})`;
  const closed = await fetchRow(
    em,
    { accountId: i.account },
    (fields) => sql`
      update runtime_intervals i
         set ${c.endedAt} = greatest(${i.startedAt}, ${i.billedUntil}, ${proven}, least(present.at, death.at)),
             ${c.endProven} = death.at is not null
        from ${INSTANCE_AND_SHARD},
             (select coalesce(${now}::timestamptz, now()) as at) present, (select ${endedAt}::timestamptz as at) death
       where ${i.instance} = ${instanceId} and ${i.endedAt} is null and ${instance.id} = ${i.instance}
      returning ${fields}`,
  );
  if (!closed) return;
  await reckonExhaustion(em, [closed.accountId], now);
  await noteRunning(em, { accountId: closed.accountId, instanceId, now });
}

/**
 * The gateway process of an interval that has ended was met alive after its end, or is known to have ended at `diedAt`:
 * nothing else has to be waited for. What pings have proven stands. Locks the interval.
 */
export async function proveEnd(
  em: EntityManager,
  { instanceId, bootId, diedAt }: { instanceId: string; bootId: string; diedAt: Date | null },
): Promise<void> {
  const c = columns(RuntimeInterval);
  const proven = sql`least(${i.endedAt}, ${LOST}, coalesce(${shard.aliveUntil}, ${i.startedAt}))`;
  await run(
    em,
    sql`update runtime_intervals i
           set ${c.endedAt} = greatest(${i.startedAt}, ${i.billedUntil}, ${proven}, least(${i.endedAt}, ${diedAt}::timestamptz)),
               ${c.endProven} = true
          from ${INSTANCE_AND_SHARD}
         where ${i.instance} = ${instanceId} and ${i.bootId} = ${bootId} and ${i.endedAt} is not null and not ${i.settled}
           and ${instance.id} = ${i.instance}`,
  );
}
