import type { EntityManager } from '@mikro-orm/postgresql';
import { findLoginCodes, spendTry } from '../../database/accounts/login-codes.ts';
import type { Deps } from '../deps.ts';
import { addressBlock } from './rate-limit.ts';

interface Attempt {
  account: { email: string } | { id: string };
  code: string;
  /** The network address of the caller. */
  address: string;
}

/** A login code that was compared and not yet spent. */
export interface LoginAttempt {
  accountId: string | undefined;
  requester: string;
  codeHashes: string[];
  /** The hash that the code matched; null: none. */
  matched: string | null;
}

/** Compares a code with those that the caller may try, outside a transaction, because that takes tens of milliseconds. */
export async function attemptLogin(
  em: EntityManager,
  deps: Pick<Deps, 'loginCodes' | 'clock'>,
  { account, code, address }: Attempt,
): Promise<LoginAttempt> {
  const requester = addressBlock(address);
  const { accountId, codeHashes = [] } = (await findLoginCodes(em, { account, requester, now: deps.clock() })) ?? {};
  // As many comparisons for every account, so that the time tells nothing of it.
  const tried = await Promise.all([0, 1].map((place) => deps.loginCodes.matches(codeHashes[place] ?? null, code)));
  return { accountId, requester, codeHashes, matched: codeHashes.find((_, place) => tried[place]) ?? null };
}

/**
 * Spends the tries of an attempt, in the caller's transaction: the account that it proves to be, or null. A refusal must be
 * committed too, because a wrong code costs a try.
 */
export async function spendAttempt(em: EntityManager, attempt: LoginAttempt, now: Date): Promise<string | null> {
  const { accountId, requester, codeHashes, matched } = attempt;
  if (!accountId || codeHashes.length === 0) return null;
  return (await spendTry(em, { accountId, requester, codeHashes, matched, now })) ? accountId : null;
}
