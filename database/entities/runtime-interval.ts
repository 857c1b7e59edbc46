import { defineEntity, p } from '@mikro-orm/postgresql';
import { Account } from './account.ts';
import { moment } from './columns.ts';
import { Instance } from './instance.ts';

const RuntimeIntervalSchema = defineEntity({
  name: 'RuntimeInterval',
  tableName: 'runtime_intervals',
  indexes: [
    { name: 'runtime_intervals_instance_index', properties: ['instance', 'startedAt'] },
    { name: 'runtime_intervals_account_index', properties: ['account', 'startedAt'] },
    {
      name: 'runtime_intervals_open_unique',
      expression:
        'create unique index "runtime_intervals_open_unique" on "runtime_intervals" ("instance_id") where ended_at is null',
    },
    {
      name: 'runtime_intervals_unsettled_index',
      expression:
        'create index "runtime_intervals_unsettled_index" on "runtime_intervals" ("account_id", "id") where not settled',
    },
  ],
  checks: [
    { name: 'runtime_intervals_ordered', expression: 'ended_at >= started_at' },
    {
      name: 'runtime_intervals_billed_within',
      expression: 'billed_until >= started_at and (ended_at is null or billed_until <= ended_at)',
    },
    { name: 'runtime_intervals_remainder_known', expression: 'remainder >= 0 and remainder < 3600000' },
  ],
  properties: {
    id: p.text().primary(),
    instance: () => p.manyToOne(Instance).mapToPk().foreignKeyName('runtime_intervals_instance_fk').index(false),
    account: () => p.manyToOne(Account).mapToPk().foreignKeyName('runtime_intervals_account_fk').index(false),
    /** The gateway process that this interval is about. */
    bootId: p.text(),
    startedAt: moment(),
    endedAt: moment().strictNullable(),
    /** The last moment at which the gateway provably ran, once it stopped answering; the start until it first answered. */
    lostAt: moment().strictNullable(),
    /** Since when its gateway has refused turns that it should have taken: not billed from then on, while that lasts. */
    refusingSince: moment().strictNullable().default(null),
    /** How far it has been debited; null: not at all. */
    billedUntil: moment().strictNullable().default(null),
    /** What rounding down has left of its cost so far, in nano-dollars x milliseconds per hour: less than one nano-dollar. */
    remainder: p.integer().default(0),
    /** The gateway was met alive after the end, or its own end is known: no other proof is waited for. */
    endProven: p.boolean().default(false),
    /** Its last debit is written. */
    settled: p.boolean().default(false),
  },
});

/** A time in which an instance ran: what is billed. */
export class RuntimeInterval extends RuntimeIntervalSchema.class {}
RuntimeIntervalSchema.setClass(RuntimeInterval);
