import type { EntityManager } from '@mikro-orm/postgresql';
import type { NotNull } from 'kysely';
import { converged } from '../../domain/lifecycle.ts';
import { closeInterval } from '../billing/intervals.ts';
import { columns, db } from '../db.ts';
import { Instance } from '../entities/instance.ts';
import { anyOf, fromNow, isSet, isThere, NOW, sql } from '../sql.ts';
import { changeLifecycle } from './lifecycle/change-lifecycle.ts';
import { HAS_CHANGED, HAS_OPEN_INTERVAL, HAS_PENDING_TURN, IS_ASLEEP, IS_RESTLESS } from './lifecycle/lifecycle-sql.ts';

const INSTANCE = columns(Instance, 'instances');

/** Only what is certain to need nothing is left out here: `converged` decides. */
const MAY_HAVE_DRIFTED = sql<boolean>`(
  ${INSTANCE.moveNode} is not null or
  (${INSTANCE.desiredStatus} <> 'running' or ${INSTANCE.bootId} is null or ${INSTANCE.status} <> 'running'
   or ${HAS_CHANGED} or not ${HAS_OPEN_INTERVAL})
  and not (${INSTANCE.desiredStatus} = 'stopped' and ${INSTANCE.status} = 'stopped' and ${INSTANCE.bootId} is null
           and ${INSTANCE.transitionKind} is null)
  and (not ${IS_ASLEEP} or ${IS_RESTLESS})
  and not (${INSTANCE.desiredStatus} = 'running' and ${INSTANCE.status} = 'error'
           and ${INSTANCE.errorGeneration} = ${INSTANCE.powerGeneration}))`;

/** The oldest first; what is more is found a minute later. */
const LIMIT = 500;

/**
 * Instances that are not in their desired state, have no wake-up in the outbox, and on which no attempt has begun within the
 * last minute. Leaves out those that wait for a slot or for their pause.
 */
export async function findDrift(em: EntityManager): Promise<string[]> {
  const rows = await db(em)
    .selectFrom('Instance')
    .select(['id as instanceId', 'desiredStatus', 'status', 'powerGeneration', 'errorGeneration', 'bootId', 'gatewayEpoch'])
    .select(['contentGeneration', 'appliedContentGeneration', 'restartGeneration', 'appliedRestartGeneration'])
    .select(['transitionKind', 'sleepState', 'suspendedAt', 'moveNode'])
    .select([HAS_PENDING_TURN.as('hasWaitingTurn'), HAS_OPEN_INTERVAL.as('hasOpenInterval')])
    .where('deletedAt', 'is', null)
    .where('queuedAt', 'is', null)
    .where((eb) => eb.or([eb('startNotBefore', 'is', null), eb('startNotBefore', '<', NOW)]))
    .where((eb) => eb.or([eb('transitionStartedAt', 'is', null), eb('transitionStartedAt', '<', fromNow(-60_000))]))
    .where(MAY_HAVE_DRIFTED)
    .where((eb) => {
      const wakes = eb
        .selectFrom('OutboxEntry as o')
        .where('o.workflow', '=', 'reconcileInstance')
        .whereRef('o.subjectId', '=', 'Instance.id');
      return eb.not(isThere(wakes));
    })
    .orderBy('transitionStartedAt', (at) => at.asc().nullsFirst())
    .orderBy('id')
    .limit(LIMIT)
    .execute();
  return rows.filter((row) => !converged({ ...row, isGone: false })).map(({ instanceId }) => instanceId);
}

export interface OwnedRuntime {
  runtimeId: string;
  instanceId: string;
  isGone: boolean;
}

/** The instances that own these runtimes. */
export async function findOwners(em: EntityManager, runtimeIds: readonly string[]): Promise<OwnedRuntime[]> {
  return db(em)
    .selectFrom('Instance')
    .select(['runtimeId', 'id as instanceId'])
    .select((eb) => isSet(eb.ref('deletedAt')).as('isGone'))
    .where('runtimeId', '=', anyOf(runtimeIds))
    .execute();
}

/** Frees what relays claimed and never came back for, and forgets processes that were not seen for an hour. */
export async function tidyUp(em: EntityManager): Promise<void> {
  await db(em).updateTable('OutboxEntry').set({ claimedUntil: null }).where('claimedUntil', '<', NOW).execute();
  await db(em).deleteFrom('Process').where('seenAt', '<', fromNow(-3_600_000)).execute();
}

export interface RunningRow {
  instanceId: string;
  runtimeId: string;
  bootId: string;
}

/** Every instance of this node (null: of none) that takes messages, as its row says. */
export async function findRunning(em: EntityManager, nodeId: number | null): Promise<RunningRow[]> {
  return db(em)
    .selectFrom('Instance as i')
    .innerJoin('Runtime as r', 'r.id', 'i.runtimeId')
    .select(['i.id as instanceId', 'i.runtimeId', 'i.bootId'])
    .$narrowType<{ bootId: NotNull }>()
    .where('i.bootId', 'is not', null)
    .where('i.status', '=', 'running')
    .where('r.node', 'is not distinct from', nodeId)
    .execute();
}

/**
 * Takes a gateway out of use that has provably ended a while ago and whose death no worker has noted, in the caller's
 * transaction. False, and nothing changed, when it was noted meanwhile.
 */
export async function noteLostGateway(
  em: EntityManager,
  { instanceId, bootId }: RunningRow,
  endedAt: Date | null,
): Promise<boolean> {
  const noted = await changeLifecycle(em, {
    instanceId,
    happening: { kind: 'found-lost' },
    allows: (row) => row.bootId === bootId,
  });
  if (!noted) return false;
  await closeInterval(em, instanceId, endedAt);
  return true;
}
