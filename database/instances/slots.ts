import type { EntityManager } from '@mikro-orm/postgresql';
import { wakeInstance } from './wake-instance.ts';
import { query, run, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';
import { changeLifecycle } from './change-lifecycle.ts';

/** Any number that nothing else locks. Taken after the instance's own row. */
const SLOTS_LOCK = 724_310_378;

/**
 * The instances that wait for a slot, and this one, each with its turn: how many of its account would run with it. Those
 * with the lowest turn come first, then those that have waited longest, so that an account which starts many leaves room
 * for the others. An instance that asks is taken to have begun to wait just now, unless it waits already.
 */
const queueWith = (asking: string | null): Sql => sql`
  with running as (select account_id, count(*) as count from instances where has_slot group by account_id),
  waiting as (
    select id, account_id, coalesce(queued_at, 'infinity') as since from instances
     where not has_slot and (queued_at is not null or id = ${asking})
  ),
  queue as (
    select id, since, coalesce(running.count, 0) + row_number() over (partition by account_id order by since, id) as turn
      from waiting left join running using (account_id)
  )`;

/**
 * Takes one of the machine's slots for an instance that is to be started and whose row this transaction holds. False
 * when none is left for it: it is then marked as waiting.
 */
export async function takeSlot(em: EntityManager, { instanceId, maxRunning, now }: TakeOptions): Promise<boolean> {
  await query(em, sql`select pg_advisory_xact_lock(${SLOTS_LOCK})`);
  const [taken] = await query<{ id: string }>(
    em,
    sql`${queueWith(instanceId)}
     update instances set has_slot = true
      where id = ${instanceId} and (has_slot or (select count(*) from instances where has_slot)
        + (select count(*) from queue join queue own on own.id = instances.id
            where (queue.turn, queue.since, queue.id) < (own.turn, own.since, own.id)) < ${maxRunning})
     returning id`,
  );
  await changeLifecycle(em, { instanceId, happening: { kind: taken ? 'slot-taken' : 'queued' }, now });
  return taken !== undefined;
}

interface TakeOptions {
  instanceId: string;
  maxRunning: number;
  now: Date;
}

/** Gives the slot of this instance back, if it has one, and wakes those whose turn it is. */
export async function freeSlot(em: EntityManager, instanceId: string, maxRunning: number): Promise<void> {
  await run(em, sql`update instances set has_slot = false, queued_at = null where id = ${instanceId}`);
  await wakeQueued(em, maxRunning);
}

/** Wakes as many of the waiting instances as there are free slots, those whose turn it is first. */
export async function wakeQueued(em: EntityManager, maxRunning: number): Promise<number> {
  await query(em, sql`select pg_advisory_xact_lock(${SLOTS_LOCK})`);
  const next = await query<{ id: string }>(
    em,
    sql`${queueWith(null)} select id from queue order by turn, since, id
       limit greatest(0, ${maxRunning}::int - (select count(*)::int from instances where has_slot))`,
  );
  for (const { id } of next) await wakeInstance(em, id);
  return next.length;
}
