import type { EntityManager } from '@mikro-orm/postgresql';
import type { MakeId } from '../../domain/ids.ts';
import { recordAudit } from '../accounts/record-audit.ts';
import { changePower } from '../instances/lifecycle/change-power.ts';
import { IS_WANTED } from '../instances/lifecycle/lifecycle-sql.ts';
import { db } from '../db.ts';
import { sql } from '../sql.ts';
import { findUsedUp } from './find-used-up.ts';

/**
 * Stops an instance whose running time a budget has no room for, in the caller's transaction. False when none is used up after all,
 * or it is stopped already. Locks the instance, its interval, what is spent of its budgets, then the account.
 */
export async function stopOverBudget(
  em: EntityManager,
  { instanceId, now, makeId }: { instanceId: string; now: Date; makeId: MakeId },
): Promise<boolean> {
  const instance = await db(em)
    .selectFrom('Instance')
    .select('account')
    .where('id', '=', instanceId)
    .where(sql<boolean>`(${IS_WANTED})`)
    .forUpdate()
    .executeTakeFirst();
  if (!instance || (await findUsedUp(em, { accountId: instance.account, instanceId, now })) === null) return false;
  await changePower(em, { instanceId, action: 'stop', now, meterNow: now });
  const about = { accountId: instance.account, instanceId, target: instanceId, requestId: null, address: null };
  await recordAudit(em, { ...about, id: makeId('aud'), at: now, actor: 'system', action: 'instances.budget' });
  return true;
}
