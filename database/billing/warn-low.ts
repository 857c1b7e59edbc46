import type { EntityManager } from '@mikro-orm/postgresql';
import type { MakeId } from '../../domain/ids.ts';
import { hoursLeft, lowThreshold } from '../../domain/money/metering.ts';
import { recordNotice } from '../events/record-notice.ts';
import { findAccountMoney } from './account-money.ts';
import { lockAccounts, reckonExhaustion } from './reckon-exhaustion.ts';
import { db } from '../db.ts';

/** Accounts that may have to be warned by now. */
export async function listLow(em: EntityManager, now: Date, limit: number): Promise<string[]> {
  const accounts = await db(em)
    .selectFrom('Account')
    .select('id')
    .where('noticeAt', '<=', now)
    .orderBy('noticeAt')
    .orderBy('id')
    .limit(limit)
    .execute();
  return accounts.map(({ id }) => id);
}

/**
 * Warns an account whose money lasts for 72, 24 or 1 more hours at the present burn, once for each of these until it
 * lasted for longer again, in the caller's transaction. False when there was nothing to warn of. Locks the account, then
 * its event counter.
 */
export async function warnLow(
  em: EntityManager,
  { accountId, now, makeId }: { accountId: string; now: Date; makeId: MakeId },
): Promise<boolean> {
  await lockAccounts(em, [accountId]);
  const { available, balance, burnPerHour } = await findAccountMoney(em, accountId, now);
  const hours = hoursLeft(available, burnPerHour);
  const threshold = hours === null ? null : lowThreshold(hours);
  const isNew = threshold !== null && (await noteTold(em, accountId, threshold));
  await reckonExhaustion(em, [accountId], now);
  if (!isNew) return false;
  const data = { balanceNanoUsd: balance.toString(), hoursLeft: hours };
  await recordNotice(em, { id: makeId('evt'), accountId, type: 'billing.low', data, createdAt: now });
  return true;
}

/** False when it was warned at this threshold or a later one before. */
async function noteTold(em: EntityManager, accountId: string, threshold: number): Promise<boolean> {
  const { numUpdatedRows } = await db(em)
    .updateTable('Account')
    .set({ lowToldHours: threshold })
    .where('id', '=', accountId)
    .where((eb) => eb.or([eb('lowToldHours', 'is', null), eb('lowToldHours', '>', threshold)]))
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}
