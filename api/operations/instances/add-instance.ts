import type { EntityManager } from '@mikro-orm/postgresql';
import { hasMoney } from '../../../database/billing/find-balance.ts';
import { Instance } from '../../../database/entities/instance.ts';
import { countInstancesLocked } from '../../../database/instances/count-instances.ts';
import { wakeInstance } from '../../../database/instances/sleep/wake-instance.ts';
import { AppError } from '../../../domain/errors.ts';
import type { RandomBytes } from '../../../domain/ids.ts';
import { SHARDS } from '../../../domain/temporal/shards.ts';
import type { Deps } from '../../deps.ts';
import { requireBudget } from './require-budget.ts';

interface NewInstance {
  accountId: string;
  name: string;
  metadata: Record<string, string>;
  /** Null: it never falls asleep. Without it, the setting counts. */
  sleepAfterMs?: number | null | undefined;
}

/** The watch shard of a new instance. */
export function newShard(randomBytes: RandomBytes): number {
  return (randomBytes(1)[0] ?? 0) % SHARDS;
}

/**
 * Makes an instance that is started once the caller's transaction is committed, and answers its id. Throws AppError
 * `conflict` where the account has too many, `payment_required` where it has no money or no budget.
 */
export async function addInstance(
  em: EntityManager,
  { config, clock, makeId, randomBytes }: Pick<Deps, 'config' | 'clock' | 'makeId' | 'randomBytes'>,
  { accountId, name, metadata, sleepAfterMs = config.SLEEP_AFTER_MS ?? null }: NewInstance,
): Promise<string> {
  const limit = config.MAX_INSTANCES_PER_ACCOUNT;
  if ((await countInstancesLocked(em, accountId)) >= limit)
    throw new AppError('conflict', `An account can have at most ${limit} instances. Delete an instance first.`);
  if (!(await hasMoney(em, accountId)))
    throw new AppError('payment_required', 'The balance is used up. Add credit, then create the instance.');
  const now = clock();
  await requireBudget(em, { accountId, instanceId: null }, now);
  const instance = em.create(Instance, {
    id: makeId('inst'),
    account: accountId,
    name,
    metadata,
    sleepAfterMs,
    runtimeId: makeId('run'),
    createdAt: now,
    desiredStatus: 'running',
    status: 'provisioning',
    transitionKind: 'starting',
    transitionStartedAt: now,
    transitionStep: null,
    shard: newShard(randomBytes),
  });
  await em.flush();
  await wakeInstance(em, instance.id);
  return instance.id;
}
