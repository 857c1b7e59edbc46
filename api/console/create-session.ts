import { z } from 'zod';
import { spendConsoleLink } from '../../database/accounts/console-links.ts';
import { AppError } from '../../domain/errors.ts';
import { defineOperation } from '../contract/define-operation.ts';
import { emailField, idField, loginCodeField, timestamp } from '../contract/fields.ts';
import { CookieAnswer } from '../http/cookie-answer.ts';
import { hashLinkCode } from '../security/link-code.ts';
import { checkLoginCode, proveLogin, refusedCode } from '../security/prove-login.ts';
import { sessionCookie } from './session-cookie.ts';

const byMail = z.object({ email: emailField, code: loginCodeField });
const byLink = z.object({ link: z.string().min(1).max(128) });

/** Begins a session: its token goes into a cookie that scripts cannot read, and nowhere else. */
export const createSession = defineOperation({
  method: 'POST',
  path: '/session',
  operationId: 'console.session.create',
  summary: 'Sign in to the console with a code from an email, or with the code of a link',
  tag: 'auth',
  auth: 'public',
  audit: 'console.login',
  rateLimit: 'auth',
  idempotent: false,
  body: z.union([byMail, byLink]),
  success: { status: 200, schema: z.object({ accountId: idField('acc'), expiresAt: timestamp }), credential: true },
  errors: ['unauthorized'],

  async before({ body, em, deps, address }) {
    return 'link' in body ? null : checkLoginCode(em, deps, { account: { email: body.email }, code: body.code, address });
  },
  async handle({ body, prepared: checked, em, deps }) {
    if (checked) return proveLogin(em, deps, checked);
    const account = 'link' in body ? await spendConsoleLink(em, hashLinkCode(body.link), deps.clock()) : null;
    return account && { accountId: account.accountId, ...deps.tokens.issue(account) };
  },
  auditSubject: (login) => login && { accountId: login.accountId, target: login.accountId },

  // A wrong code has cost a try, which had to be stored, so the refusal comes after the commit.
  async after(login, { body, headers }) {
    if (login) {
      const { accountId, expiresAt, token } = login;
      return new CookieAnswer({ accountId, expiresAt }, sessionCookie(token, headers));
    }
    if (!('link' in body)) throw refusedCode();
    throw new AppError('unauthorized', 'This link was used before or has expired. Sign in with your email, or make a new link.');
  },
});
