import type { EntityManager } from '@mikro-orm/postgresql';
import { SHARDS } from '../../domain/temporal/shards.ts';
import { db } from '../db.ts';
import { lockUntilCommit, sql } from '../sql.ts';

/** Any number that nothing else locks. */
const NODES_LOCK = 724_310_379;

interface NodeFacts {
  name: string;
  /** How many gateways may run there at once. */
  maxRunning: number;
  /** The kind of its driver. */
  driver: string;
}

/**
 * Enters the node of a worker, or what has changed of it, and answers its id. It gets its own watch shards: those that no
 * node has, which are all of an installation that had no nodes, or new ones. In the caller's transaction.
 */
export async function enterNode(em: EntityManager, { name, maxRunning, driver }: NodeFacts): Promise<number> {
  await lockUntilCommit(em, NODES_LOCK);
  const { id } = await db(em)
    .insertInto('Node')
    .columns(['id', 'name', 'maxRunning', 'driver'])
    .expression((eb) =>
      eb
        .selectFrom('Node')
        .select(({ fn }) => [
          sql<number>`coalesce(${fn.max('id')}, 0) + 1`.as('id'),
          eb.val(name).as('name'),
          sql<number>`${maxRunning}::int`.as('maxRunning'),
          sql<string>`${driver}::text`.as('driver'),
        ]),
    )
    .onConflict((conflict) =>
      conflict
        .column('name')
        .doUpdateSet((eb) => ({ maxRunning: eb.ref('excluded.maxRunning'), driver: eb.ref('excluded.driver') })),
    )
    .returning('id')
    .executeTakeFirstOrThrow();
  const shard = await db(em).selectFrom('WatchShard').select('shard').where('node', '=', id).limit(1).executeTakeFirst();
  if (shard) return id;
  const { numUpdatedRows } = await db(em)
    .updateTable('WatchShard')
    .set({ node: id })
    .where('node', 'is', null)
    .executeTakeFirst();
  if (numUpdatedRows > 0) return id;
  await db(em)
    .insertInto('WatchShard')
    .columns(['shard', 'node'])
    .expression((eb) =>
      eb
        .selectFrom([
          eb
            .selectFrom('WatchShard')
            .select(({ fn }) => sql<number>`${fn.max('shard')} + 1`.as('next'))
            .as('shards'),
          sql<{ n: number }>`generate_series(0, ${SHARDS - 1}::int)`.as<'series'>(sql`series (n)`),
        ])
        .select([sql<number>`next + n`.as('shard'), sql<number>`${id}::int`.as('node')]),
    )
    .execute();
  return id;
}
