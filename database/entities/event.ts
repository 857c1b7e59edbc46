import { defineEntity, p } from '@mikro-orm/postgresql';
import type { FinishReason } from '../../domain/turn.ts';
import { Account } from './account.ts';
import { counter, moment } from './columns.ts';
import { Instance } from './instance.ts';

const EventSchema = defineEntity({
  name: 'Event',
  tableName: 'events',
  uniques: [{ name: 'events_seq_unique', properties: ['account', 'seq'] }],
  indexes: [
    { name: 'events_instance_index', properties: ['instance', 'seq'] },
    { name: 'events_agent_index', properties: ['instance', 'agentSlug', 'seq'] },
  ],
  properties: {
    id: p.text().primary(),
    account: () => p.manyToOne(Account).mapToPk().foreignKeyName('events_account_fk').index(false),
    /** Without a gap within an account, and visible in order. */
    seq: counter(),
    type: p.text(),
    instance: () =>
      p.manyToOne(Instance).mapToPk().strictNullable().foreignKeyName('events_instance_fk').deleteRule('no action').index(false),
    agentSlug: p.text().strictNullable(),
    agentName: p.text().strictNullable(),
    source: p.text().$type<'cron' | 'agent'>().strictNullable(),
    messageId: p.text().strictNullable(),
    content: p.text().strictNullable(),
    contentTruncated: p.boolean().default(false),
    finishReason: p.text().$type<FinishReason>().strictNullable().default(null),
    jobName: p.text().strictNullable(),
    /** How late the run of its job began, because the instance was asleep. */
    lateMs: p.integer().strictNullable().default(null),
    errorCode: p.text().strictNullable(),
    errorMessage: p.text().strictNullable(),
    /** What a notice says, as JSON. */
    data: p.text().strictNullable().default(null),
    /** Its instance was deleted: only the sequence number is left. */
    deleted: p.boolean().default(false),
    createdAt: moment(),
    /** When its number was given, in the order of the numbers: what it is kept by. */
    recordedAt: moment().defaultRaw('clock_timestamp()'),
  },
});

/** Something that happened, for the customer. */
export class Event extends EventSchema.class {}
EventSchema.setClass(Event);
