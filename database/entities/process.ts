import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment } from './columns.ts';
import { Node } from './node.ts';

const ProcessSchema = defineEntity({
  name: 'Process',
  tableName: 'processes',
  indexes: [{ name: 'processes_node_index', properties: ['node'] }],
  properties: {
    id: p.text().primary(),
    kind: p.text().$type<'api' | 'worker'>(),
    startedAt: moment(),
    /** Renewed every 3 s; after 10 s others take over what it owns. */
    seenAt: moment(),
    /** Of a worker: the base URL of its server of logs and files. */
    address: p.text().strictNullable().default(null),
    /** Of a worker: the node whose gateways it runs. Null: it is of the version before. */
    node: () =>
      p
        .manyToOne(Node)
        .mapToPk()
        .foreignKeyName('processes_node_fk')
        .index(false)
        .strictNullable()
        .default(null)
        .deleteRule('no action')
        .updateRule('no action'),
  },
});

/** A process that owns turns or shards for as long as it is seen. */
export class Process extends ProcessSchema.class {}
ProcessSchema.setClass(Process);
