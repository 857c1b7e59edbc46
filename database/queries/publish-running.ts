import type { EntityManager } from '@mikro-orm/postgresql';
import { openInterval } from './intervals.ts';
import { query, sql } from '../sql.ts';

export type PublishOutcome =
  | 'published'
  /** A turn is still bound to another gateway process. */
  | 'turns_left'
  /** Something else is wanted by now, or a newer attempt has begun. */
  | 'overtaken';

interface PublishOptions {
  instanceId: string;
  /** As the step read them. */
  epoch: number;
  powerGeneration: number;
  contentGeneration: number;
  bootId: string;
  intervalId: string;
}

/**
 * Makes a gateway the one that takes messages and opens its interval, in the caller's transaction: unless it was
 * overtaken, and only when every pending turn is bound to this gateway process.
 */
export async function publishRunning(em: EntityManager, options: PublishOptions): Promise<PublishOutcome> {
  const { instanceId, epoch, powerGeneration, contentGeneration, bootId, intervalId } = options;
  const [row] = await query<{ accountId: string; isCurrent: boolean }>(
    em,
    sql`select account_id as "accountId",
            epoch = ${epoch} and power_generation = ${powerGeneration} and desired_status = 'running' and deleted_at is null as "isCurrent"
       from instances where id = ${instanceId} for update`,
  );
  if (!row?.isCurrent) return 'overtaken';
  // A statement of its own: a turn that was accepted while the first one waited for the lock counts too.
  const published = await query<{ id: string }>(
    em,
    sql`update instances
        set status = 'running', boot_id = ${bootId}, started_at = now(), start_not_before = null, error_generation = null,
            applied_content_generation = greatest(applied_content_generation, ${contentGeneration}::bigint),
            transition_kind = case when restart_generation > applied_restart_generation then 'restarting' end,
            transition_started_at = case when restart_generation > applied_restart_generation then now() end,
            transition_attempt = 0, transition_step = null,
            reason_code = null, reason_message = null, reason_at = null, reason_retryable = null
      where id = ${instanceId} and not exists (
              select from messages where instance_id = instances.id and status = 'pending' and boot_id is distinct from ${bootId})
     returning id`,
  );
  if (published.length === 0) return 'turns_left';
  await openInterval(em, { id: intervalId, instanceId, accountId: row.accountId, bootId });
  return 'published';
}
