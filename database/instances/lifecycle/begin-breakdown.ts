import type { EntityManager } from '@mikro-orm/postgresql';
import type { MakeId } from '../../../domain/ids.ts';
import { closeInterval } from '../../billing/intervals.ts';
import { recordAudit } from '../../accounts/record-audit.ts';
import { handOverTurns } from '../../messages/stamp-turns.ts';
import { db } from '../../db.ts';
import type { BreakdownFailure } from '../../../domain/happenings.ts';
import { changeLifecycle } from './change-lifecycle.ts';

export interface Breakdown {
  instanceId: string;
  /** The gateway process that it is about. */
  bootId: string;
  /** `gateway_damaged`: another process of it would refuse as well. */
  failure: BreakdownFailure;
  now: Date;
  makeId: MakeId;
}

/**
 * Takes a gateway process that is broken out of use: its meter ends at its first refusal, its turns wait for the next
 * process, and the reconciler is woken, which ends it and starts another, or gives up. Once per process, however many
 * report it: false, and nothing changed, when it takes no messages any more. Locks the instance, its interval, its
 * messages, then the account.
 */
export async function beginBreakdown(em: EntityManager, breakdown: Breakdown): Promise<boolean> {
  const { instanceId, bootId, failure, now, makeId } = breakdown;
  const broken = await changeLifecycle(em, {
    instanceId,
    happening: { kind: 'broke-down', failure },
    now,
    allows: (row) => row.bootId === bootId && row.desiredStatus === 'running' && row.transitionKind === null,
  });
  if (!broken) return false;
  const refusingSince = await lockRefusingSince(em, instanceId);
  await db(em).deleteFrom('GatewayRefusal').where('instance', '=', instanceId).execute();
  // None of them ran when it was refused, and what did run was ended by us: that is no death.
  await handOverTurns(em, instanceId);
  await closeInterval(em, instanceId, refusingSince);
  await recordAudit(em, {
    id: makeId('aud'),
    accountId: broken.before.accountId,
    instanceId,
    at: now,
    actor: 'system',
    action: 'instances.replace-gateway',
    target: instanceId,
    requestId: null,
    address: null,
  });
  return true;
}

async function lockRefusingSince(em: EntityManager, instanceId: string): Promise<Date | null> {
  const interval = await db(em)
    .selectFrom('RuntimeInterval')
    .select('refusingSince')
    .where('instance', '=', instanceId)
    .where('endedAt', 'is', null)
    .forUpdate()
    .executeTakeFirst();
  return interval?.refusingSince ?? null;
}
