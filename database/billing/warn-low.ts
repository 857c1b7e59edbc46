import type { EntityManager } from '@mikro-orm/postgresql';
import type { MakeId } from '../../domain/ids.ts';
import { hoursLeft, lowThreshold } from '../../domain/metering.ts';
import { recordNotice } from '../events/record-notice.ts';
import { findAccountMoney } from './account-money.ts';
import { lockAccounts, reckonExhaustion } from './reckon-exhaustion.ts';
import { query, sql } from '../sql.ts';

/** Accounts that may have to be warned by now. */
export async function listLow(em: EntityManager, now: Date, limit: number): Promise<string[]> {
  const rows = await query<{ id: string }>(
    em,
    sql`select id from accounts where notice_at <= ${now} order by notice_at, id limit ${limit}`,
  );
  return rows.map(({ id }) => id);
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
  const told =
    threshold === null
      ? []
      : await query<{ id: string }>(
          em,
          sql`update accounts set low_told_hours = ${threshold} where id = ${accountId} and (low_told_hours is null or low_told_hours > ${threshold}) returning id`,
        );
  await reckonExhaustion(em, [accountId], now);
  if (told.length === 0) return false;
  const data = { balanceNanoUsd: balance.toString(), hoursLeft: hours };
  await recordNotice(em, { id: makeId('evt'), accountId, type: 'billing.low', data, createdAt: now });
  return true;
}
