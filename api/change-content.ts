import type { EntityManager } from '@mikro-orm/postgresql';
import { wakeInstance } from '../database/queries/wake-instance.ts';
import { AppError } from '../domain/errors.ts';
import { query, sql } from '../database/sql.ts';

/**
 * Locks the account's instance for this transaction and makes its next content generation, which the reconciler applies.
 * Throws `not_found`, and `conflict` when it is being destroyed.
 */
export async function changeContent(
  em: EntityManager,
  { accountId, instanceId }: { accountId: string; instanceId: string },
): Promise<number> {
  const [row] = await query<{ destroyed: boolean }>(
    em,
    sql`select desired_status = 'destroyed' as destroyed from instances
      where id = ${instanceId} and account_id = ${accountId} and deleted_at is null for update`,
  );
  if (!row) throw new AppError('not_found', 'Instance not found');
  if (row.destroyed) throw new AppError('conflict', 'This instance is being deleted.');
  const [changed] = await query<{ generation: number }>(
    em,
    sql`update instances
        set content_generation = content_generation + 1, reason_code = nullif(reason_code, 'content_drift')
      where id = ${instanceId}
     returning content_generation::float8 as generation`,
  );
  if (!changed) throw new Error('a locked instance is gone');
  await wakeInstance(em, instanceId);
  return changed.generation;
}
