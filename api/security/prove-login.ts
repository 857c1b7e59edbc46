import type { EntityManager } from '@mikro-orm/postgresql';
import { markVerified } from '../../database/accounts/accounts.ts';
import { revokeAllKeys } from '../../database/accounts/api-keys.ts';
import { findLoginCodes, spendTry } from '../../database/accounts/login-codes.ts';
import { AppError } from '../../domain/errors.ts';
import type { Deps } from '../deps.ts';
import { addressBlock } from './rate-limit.ts';

interface GivenCode {
  /** The account that the caller claims to own: by an email address, or by the credentials of the call. */
  account: { email: string } | { id: string };
  code: string;
  /** The network address of the caller. */
  address: string;
}

export interface CheckedCode {
  accountId: string | undefined;
  codeHashes: readonly string[];
  requester: string;
  matched: string | null;
}

/** Compares a login code with those that are open, outside a transaction because it is slow on purpose. */
export async function checkLoginCode(em: EntityManager, deps: Deps, { account, code, address }: GivenCode): Promise<CheckedCode> {
  const requester = addressBlock(address);
  const { accountId, codeHashes = [] } = (await findLoginCodes(em, { account, requester, now: deps.clock() })) ?? {};
  // The same number of comparisons for every account, so that the time does not tell whether the account has a code.
  const tried = await Promise.all([0, 1].map((place) => deps.loginCodes.matches(codeHashes[place] ?? null, code)));
  return { accountId, codeHashes, requester, matched: codeHashes.find((_, place) => tried[place]) ?? null };
}

export interface ProvenLogin {
  accountId: string;
  token: string;
  expiresAt: string;
  /** Keys, and one for the earlier tokens, that a contested registration has cost. */
  revoked: number | undefined;
}

/**
 * Spends the try, in the caller's transaction. Answers the account that the code proves; null when the code was wrong, which must
 * be committed before the client gets the error.
 */
export async function spendLoginCode(em: EntityManager, checked: CheckedCode, now: Date): Promise<string | null> {
  const { accountId, codeHashes, requester, matched } = checked;
  if (!accountId || codeHashes.length === 0) return null;
  return (await spendTry(em, { accountId, requester, codeHashes, matched, now })) ? accountId : null;
}

/** Spends the try and issues a token; null as `spendLoginCode`. */
export async function proveLogin(em: EntityManager, deps: Deps, checked: CheckedCode): Promise<ProvenLogin | null> {
  const now = deps.clock();
  const accountId = await spendLoginCode(em, checked, now);
  if (accountId === null) return null;
  const { tokenVersion, wasContested } = await markVerified(em, accountId, now);
  const revoked = wasContested ? (await revokeAllKeys(em, accountId, now)) + 1 : undefined;
  return { accountId, ...deps.tokens.issue({ accountId, tokenVersion }), revoked };
}

/** One refusal for every code that is not good: `forbidden` where the call has other credentials, which are good. */
export function refusedCode(code: 'unauthorized' | 'forbidden' = 'unauthorized'): AppError {
  return new AppError(code, 'This code is wrong, expired or already used. Request a new code with POST /auth/login.');
}
