import { defineEntity, p } from '@mikro-orm/postgresql';

const NodeSchema = defineEntity({
  name: 'Node',
  tableName: 'nodes',
  uniques: [{ name: 'nodes_name_unique', properties: ['name'] }],
  properties: {
    id: p.integer().primary().autoincrement(false),
    /** NODE_NAME of its workers. */
    name: p.text(),
    /** MAX_RUNNING of the worker that started last. */
    maxRunning: p.integer(),
    /** The kind of driver of the worker that started last; null: it was one of a version that did not say. */
    driver: p.text().strictNullable().default(null),
  },
});

/** A machine that runs gateways. */
export class Node extends NodeSchema.class {}
NodeSchema.setClass(Node);
