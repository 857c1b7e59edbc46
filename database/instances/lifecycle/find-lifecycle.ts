import type { EntityManager } from '@mikro-orm/postgresql';
import type { Lifecycle } from '../../../domain/happenings.ts';
import { isAsleep } from '../../../domain/lifecycle.ts';
import type { LifecycleRow } from '../../../domain/lifecycle.ts';
import { db } from '../../db.ts';
import { epochMs, isThere, NOW } from '../../sql.ts';

export const LIFECYCLE_COLUMNS = [
  'desiredStatus',
  'status',
  'powerGeneration',
  'errorGeneration',
  'contentGeneration',
  'appliedContentGeneration',
  'restartGeneration',
  'appliedRestartGeneration',
  'transitionKind',
  'transitionStartedAt',
  'transitionAttempt',
  'transitionStep',
  'reasonCode',
  'reasonMessage',
  'reasonAt',
  'reasonRetryable',
  'epoch',
  'bootId',
  'gatewayEpoch',
  'killFirst',
  'startNotBefore',
  'restartNotBefore',
  'queuedAt',
  'deaths',
  'failedStarts',
  'breakdowns',
  'giveUpFor',
  'deletedAt',
  'startedAt',
  'stoppedAt',
  'sleepState',
  'sleepSince',
  'wakesAt',
  'wakeMs',
  'suspendedAt',
  'moveNode',
  'moveRuntimeId',
] as const satisfies readonly (keyof Lifecycle)[];

/** What the row of an instance says of its lifecycle. */
export interface StoredLifecycle extends Lifecycle {
  accountId: string;
  runtimeId: string;
  hasSlot: boolean;
  /** The database's time, at which the transaction began. */
  databaseNow: Date;
}

/** The same, and whether its meter runs: all that decides what is to be done. */
export type InstanceLifecycle = StoredLifecycle & LifecycleRow;

interface FindOptions {
  /** Holds the row until the end of the transaction. */
  lock: boolean;
}

/** Null when there never was such an instance. */
export async function readLifecycle(
  em: EntityManager,
  instanceId: string,
  { lock }: FindOptions,
): Promise<StoredLifecycle | null> {
  const row = await db(em)
    .selectFrom('Instance')
    .select([...LIFECYCLE_COLUMNS, 'account', 'runtimeId', 'hasSlot'])
    .select(epochMs(NOW).as('nowMs'))
    .where('id', '=', instanceId)
    .$if(lock, (select) => select.forNoKeyUpdate())
    .executeTakeFirst();
  if (!row) return null;
  const { account, nowMs, ...lifecycle } = row;
  return {
    ...lifecycle,
    deaths: momentsOf(row.deaths),
    failedStarts: momentsOf(row.failedStarts),
    breakdowns: momentsOf(row.breakdowns),
    accountId: account,
    databaseNow: new Date(nowMs),
  };
}

/** Arrays of moments come as texts. */
function momentsOf(moments: readonly (Date | string)[]): Date[] {
  return moments.map((moment) => new Date(moment));
}

/** Null when there never was such an instance. */
export async function findLifecycle(
  em: EntityManager,
  instanceId: string,
  options: FindOptions,
): Promise<InstanceLifecycle | null> {
  const row = await readLifecycle(em, instanceId, options);
  if (!row) return null;
  // A second statement, whose snapshot includes what was committed while the first one waited for its lock.
  const { hasOpenInterval } = await db(em)
    .selectNoFrom((eb) => {
      const open = eb.selectFrom('RuntimeInterval').where('instance', '=', instanceId).where('endedAt', 'is', null);
      return isThere(open).as('hasOpenInterval');
    })
    .executeTakeFirstOrThrow();
  const hasWaitingTurn = isAsleep(row) && (await hasPendingTurn(em, instanceId));
  return { ...row, hasWaitingTurn, hasOpenInterval, isGone: row.deletedAt !== null };
}

async function hasPendingTurn(em: EntityManager, instanceId: string): Promise<boolean> {
  const pending = await db(em)
    .selectFrom('Message')
    .select('id')
    .where('instance', '=', instanceId)
    .where('status', '=', 'pending')
    .limit(1)
    .execute();
  return pending.length > 0;
}

/** Null when there never was such an instance. */
export async function findRuntimeId(em: EntityManager, instanceId: string): Promise<string | null> {
  const row = await db(em).selectFrom('Instance').select('runtimeId').where('id', '=', instanceId).executeTakeFirst();
  return row?.runtimeId ?? null;
}

/** Null when there never was such an instance. */
export async function findPowerGeneration(em: EntityManager, instanceId: string): Promise<number | null> {
  const row = await db(em).selectFrom('Instance').select('powerGeneration').where('id', '=', instanceId).executeTakeFirst();
  return row?.powerGeneration ?? null;
}
