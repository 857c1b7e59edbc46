import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment } from './columns.ts';
import { Instance } from './instance.ts';
import { Node } from './node.ts';

const RuntimeSchema = defineEntity({
  name: 'Runtime',
  tableName: 'runtimes',
  uniques: [{ name: 'runtimes_instance_unique', properties: ['instance'] }],
  indexes: [
    { name: 'runtimes_node_index', properties: ['node'] },
    { name: 'runtimes_created_index', properties: ['createdAt', 'id'] },
    {
      name: 'runtimes_claimed_index',
      expression: 'create index "runtimes_claimed_index" on "runtimes" ("claimed_at") where claimed_at is not null',
    },
  ],
  properties: {
    /** Names its directory, container and tokens. */
    id: p.text().primary(),
    /** Whose gateway and storage it is; null: no instance's. */
    instance: () =>
      p
        .oneToOne(Instance)
        .mapToPk()
        .foreignKeyName('runtimes_instance_fk')
        .owner()
        .unique(false)
        .strictNullable()
        .default(null)
        .deleteRule('cascade')
        .updateRule('no action'),
    /** The node that has them; null: it is on none yet. */
    node: () =>
      p
        .manyToOne(Node)
        .mapToPk()
        .foreignKeyName('runtimes_node_fk')
        .index(false)
        .strictNullable()
        .default(null)
        .deleteRule('no action')
        .updateRule('no action'),
    /** The kind of driver that started its last gateway; null: it was never started, or by a version that did not say. */
    driver: p.text().strictNullable().default(null),
    /** What its last gateway was made of: the version of OpenClaw, or the image of containers. Null as above. */
    pin: p.text().strictNullable().default(null),
    /** Of runtimes that were made by a version that did not say: when this column came. */
    createdAt: moment().defaultRaw('now()'),
    /** The instance that has moved away from it, or whose state is being copied to it; null: none. */
    leftBy: p.text().strictNullable().default(null),
    /** When an instance took it from the pool; null: it never was there, or still is. */
    claimedAt: moment().strictNullable().default(null),
  },
});

/** A gateway with its storage, and where it is. Its instance's row says what is wanted of it, and how it stands. */
export class Runtime extends RuntimeSchema.class {}
RuntimeSchema.setClass(Runtime);
