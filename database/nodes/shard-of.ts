import { sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/** For an update of `instances`: a watch shard of this node, the present one if it is of this node. */
export const shardOf = (nodeId: number): Sql => sql`
  (select watch_shards.shard from watch_shards where node_id = ${nodeId}
    order by watch_shards.shard <> instances.shard, random() limit 1)`;
