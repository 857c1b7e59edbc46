import type { EntityManager } from '@mikro-orm/postgresql';
import { hasWorker } from '../nodes/has-worker.ts';
import { CAPACITY, placeRuntime } from '../nodes/place-runtime.ts';
import { wakeInstance } from './wake-instance.ts';
import { query, run, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';
import { changeLifecycle } from './change-lifecycle.ts';

/** Any number that nothing else locks. Taken after the instance's own row. */
const SLOTS_LOCK = 724_310_378;

/**
 * The instances that wait for a slot, and this one, each with its turn: how many of its account would run with it. Those
 * with the lowest turn come first, then those that have waited longest, so that an account which starts many leaves room
 * for the others. An instance that asks is taken to have begun to wait just now, unless it waits already. Each waits for its
 * node, or for any of them when it is on none.
 */
const queueWith = (asking: string | null): Sql => sql`
  with running as (select account_id, count(*) as count from instances where has_slot group by account_id),
  waiting as (
    select instances.id, account_id, node_id, coalesce(queued_at, 'infinity') as since from instances join runtimes on runtimes.id = runtime_id
     where not has_slot and (queued_at is not null or instances.id = ${asking})
  ),
  queue as (
    select id, node_id, since, coalesce(running.count, 0) + row_number() over (partition by account_id order by since, id) as turn
      from waiting left join running using (account_id)
  )`;

/** Slots of instances that are on no node: of the version before, until a worker has found their storage. */
const TAKEN_ON_NONE = sql`select count(*) from instances join runtimes on runtimes.id = runtime_id where has_slot and node_id is null`;

/**
 * Takes one of the slots of its node for an instance that is to be started and whose row this transaction holds; one that is
 * on no node is placed on one first. False when none is left for it: it is then marked as waiting.
 */
export async function takeSlot(em: EntityManager, { instanceId, nodeId, maxRunning, now }: TakeOptions): Promise<boolean> {
  await query(em, sql`select pg_advisory_xact_lock(${SLOTS_LOCK})`);
  const isTaken =
    (nodeId === null || (await placeRuntime(em, { instanceId, nodeId }))) && (await takeIts(em, instanceId, maxRunning));
  await changeLifecycle(em, { instanceId, happening: { kind: isTaken ? 'slot-taken' : 'queued' }, now });
  return isTaken;
}

async function takeIts(em: EntityManager, instanceId: string, maxRunning: number): Promise<boolean> {
  const taken = await run(
    em,
    sql`${queueWith(instanceId)}, ${CAPACITY}
     update instances set has_slot = true
       from runtimes left join capacity on capacity.node_id = runtimes.node_id
      where instances.id = ${instanceId} and runtimes.id = instances.runtime_id
        and (has_slot or coalesce(capacity.taken, (${TAKEN_ON_NONE}))
          + (select count(*) from queue join queue own on own.id = instances.id
              where (queue.node_id is null or queue.node_id = own.node_id)
                and (queue.turn, queue.since, queue.id) < (own.turn, own.since, own.id)) < coalesce(capacity.max_running, ${maxRunning}))`,
  );
  return taken > 0;
}

interface TakeOptions {
  instanceId: string;
  /** The node of this worker; null: instances are on none. */
  nodeId: number | null;
  /** Of instances that are on no node. */
  maxRunning: number;
  now: Date;
}

/** Gives the slot of this instance back, if it has one, and wakes those whose turn it is. */
export async function freeSlot(em: EntityManager, instanceId: string, maxRunning: number): Promise<void> {
  await run(em, sql`update instances set has_slot = false, queued_at = null where id = ${instanceId}`);
  await wakeQueued(em, maxRunning);
}

/** Wakes as many of the waiting instances as there are free slots on their nodes, those whose turn it is first. */
export async function wakeQueued(em: EntityManager, maxRunning: number): Promise<number> {
  await query(em, sql`select pg_advisory_xact_lock(${SLOTS_LOCK})`);
  const next = await query<{ id: string }>(
    em,
    sql`${queueWith(null)}, ${CAPACITY}, room as (
       select node_id, max_running - taken as room from capacity
       union all
       select null, case when count(*) = 0 then ${maxRunning}::int - (${TAKEN_ON_NONE}) else sum(greatest(0, max_running - taken)) end
         from capacity where ${hasWorker(sql`capacity.node_id`)}
     ), placed as (
       select id, node_id, turn, since, row_number() over (partition by node_id order by turn, since, id) as place from queue
     )
     select placed.id from placed join room on room.node_id is not distinct from placed.node_id
      where place <= room order by turn, since, placed.id`,
  );
  for (const { id } of next) await wakeInstance(em, id);
  return next.length;
}
