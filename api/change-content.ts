import type { EntityManager } from '@mikro-orm/postgresql';
import { changeLifecycle } from '../database/instances/lifecycle/change-lifecycle.ts';
import { AppError } from '../domain/errors.ts';

/**
 * Locks the account's instance for this transaction and makes its next content generation, which the reconciler applies.
 * Throws `not_found`, and `conflict` when it is being destroyed.
 */
export async function changeContent(
  em: EntityManager,
  { accountId, instanceId }: { accountId: string; instanceId: string },
): Promise<number> {
  const changed = await changeLifecycle(em, {
    instanceId,
    happening: { kind: 'content-asked' },
    allows(row) {
      if (row.accountId !== accountId || row.deletedAt !== null) return false;
      if (row.desiredStatus === 'destroyed')
        throw new AppError('conflict', 'This instance is being deleted and can no longer be changed.');
      return true;
    },
  });
  if (!changed) throw new AppError('not_found', 'Instance not found');
  return changed.after.contentGeneration;
}
