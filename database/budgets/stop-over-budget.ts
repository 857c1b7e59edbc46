import type { EntityManager } from '@mikro-orm/postgresql';
import type { MakeId } from '../../domain/ids.ts';
import { recordAudit } from '../accounts/record-audit.ts';
import { changePower } from '../instances/change-power.ts';
import { IS_WANTED } from '../instances/lifecycle-sql.ts';
import { query, sql } from '../sql.ts';
import { findUsedUp } from './find-used-up.ts';

/**
 * Stops an instance whose running time a budget has no room for, in the caller's transaction. False when none is used up after all,
 * or it is stopped already. Locks the instance, its interval, what is spent of its budgets, then the account.
 */
export async function stopOverBudget(
  em: EntityManager,
  { instanceId, now, makeId }: { instanceId: string; now: Date; makeId: MakeId },
): Promise<boolean> {
  const [instance] = await query<{ accountId: string }>(
    em,
    sql`select account_id as "accountId" from instances where id = ${instanceId} and ${IS_WANTED} for update`,
  );
  if (!instance || (await findUsedUp(em, { accountId: instance.accountId, instanceId, now })) === null) return false;
  await changePower(em, { instanceId, action: 'stop', now, meterNow: now });
  const about = { accountId: instance.accountId, instanceId, target: instanceId, requestId: null, address: null };
  await recordAudit(em, { ...about, id: makeId('aud'), at: now, actor: 'system', action: 'instances.budget' });
  return true;
}
