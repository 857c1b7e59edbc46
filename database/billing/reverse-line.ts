import type { EntityManager } from '@mikro-orm/postgresql';
import { AppError } from '../../domain/errors.ts';
import type { MakeId } from '../../domain/ids.ts';
import { formatUsd } from '../../domain/money/money.ts';
import { recordAudit } from '../accounts/record-audit.ts';
import { transfer } from './transfer.ts';
import { findAccountMoney } from './account-money.ts';
import { writeOffAccrued } from './grant-credit.ts';
import { lockAccounts, reckonExhaustion } from './reckon-exhaustion.ts';
import { db } from '../db.ts';

interface Correction {
  /** The credit or debit to take back. */
  lineId: string;
  reason: string;
  now: Date;
  makeId: MakeId;
}

export interface Reversal {
  reversalId: string;
  accountId: string;
  /** What it adds to the customer's balance. */
  nanoUsd: bigint;
  /** False: it had been taken back before, by this reversal. */
  isNew: boolean;
}

/**
 * Takes back one credit or debit by a line against it, in the caller's transaction; a second time changes nothing. Money
 * that was used cannot be taken back. Locks the account.
 */
export async function reverseLine(em: EntityManager, { lineId, reason, now, makeId }: Correction): Promise<Reversal> {
  const { account: accountId, kind, fromBook, toBook, amountNanoUsd: amount } = await findLine(em, lineId);
  await lockAccounts(em, [accountId]);
  const nanoUsd = toBook === 'customer' ? -amount : amount;
  const known = await findReversal(em, lineId);
  if (known !== null) return { reversalId: known, accountId, nanoUsd, isNew: false };
  if (kind === 'credit') await refuseUsed(em, accountId, { amount, now });
  else await writeOffAccrued(em, { accountId, now, id: makeId('txn') });
  const reversalId = makeId('txn');
  await transfer(em, {
    id: reversalId,
    accountId,
    at: now,
    kind: 'reversal',
    from: toBook,
    to: fromBook,
    amountNanoUsd: amount,
    reason,
    dedupeKey: `reversal:${lineId}`,
    reversesId: lineId,
  });
  await reckonExhaustion(em, [accountId], now);
  const about = { accountId, instanceId: null, target: reversalId, requestId: null, address: null };
  await recordAudit(em, { ...about, id: makeId('aud'), at: now, actor: 'operator', action: 'ledger.reverse' });
  return { reversalId, accountId, nanoUsd, isNew: true };
}

async function findLine(em: EntityManager, lineId: string) {
  const line = await db(em)
    .selectFrom('Transfer')
    .select(['account', 'kind', 'fromBook', 'toBook', 'amountNanoUsd'])
    .where('id', '=', lineId)
    .executeTakeFirst();
  if (!line) throw new AppError('not_found', `There is no ledger line ${lineId}.`);
  if (line.kind !== 'credit' && line.kind !== 'debit')
    throw new AppError('conflict', `The line ${lineId} is a ${line.kind}: only credits and debits can be taken back.`);
  return line;
}

async function findReversal(em: EntityManager, lineId: string): Promise<string | null> {
  const reversal = await db(em)
    .selectFrom('Transfer')
    .select('id')
    .where('dedupeKey', '=', `reversal:${lineId}`)
    .executeTakeFirst();
  return reversal?.id ?? null;
}

async function refuseUsed(em: EntityManager, accountId: string, { amount, now }: { amount: bigint; now: Date }): Promise<void> {
  const { available, balance } = await findAccountMoney(em, accountId, now);
  const left = available < balance ? available : balance;
  if (left < amount)
    throw new AppError(
      'conflict',
      `Of this credit ${formatUsd(left > 0n ? left : 0n)} USD are left: what was used cannot be taken back.`,
    );
}
