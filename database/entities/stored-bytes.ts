import { defineEntity, p } from '@mikro-orm/postgresql';
import { counter } from './columns.ts';

const StoredBytesSchema = defineEntity({
  name: 'StoredBytes',
  tableName: 'stored_bytes',
  properties: {
    accountId: p.text().primary(),
    bytes: counter(),
  },
});

/** How much an account stored, without the changes that are not added up yet. */
export class StoredBytes extends StoredBytesSchema.class {}
StoredBytesSchema.setClass(StoredBytes);
