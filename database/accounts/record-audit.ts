import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../db.ts';

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
  await db(em).insertInto('AuditEntry').values(entry).execute();
}
