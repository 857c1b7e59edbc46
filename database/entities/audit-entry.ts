import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment } from './columns.ts';

const AuditEntrySchema = defineEntity({
  name: 'AuditEntry',
  tableName: 'audit_entries',
  indexes: [
    { name: 'audit_entries_at_index', properties: ['at', 'id'] },
    { name: 'audit_entries_account_index', properties: ['accountId', 'at', 'id'] },
    { name: 'audit_entries_instance_index', properties: ['instanceId', 'at', 'id'] },
  ],
  properties: {
    id: p.text().primary(),
    // No foreign keys: the audit outlives what it tells of.
    accountId: p.text().strictNullable(),
    instanceId: p.text().strictNullable(),
    at: moment(),
    actor: p.text(),
    action: p.text(),
    target: p.text().strictNullable(),
    requestId: p.text().strictNullable(),
    address: p.text().strictNullable(),
  },
});

/** Who did what, when and from where. */
export class AuditEntry extends AuditEntrySchema.class {}
AuditEntrySchema.setClass(AuditEntry);
