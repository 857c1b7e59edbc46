import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment } from './columns.ts';

const ProcessSchema = defineEntity({
  name: 'Process',
  tableName: 'processes',
  properties: {
    id: p.text().primary(),
    kind: p.text().$type<'api' | 'worker'>(),
    startedAt: moment(),
    /** Renewed every 3 s; after 10 s others take over what it owns. */
    seenAt: moment(),
    /** Of a worker: the base URL of its server of logs and files. */
    address: p.text().strictNullable().default(null),
  },
});

/** A process that owns turns or shards for as long as it is seen. */
export class Process extends ProcessSchema.class {}
ProcessSchema.setClass(Process);
