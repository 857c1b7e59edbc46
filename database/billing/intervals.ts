import type { EntityManager } from '@mikro-orm/postgresql';
import { LOST } from './meter-sql.ts';
import { noteRunning } from '../budgets/note-running.ts';
import { reckonExhaustion } from './reckon-exhaustion.ts';
import { query, run, sql } from '../sql.ts';

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
  await run(
    em,
    sql`insert into runtime_intervals (id, instance_id, account_id, boot_id, started_at, lost_at)
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
  const [closed] = await query<{ accountId: string }>(
    em,
    sql`update runtime_intervals i
        set ended_at = greatest(i.started_at, i.billed_until, least(${LOST}, shard.alive_until), least(present.at, death.at)),
            end_proven = death.at is not null
       from instances join watch_shards shard on shard.shard = instances.shard,
            (select coalesce(${now}::timestamptz, now()) as at) present, (select ${endedAt}::timestamptz as at) death
      where i.instance_id = ${instanceId} and i.ended_at is null and instances.id = i.instance_id
     returning i.account_id as "accountId"`,
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
  await run(
    em,
    sql`update runtime_intervals i
        set ended_at = greatest(i.started_at, i.billed_until, least(i.ended_at, ${LOST}, coalesce(shard.alive_until, i.started_at)),
                                least(i.ended_at, ${diedAt}::timestamptz)),
            end_proven = true
       from instances join watch_shards shard on shard.shard = instances.shard
      where i.instance_id = ${instanceId} and i.boot_id = ${bootId} and i.ended_at is not null and not i.settled and instances.id = i.instance_id`,
  );
}
