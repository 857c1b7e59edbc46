import type { EntityManager } from '@mikro-orm/postgresql';
import { recordAudit } from '../../database/accounts/record-audit.ts';
import type { Actor } from '../security/actor.ts';
import type { AnyCall, AuditSubject, Operation } from '../contract/define-operation.ts';

/** Writes the audit line of a call that has done its work, in the transaction of that work. */
export async function auditCall(em: EntityManager, operation: Operation, call: AnyCall, handled: unknown): Promise<void> {
  if (operation.audit === 'none') return;
  const subject = operation.auditSubject ? operation.auditSubject(handled, call.params) : subjectOf(call.params);
  if (subject === null) return;
  const accountId = call.actor?.kind === 'account' ? call.actor.accountId : (subject.accountId ?? null);
  await recordAudit(em, {
    id: call.deps.makeId('aud'),
    accountId,
    instanceId: subject.instanceId ?? null,
    at: call.deps.clock(),
    actor: actorName(call.actor, accountId),
    action: operation.audit,
    target: subject.target ?? null,
    requestId: call.requestId,
    address: call.address,
  });
}

function actorName(actor: Actor, accountId: string | null): string {
  if (actor?.kind === 'operator') return actor.accountId === null ? 'operator' : `account:${actor.accountId}`;
  if (actor?.keyId) return `key:${actor.keyId}`;
  return accountId === null ? 'system' : `account:${accountId}`;
}

/** The last parameter of the path is what the call is about. */
function subjectOf(params: unknown): AuditSubject {
  const entries = Object.entries(params ?? {}).map(([name, value]) => [name, String(value)] as const);
  return { target: entries.at(-1)?.[1] ?? null, instanceId: new Map(entries).get('instanceId') ?? null };
}
