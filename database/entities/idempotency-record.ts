import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment } from './columns.ts';

const IdempotencyRecordSchema = defineEntity({
  name: 'IdempotencyRecord',
  tableName: 'idempotency_records',
  indexes: [{ name: 'idempotency_records_created_index', properties: ['createdAt'] }],
  properties: {
    /** The account, or `operator`. */
    caller: p.text().primary(),
    method: p.text().primary(),
    /** The concrete path, without the query. */
    path: p.text().primary(),
    key: p.text().primary(),
    /** An HMAC of the body. */
    fingerprint: p.blob(),
    /** Encrypted: the answer, or what the rest of the call makes the answer of. */
    answer: p.text(),
    isFinal: p.boolean(),
    createdAt: moment(),
  },
});

/** What a call with an Idempotency-Key has done, for 24 hours. */
export class IdempotencyRecord extends IdempotencyRecordSchema.class {}
IdempotencyRecordSchema.setClass(IdempotencyRecord);
