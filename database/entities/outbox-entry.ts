import { defineEntity, p } from '@mikro-orm/postgresql';
import { counter, moment } from './columns.ts';

const OutboxEntrySchema = defineEntity({
  name: 'OutboxEntry',
  tableName: 'outbox',
  properties: {
    id: counter().primary().autoincrement().columnType('bigint generated always as identity'),
    workflow: p.text().$type<'reconcileInstance' | 'deliverWebhook'>(),
    /** What the workflow is about; its id is made from it. */
    subjectId: p.text(),
    createdAt: moment().defaultRaw('now()'),
    /** A relay works on it until then; another may take it over afterwards. */
    claimedUntil: moment().strictNullable().default(null),
  },
});

/** A workflow that has to be woken, committed with what it is to be woken for. */
export class OutboxEntry extends OutboxEntrySchema.class {}
OutboxEntrySchema.setClass(OutboxEntry);
