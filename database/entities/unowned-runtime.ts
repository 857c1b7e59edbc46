import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment } from './columns.ts';
import { Node } from './node.ts';

const UnownedRuntimeSchema = defineEntity({
  name: 'UnownedRuntime',
  tableName: 'unowned_runtimes',
  indexes: [{ name: 'unowned_runtimes_node_index', properties: ['node'] }],
  properties: {
    runtimeId: p.text().primary(),
    foundAt: moment(),
    /** Null: a sweep found too many at once and left it as it is. */
    quarantinedAt: moment().strictNullable(),
    /** An operator, or its age, has decided that it is deleted. */
    deleteAskedAt: moment().strictNullable().default(null),
    /** The node that has it. */
    node: () =>
      p
        .manyToOne(Node)
        .mapToPk()
        .foreignKeyName('unowned_runtimes_node_fk')
        .index(false)
        .strictNullable()
        .default(null)
        .deleteRule('no action')
        .updateRule('no action'),
  },
});

/** A gateway or storage that no instance owns, as the last sweep found it. */
export class UnownedRuntime extends UnownedRuntimeSchema.class {}
UnownedRuntimeSchema.setClass(UnownedRuntime);
