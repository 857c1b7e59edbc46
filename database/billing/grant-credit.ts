import type { EntityManager } from '@mikro-orm/postgresql';
import type { MakeId } from '../../domain/ids.ts';
import { recordNotice } from '../events/record-notice.ts';
import { transfer } from './transfer.ts';
import { findAccountMoney } from './account-money.ts';
import { lockAccounts, reckonExhaustion } from './reckon-exhaustion.ts';

interface Grant {
  /** Of the ledger line. */
  id: string;
  accountId: string;
  amountNanoUsd: bigint;
  reason: string;
  now: Date;
  makeId: MakeId;
}

/**
 * Gives an account credit and tells the customer, in the caller's transaction, of which it is the last part. What ran
 * past zero before is the platform's loss first, so that all of the grant is there to be used. Locks the account, then
 * its event counter.
 */
export async function grantCredit(
  em: EntityManager,
  { id, accountId, amountNanoUsd, reason, now, makeId }: Grant,
): Promise<void> {
  await lockAccounts(em, [accountId]);
  await writeOffAccrued(em, { accountId, now, id: makeId('txn') });
  const books = { kind: 'credit', from: 'credits', to: 'customer' } as const;
  await transfer(em, { ...books, id, accountId, at: now, amountNanoUsd, reason, dedupeKey: `grant:${id}` });
  await reckonExhaustion(em, [accountId], now);
  const data = { amountNanoUsd: amountNanoUsd.toString(), reason };
  await recordNotice(em, { id: makeId('evt'), accountId, type: 'billing.credited', data, createdAt: now });
}

/** Books as the platform's loss what has accrued beyond the ledger's sum. The account is locked. */
export async function writeOffAccrued(
  em: EntityManager,
  { accountId, now, id }: { accountId: string; now: Date; id: string },
): Promise<void> {
  const { ledger, proven } = await findAccountMoney(em, accountId, now);
  if (proven <= ledger) return;
  await transfer(em, {
    id,
    accountId,
    at: now,
    kind: 'writeoff',
    from: 'losses',
    to: 'customer',
    amountNanoUsd: proven - ledger,
    reason: 'Ran on after the money was used up',
    dedupeKey: `writeoff:${id}`,
  });
}
