import type { EntityManager } from '@mikro-orm/postgresql';
import { SHARDS } from '../../domain/shards.ts';
import { query, run, sql } from '../sql.ts';

/** Any number that nothing else locks. */
const NODES_LOCK = 724_310_379;

interface NodeFacts {
  name: string;
  /** How many gateways may run there at once. */
  maxRunning: number;
}

/**
 * Enters the node of a worker, or what has changed of it, and answers its id. It gets its own watch shards: those that no
 * node has, which are all of an installation that had no nodes, or new ones. In the caller's transaction.
 */
export async function enterNode(em: EntityManager, { name, maxRunning }: NodeFacts): Promise<number> {
  await query(em, sql`select pg_advisory_xact_lock(${NODES_LOCK})`);
  const [node] = await query<{ id: number }>(
    em,
    sql`insert into nodes (id, name, max_running) select coalesce(max(id), 0) + 1, ${name}, ${maxRunning} from nodes
     on conflict (name) do update set max_running = excluded.max_running returning id`,
  );
  if (!node) throw new Error('the database entered no node');
  const { id } = node;
  const [shard] = await query(em, sql`select from watch_shards where node_id = ${id} limit 1`);
  if (shard) return id;
  if ((await run(em, sql`update watch_shards set node_id = ${id} where node_id is null`)) > 0) return id;
  await run(
    em,
    sql`insert into watch_shards (shard, node_id)
     select next + n, ${id} from (select max(shard) + 1 as next from watch_shards) shards, generate_series(0, ${SHARDS - 1}::int) n`,
  );
  return id;
}
