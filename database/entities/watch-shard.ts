import { defineEntity, p } from '@mikro-orm/postgresql';
import { counter, moment } from './columns.ts';
import { Node } from './node.ts';

const WatchShardSchema = defineEntity({
  name: 'WatchShard',
  tableName: 'watch_shards',
  indexes: [{ name: 'watch_shards_node_index', properties: ['node'] }],
  properties: {
    shard: p.smallint().primary().autoincrement(false),
    /** The worker process that holds it. */
    owner: p.text().strictNullable().default(null),
    epoch: counter().default(0),
    expiresAt: moment().strictNullable().default(null),
    /** When the last whole round of pings was sent. */
    aliveUntil: moment().strictNullable().default(null),
    /** The node whose gateways are in it; null: the first node that asks. */
    node: () =>
      p
        .manyToOne(Node)
        .mapToPk()
        .foreignKeyName('watch_shards_node_fk')
        .index(false)
        .strictNullable()
        .default(null)
        .deleteRule('no action')
        .updateRule('no action'),
  },
});

/** A lease on the watching of a sixteenth of the gateways of a node. */
export class WatchShard extends WatchShardSchema.class {}
WatchShardSchema.setClass(WatchShard);
