import type { EntityManager } from '@mikro-orm/postgresql';
import { changeLifecycle } from '../database/instances/change-lifecycle.ts';
import { readLifecycle } from '../database/instances/find-lifecycle.ts';
import { AppError } from '../domain/errors.ts';

/**
 * Locks the account's instance for this transaction and makes its next content generation, which the reconciler applies.
 * Throws `not_found`, and `conflict` when it is being destroyed.
 */
export async function changeContent(
  em: EntityManager,
  { accountId, instanceId }: { accountId: string; instanceId: string },
): Promise<number> {
  const row = await readLifecycle(em, instanceId, { lock: true });
  if (row?.accountId !== accountId || row.deletedAt !== null) throw new AppError('not_found', 'Instance not found');
  if (row.desiredStatus === 'destroyed')
    throw new AppError('conflict', 'This instance is being deleted and can no longer be changed.');
  const changed = await changeLifecycle(em, { instanceId, happening: { kind: 'content-asked' } });
  if (!changed) throw new Error('a locked instance is gone');
  return changed.after.contentGeneration;
}
