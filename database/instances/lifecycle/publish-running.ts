import type { EntityManager } from '@mikro-orm/postgresql';
import { openInterval } from '../../billing/intervals.ts';
import { db } from '../../db.ts';
import { changeLifecycle } from './change-lifecycle.ts';
import { readLifecycle } from './find-lifecycle.ts';

export type PublishOutcome =
  | 'published'
  /** A turn is still bound to another gateway process. */
  | 'turns_left'
  /** Something else is wanted by now, or a newer attempt has begun. */
  | 'superseded';

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
 * superseded, and only when every pending turn is bound to this gateway process.
 */
export async function publishRunning(em: EntityManager, options: PublishOptions): Promise<PublishOutcome> {
  const { instanceId, epoch, powerGeneration, contentGeneration, bootId, intervalId } = options;
  const row = await readLifecycle(em, instanceId, { lock: true });
  const isCurrent =
    row?.epoch === epoch && row.powerGeneration === powerGeneration && row.desiredStatus === 'running' && row.deletedAt === null;
  if (!row || !isCurrent) return 'superseded';
  // A second statement, whose snapshot includes a turn that was accepted while the first one waited for its lock.
  const left = await db(em)
    .selectFrom('Message')
    .select('id')
    .where('instance', '=', instanceId)
    .where('status', '=', 'pending')
    .where('bootId', 'is distinct from', bootId)
    .limit(1)
    .executeTakeFirst();
  if (left) return 'turns_left';
  await changeLifecycle(em, { instanceId, happening: { kind: 'published', bootId, contentGeneration } });
  await openInterval(em, { id: intervalId, instanceId, accountId: row.accountId, bootId });
  return 'published';
}
