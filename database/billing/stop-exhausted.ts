import type { EntityManager } from '@mikro-orm/postgresql';
import type { MakeId } from '../../domain/ids.ts';
import { changePower } from '../instances/lifecycle/change-power.ts';
import { IS_WANTED } from '../instances/lifecycle/lifecycle-sql.ts';
import { recordAudit } from '../accounts/record-audit.ts';
import { recordNotice } from '../events/record-notice.ts';
import { findAccountMoney } from './account-money.ts';
import { lockAccounts, reckonExhaustion } from './reckon-exhaustion.ts';
import { db } from '../db.ts';
import { sql } from '../sql.ts';

interface Options {
  accountId: string;
  now: Date;
  makeId: MakeId;
}

/** Accounts whose money may be used up by now, those that are longest so first. */
export async function listExhausted(em: EntityManager, now: Date, limit: number): Promise<string[]> {
  const accounts = await db(em)
    .selectFrom('Account')
    .select('id')
    .where('exhaustsAt', '<=', now)
    .orderBy('exhaustsAt')
    .orderBy('id')
    .limit(limit)
    .execute();
  return accounts.map(({ id }) => id);
}

/**
 * Stops everything that an account wants to run, when its money is really used up, and tells the customer, in the
 * caller's transaction. Answers the instances that were told to stop; none when there is money after all. Locks its
 * instances, their intervals, the account, then its event counter.
 */
export async function stopExhausted(em: EntityManager, { accountId, now, makeId }: Options): Promise<string[]> {
  const instances = await db(em)
    .selectFrom('Instance')
    .select('id')
    .where('account', '=', accountId)
    .where(sql<boolean>`(${IS_WANTED})`)
    .orderBy('id')
    .forUpdate()
    .execute();
  await db(em)
    .selectFrom('RuntimeInterval')
    .select('id')
    .where('account', '=', accountId)
    .where('settled', '=', false)
    .orderBy('id')
    .forUpdate()
    .execute();
  await lockAccounts(em, [accountId]);
  const { available } = await findAccountMoney(em, accountId, now);
  const stopped = available > 0n ? [] : instances.map(({ id }) => id);
  for (const instanceId of stopped) {
    await changePower(em, { instanceId, action: 'stop', now, meterNow: now });
    await auditStop(em, { accountId, instanceId, now, makeId });
  }
  await reckonExhaustion(em, [accountId], now);
  if (stopped.length > 0) await tellExhausted(em, { accountId, now, makeId }, stopped);
  return stopped;
}

async function auditStop(
  em: EntityManager,
  { accountId, instanceId, now, makeId }: Options & { instanceId: string },
): Promise<void> {
  const about = { accountId, instanceId, target: instanceId };
  await recordAudit(em, {
    ...about,
    id: makeId('aud'),
    at: now,
    actor: 'system',
    action: 'instances.exhaust',
    requestId: null,
    address: null,
  });
}

async function tellExhausted(em: EntityManager, { accountId, now, makeId }: Options, instanceIds: string[]): Promise<void> {
  await recordNotice(em, { id: makeId('evt'), accountId, type: 'billing.exhausted', data: { instanceIds }, createdAt: now });
}
