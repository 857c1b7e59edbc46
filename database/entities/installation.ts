import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment } from './columns.ts';

const InstallationSchema = defineEntity({
  name: 'Installation',
  tableName: 'installation',
  checks: [{ name: 'installation_is_one', expression: 'one' }],
  properties: {
    /** There is one row. */
    one: p.boolean().primary().default(true),
    /** The same as in DATA_DIR. */
    id: p.text(),
    /** When the first DATA_DIR got this id; null: none has. */
    claimedAt: moment().strictNullable().default(null),
  },
});

/** Which installation this database belongs to. */
export class Installation extends InstallationSchema.class {}
InstallationSchema.setClass(Installation);
