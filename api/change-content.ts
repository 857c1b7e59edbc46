import type { EntityManager } from '@mikro-orm/postgresql';
import { wakeInstance } from '../database/queries/wake-instance.ts';
import { AppError } from '../domain/errors.ts';

/**
 * Locks the account's instance for this transaction and makes its next content generation, which the reconciler applies.
 * Throws `not_found`, and `conflict` when it is being destroyed.
 */
export async function changeContent(
  em: EntityManager,
  { accountId, instanceId }: { accountId: string; instanceId: string },
): Promise<number> {
  const [row] = await em.execute<{ destroyed: boolean }[]>(
    `select desired_status = 'destroyed' as destroyed from instances
      where id = ? and account_id = ? and deleted_at is null for update`,
    [instanceId, accountId],
  );
  if (!row) throw new AppError('not_found', 'Instance not found');
  if (row.destroyed) throw new AppError('conflict', 'This instance is being deleted.');
  const [changed] = await em.execute<{ generation: number }[]>(
    `update instances
        set content_generation = content_generation + 1, reason_code = nullif(reason_code, 'content_drift')
      where id = ?
     returning content_generation::float8 as generation`,
    [instanceId],
  );
  if (!changed) throw new Error('a locked instance is gone');
  await wakeInstance(em, instanceId);
  return changed.generation;
}
