import type { EntityManager } from '@mikro-orm/postgresql';
import { expressionBuilder } from 'kysely';
import type { Expression, RawBuilder } from 'kysely';
import { db } from '../db.ts';
import type { Db } from '../db.ts';
import { asNumber, isThere, sql } from '../sql.ts';
import { changeLifecycle } from '../instances/lifecycle/change-lifecycle.ts';

/** A runtime whose id no row of `instances` has. */
export interface FoundUnowned {
  runtimeId: string;
  /** Null: it is as it was found. */
  quarantinedAt: Date | null;
}

interface FoundOnNode {
  /** The node that was swept; null: a sweep of the version before. */
  nodeId: number | null;
  found: readonly FoundUnowned[];
  now: Date;
}

/** Makes the list of unowned runtimes of a node what a sweep has found there; what was asked about each of them stays. */
export async function noteUnowned(em: EntityManager, { nodeId, found, now }: FoundOnNode): Promise<void> {
  const rows = found.map(({ runtimeId, quarantinedAt }) => ({ runtime_id: runtimeId, quarantined_at: quarantinedAt }));
  const listed = sql<FoundRow>`jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)`;
  await db(em)
    .with('found', (query) =>
      query
        .selectFrom(listed.as<'f'>(sql`f (runtime_id text, quarantined_at timestamptz)`))
        .select(['f.runtime_id', 'f.quarantined_at'])
        .where(({ ref, not }) => not(isOwned(ref('f.runtime_id')))),
    )
    .with('forgotten', (query) =>
      query
        .deleteFrom('UnownedRuntime')
        .where((eb) => eb.or([eb('node', 'is', null), eb('node', '=', nodeId)]))
        .where('runtimeId', 'not in', (eb) => eb.selectFrom('found').select('found.runtime_id')),
    )
    .insertInto('UnownedRuntime')
    .columns(['runtimeId', 'foundAt', 'quarantinedAt', 'node'])
    .expression((eb) =>
      eb
        .selectFrom('found')
        .select([
          'found.runtime_id',
          sql<Date>`${now}::timestamptz`.as('foundAt'),
          'found.quarantined_at',
          sql<number | null>`${nodeId}::int`.as('node'),
        ]),
    )
    .onConflict((conflict) =>
      conflict
        .column('runtimeId')
        .doUpdateSet((eb) => ({ quarantinedAt: eb.ref('excluded.quarantinedAt'), node: eb.ref('excluded.node') })),
    )
    .execute();
}

interface FoundRow {
  runtime_id: string;
  quarantined_at: Date | null;
}

/** An instance, also a deleted one, has this runtime. */
function isOwned(runtimeId: Expression<string>): RawBuilder<boolean> {
  return isThere(expressionBuilder<Db>().selectFrom('Instance as owner').where('owner.runtimeId', '=', runtimeId));
}

/** Asks for the deletion of what was quarantined before this moment and still has no instance. */
export async function askToDeleteOld(em: EntityManager, { before, now }: { before: Date; now: Date }): Promise<void> {
  await db(em)
    .updateTable('UnownedRuntime')
    .set({ deleteAskedAt: now })
    .where('quarantinedAt', '<', before)
    .where('deleteAskedAt', 'is', null)
    .where(({ not, ref }) => not(isOwned(ref('UnownedRuntime.runtimeId'))))
    .execute();
}

/** Asks for the deletion of one, in the caller's transaction. False when it is not in the list. */
export async function askToDelete(em: EntityManager, runtimeId: string, now: Date): Promise<boolean> {
  const { numUpdatedRows } = await db(em)
    .updateTable('UnownedRuntime')
    .set((eb) => ({ deleteAskedAt: eb.fn.coalesce('deleteAskedAt', eb.val(now)) }))
    .where('runtimeId', '=', runtimeId)
    .executeTakeFirst();
  return numUpdatedRows > 0;
}

/** The runtimes of this node whose deletion was asked for and that no instance owns. */
export async function findAskedToDelete(em: EntityManager, nodeId: number | null): Promise<string[]> {
  const rows = await db(em)
    .selectFrom('UnownedRuntime')
    .select('runtimeId')
    .where('deleteAskedAt', 'is not', null)
    .where((eb) => eb.or([eb('node', 'is', null), eb('node', '=', nodeId)]))
    .where(({ not, ref }) => not(isOwned(ref('UnownedRuntime.runtimeId'))))
    .execute();
  return rows.map(({ runtimeId }) => runtimeId);
}

/** How many unowned runtimes are quarantined, and how many were left as they are. */
export async function countUnowned(em: EntityManager): Promise<{ quarantined: number; left: number }> {
  return db(em)
    .selectFrom('UnownedRuntime')
    .select(({ fn }) => [
      asNumber(fn.countAll().filterWhere('quarantinedAt', 'is not', null)).as('quarantined'),
      asNumber(fn.countAll().filterWhere('quarantinedAt', 'is', null)).as('left'),
    ])
    .executeTakeFirstOrThrow();
}

/**
 * Raises the epoch of a deleted instance above the fence of its runtime, in the caller's transaction, and answers it; null when no deleted instance
 * has this runtime or has left it. It is the proof that the storage may go.
 */
export async function raiseTombstone(
  em: EntityManager,
  { runtimeId, fence }: { runtimeId: string; fence: number },
): Promise<number | null> {
  const tombstone = await db(em)
    .selectFrom('Instance')
    .select('id')
    .where((eb) => {
      const left = eb.selectFrom('Runtime').select('leftBy').where('id', '=', runtimeId).where('instance', 'is', null);
      return eb.or([eb('runtimeId', '=', runtimeId), eb('id', '=', left)]);
    })
    .where('deletedAt', 'is not', null)
    .executeTakeFirst();
  if (!tombstone) return null;
  const happening = { kind: 'tombstone-raised', fence } as const;
  const raised = await changeLifecycle(em, { instanceId: tombstone.id, happening });
  return raised?.after.epoch ?? null;
}

/** Takes a runtime out of the list, in the transaction that makes its instance, which is then on the node that has it. */
export async function takeUnowned(em: EntityManager, runtimeId: string): Promise<'taken' | 'unknown' | 'deleting'> {
  const row = await db(em)
    .selectFrom('UnownedRuntime')
    .select(['deleteAskedAt', 'node'])
    .where('runtimeId', '=', runtimeId)
    .where(({ not, ref }) => not(isOwned(ref('UnownedRuntime.runtimeId'))))
    .forUpdate()
    .executeTakeFirst();
  if (!row) return 'unknown';
  if (row.deleteAskedAt !== null) return 'deleting';
  await db(em).deleteFrom('UnownedRuntime').where('runtimeId', '=', runtimeId).execute();
  const runtime = { id: runtimeId, node: row.node };
  await db(em)
    .insertInto('Runtime')
    .values(runtime)
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute();
  return 'taken';
}
