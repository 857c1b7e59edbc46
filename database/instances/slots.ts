import type { EntityManager } from '@mikro-orm/postgresql';
import { expressionBuilder } from 'kysely';
import { hasWorker } from '../nodes/has-worker.ts';
import { capacity, placeRuntime } from '../nodes/place-runtime.ts';
import { wakeInstance } from './sleep/wake-instance.ts';
import { db } from '../db.ts';
import type { Db } from '../db.ts';
import { lockUntilCommit, sql } from '../sql.ts';
import { changeLifecycle } from './lifecycle/change-lifecycle.ts';

/** Any number that nothing else locks. Taken after the instance's own row. */
const SLOTS_LOCK = 724_310_378;

/**
 * The instances that wait for a slot, and this one, each with its turn: how many of its account would run with it. Those
 * with the lowest turn come first, then those that have waited longest, so that an account which starts many leaves room
 * for the others. An instance that asks is taken to have begun to wait just now, unless it waits already. Each waits for its
 * node, or for any of them when it is on none. Beside it the `capacity` of the nodes.
 */
function queueWith(em: EntityManager, asking: string | null) {
  return db(em)
    .with('running', (running) =>
      running
        .selectFrom('Instance')
        .select(({ fn }) => ['account as accountId', fn.countAll<number>().as('count')])
        .where('hasSlot', '=', true)
        .groupBy('account'),
    )
    .with('waiting', (waiting) =>
      waiting
        .selectFrom('Instance as i')
        .innerJoin('Runtime as r', 'r.id', 'i.runtimeId')
        .select(['i.id', 'i.account as accountId', 'r.node as nodeId'])
        .select((eb) => sql<Date>`coalesce(${eb.ref('i.queuedAt')}, 'infinity')`.as('since'))
        .where('i.hasSlot', '=', false)
        .where((eb) => eb.or([eb('i.queuedAt', 'is not', null), eb('i.id', '=', asking)])),
    )
    .with('queue', (queue) =>
      queue
        .selectFrom('waiting')
        .leftJoin('running', 'running.accountId', 'waiting.accountId')
        .select(['waiting.id', 'waiting.nodeId', 'waiting.since'])
        .select(({ fn, ref }) => {
          const place = fn
            .agg<number>('row_number')
            .over((over) => over.partitionBy('waiting.accountId').orderBy('waiting.since').orderBy('waiting.id'));
          return sql<number>`coalesce(${ref('running.count')}, 0) + ${place}`.as('turn');
        }),
    )
    .with('capacity', capacity);
}

/** Slots of instances that are on no node: of the version before, until a worker has found their storage. */
const TAKEN_ON_NONE = expressionBuilder<Db>()
  .selectFrom('Instance as i')
  .innerJoin('Runtime as r', 'r.id', 'i.runtimeId')
  .select(({ fn }) => fn.countAll<number>().as('count'))
  .where('i.hasSlot', '=', true)
  .where('r.node', 'is', null);

/**
 * Takes one of the slots of its node for an instance that is to be started and whose row this transaction holds; one that is
 * on no node is placed on one first. False when none is left for it: it is then marked as waiting.
 */
export async function takeSlot(em: EntityManager, { instanceId, nodeId, maxRunning, now }: TakeOptions): Promise<boolean> {
  await lockUntilCommit(em, SLOTS_LOCK);
  const isTaken =
    (nodeId === null || (await placeRuntime(em, { instanceId, nodeId }))) && (await takeIts(em, instanceId, maxRunning));
  await changeLifecycle(em, { instanceId, happening: { kind: isTaken ? 'slot-taken' : 'queued' }, now });
  return isTaken;
}

async function takeIts(em: EntityManager, instanceId: string, maxRunning: number): Promise<boolean> {
  const { numUpdatedRows } = await queueWith(em, instanceId)
    .updateTable('Instance')
    .set({ hasSlot: true })
    .from('Runtime as r')
    .leftJoin('capacity', 'capacity.nodeId', 'r.node')
    .where('Instance.id', '=', instanceId)
    .whereRef('r.id', '=', 'Instance.runtimeId')
    .where((eb) => {
      const before = eb
        .selectFrom('queue')
        .innerJoin('queue as own', (own) => own.onRef('own.id', '=', 'Instance.id'))
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .where((of) => of.or([of('queue.nodeId', 'is', null), of('queue.nodeId', '=', of.ref('own.nodeId'))]))
        .where((of) =>
          of(of.refTuple('queue.turn', 'queue.since', 'queue.id'), '<', of.refTuple('own.turn', 'own.since', 'own.id')),
        );
      const taken = sql<number>`coalesce(${eb.ref('capacity.taken')}, ${TAKEN_ON_NONE})`;
      const most = sql<number>`coalesce(${eb.ref('capacity.most')}, ${maxRunning})`;
      return eb.or([eb('Instance.hasSlot', '=', true), sql<boolean>`${taken} + ${before} < ${most}`]);
    })
    .executeTakeFirst();
  return numUpdatedRows > 0;
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
  await db(em).updateTable('Instance').set({ hasSlot: false, queuedAt: null }).where('id', '=', instanceId).execute();
  await wakeQueued(em, maxRunning);
}

/** Wakes as many of the waiting instances as there are free slots on their nodes, those whose turn it is first. */
export async function wakeQueued(em: EntityManager, maxRunning: number): Promise<number> {
  await lockUntilCommit(em, SLOTS_LOCK);
  const next = await queueWith(em, null)
    .with('room', (room) =>
      room
        .selectFrom('capacity')
        .select((eb) => [
          eb.ref('capacity.nodeId').$castTo<number | null>().as('nodeId'),
          eb('capacity.most', '-', eb.ref('capacity.taken')).as('free'),
        ])
        .unionAll((all) =>
          all
            .selectFrom('capacity')
            .select(({ ref }) => {
              const free = sql`sum(greatest(0, ${ref('capacity.most')} - ${ref('capacity.taken')}))`;
              return [
                sql<number | null>`null::int`.as('nodeId'),
                sql<number>`case when count(*) = 0 then ${maxRunning}::int - ${TAKEN_ON_NONE} else ${free} end`.as('free'),
              ];
            })
            .where(({ ref }) => hasWorker(ref('capacity.nodeId'))),
        ),
    )
    .with('placed', (placed) =>
      placed
        .selectFrom('queue')
        .select(['queue.id', 'queue.nodeId', 'queue.turn', 'queue.since'])
        .select(({ fn }) =>
          fn
            .agg<number>('row_number')
            .over((over) => over.partitionBy('queue.nodeId').orderBy('queue.turn').orderBy('queue.since').orderBy('queue.id'))
            .as('place'),
        ),
    )
    .selectFrom('placed')
    .innerJoin('room', (room) => room.onRef('room.nodeId', 'is not distinct from', 'placed.nodeId'))
    .select('placed.id')
    .whereRef('placed.place', '<=', 'room.free')
    .orderBy('placed.turn')
    .orderBy('placed.since')
    .orderBy('placed.id')
    .execute();
  for (const { id } of next) await wakeInstance(em, id);
  return next.length;
}
