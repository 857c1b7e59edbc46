import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment } from './columns.ts';

const UnownedRuntimeSchema = defineEntity({
  name: 'UnownedRuntime',
  tableName: 'unowned_runtimes',
  properties: {
    runtimeId: p.text().primary(),
    foundAt: moment(),
    /** Null: a sweep found too many at once and left it as it is. */
    quarantinedAt: moment().strictNullable(),
    /** An operator, or its age, has decided that it is deleted. */
    deleteAskedAt: moment().strictNullable().default(null),
  },
});

/** A gateway or storage that no instance owns, as the last sweep found it. */
export class UnownedRuntime extends UnownedRuntimeSchema.class {}
UnownedRuntimeSchema.setClass(UnownedRuntime);
