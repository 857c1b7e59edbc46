import { defineEntity, p } from '@mikro-orm/postgresql';
import { Instance } from './instance.ts';
import { Node } from './node.ts';

const RuntimeSchema = defineEntity({
  name: 'Runtime',
  tableName: 'runtimes',
  uniques: [{ name: 'runtimes_instance_unique', properties: ['instance'] }],
  indexes: [{ name: 'runtimes_node_index', properties: ['node'] }],
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
  },
});

/** A gateway with its storage, and where it is. Its instance's row says what is wanted of it, and how it stands. */
export class Runtime extends RuntimeSchema.class {}
RuntimeSchema.setClass(Runtime);
