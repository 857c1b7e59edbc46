import { defineEntity, p } from '@mikro-orm/postgresql';
import { Account } from './account.ts';
import { counter } from './columns.ts';

const EventCounterSchema = defineEntity({
  name: 'EventCounter',
  tableName: 'event_counters',
  properties: {
    account: () => p.manyToOne(Account).mapToPk().primary().foreignKeyName('event_counters_account_fk'),
    lastSeq: counter().default(0),
  },
});

/** The last sequence number of an account. It has its own table so that its row can be locked last of all, and briefly. */
export class EventCounter extends EventCounterSchema.class {}
EventCounterSchema.setClass(EventCounter);
