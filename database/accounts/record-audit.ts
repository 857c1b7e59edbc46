import type { EntityManager } from '@mikro-orm/postgresql';
import { run, sql } from '../sql.ts';

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
  await run(
    em,
    sql`insert into audit_entries (id, account_id, instance_id, at, actor, action, target, request_id, address)
     values (${entry.id}, ${entry.accountId}, ${entry.instanceId}, ${entry.at}, ${entry.actor}, ${entry.action}, ${entry.target}, ${entry.requestId}, ${entry.address})`,
  );
}
