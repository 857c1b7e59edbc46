import { defineEntity, p } from '@mikro-orm/postgresql';
import { counter, moment } from './columns.ts';

const WatchShardSchema = defineEntity({
  name: 'WatchShard',
  tableName: 'watch_shards',
  properties: {
    shard: p.smallint().primary().autoincrement(false),
    /** The worker process that holds it. */
    owner: p.text().strictNullable().default(null),
    epoch: counter().default(0),
    expiresAt: moment().strictNullable().default(null),
    /** When the last whole round of pings was sent. */
    aliveUntil: moment().strictNullable().default(null),
  },
});

/** A lease on the watching of a sixteenth of all gateways. */
export class WatchShard extends WatchShardSchema.class {}
WatchShardSchema.setClass(WatchShard);
