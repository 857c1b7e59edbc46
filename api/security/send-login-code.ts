import { findAccountId } from '../../database/accounts/accounts.ts';
import { storeLoginCode } from '../../database/accounts/login-codes.ts';
import { recordAudit } from '../../database/accounts/record-audit.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import type { Deps } from '../deps.ts';
import { addressBlock } from './rate-limit.ts';

interface LoginRequest {
  email: string;
  requestId: string;
  address: string;
}

/** Stores a new code and mails it, unless the address has no account or too many were sent. Throws when the mail fails. */
export async function sendLoginCode(deps: Deps, { email, requestId, address }: LoginRequest): Promise<void> {
  const accountId = await findAccountId(deps.orm.em.fork(), email);
  if (accountId === null) return;
  const code = deps.loginCodes.make();
  const codeHash = await deps.loginCodes.hash(code);
  const now = deps.clock();
  const requester = addressBlock(address);
  const stored = await runTransaction(deps.orm.em, async (em) => {
    if (!(await storeLoginCode(em, { accountId, requester, codeHash, now }))) return false;
    const id = deps.makeId('aud');
    const line = { id, accountId, instanceId: null, at: now, action: 'auth.login', target: accountId, requestId, address };
    await recordAudit(em, { ...line, actor: `account:${accountId}` });
    return true;
  });
  if (!stored) return;
  await deps.mail.send({
    to: email,
    subject: `${code} is your Thermidora login code`,
    text: `Your login code is ${code}. It is valid for ten minutes and can be used once.\n\nIf you did not request this code, ignore this email. Without the code, no one can log in.\n`,
  });
}
