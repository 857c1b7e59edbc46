import type { EntityManager } from '@mikro-orm/postgresql';
import { AuditEntry } from '../entities/audit-entry.ts';
import { valuesOf } from '../rows.ts';
import { runPlanned, sql } from '../sql.ts';

export interface AuditEntryValues {
  id: string;
  accountId: string | null;
  instanceId: string | null;
  at: Date;
  /** `account:<id>`, `key:<id>`, `operator` or `system`. */
  actor: string;
  action: string;
  target: string | null;
  requestId: string | null;
  address: string | null;
}

/** Writes one line of the audit, in the transaction of what it tells. */
export async function recordAudit(em: EntityManager, entry: AuditEntryValues): Promise<void> {
  const { id, accountId, instanceId, at, actor, action, target, requestId, address } = entry;
  const values = valuesOf(AuditEntry, { id, accountId, instanceId, at, actor, action, target, requestId, address });
  await runPlanned(em, 'record_audit', sql`insert into audit_entries ${values}`);
}
