import { defineEntity, p } from '@mikro-orm/postgresql';
import { counter } from './columns.ts';

const StoredBytesChangeSchema = defineEntity({
  name: 'StoredBytesChange',
  tableName: 'stored_bytes_changes',
  indexes: [{ name: 'stored_bytes_changes_account_index', properties: ['accountId'] }],
  properties: {
    id: counter().primary().autoincrement().columnType('bigint generated always as identity'),
    accountId: p.text(),
    bytes: counter(),
  },
});

/** By how much one statement has changed what an account stores. Written by triggers alone. */
export class StoredBytesChange extends StoredBytesChangeSchema.class {}
StoredBytesChangeSchema.setClass(StoredBytesChange);
