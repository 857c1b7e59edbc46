import { z } from 'zod';
import { defineOperation } from '../../define-operation.ts';
import { emailField } from '../../fields.ts';
import { sendLoginCode } from '../../send-login-code.ts';

export const login = defineOperation({
  method: 'POST',
  path: '/auth/login',
  operationId: 'auth.login',
  summary: 'Have a one-time code sent to your address',
  description:
    'Answers the same for every address. A code is good for ten minutes, once, and at most five tries. Codes, tries and mails are counted for each network address that asks, so enter a code from where you asked for it: other network addresses have two of its tries.',
  tag: 'auth',
  auth: 'public',
  // The line is written together with the code, where there is an account to send one to.
  audit: 'none',
  rateLimit: 'auth',
  idempotent: false,
  body: z.object({ email: emailField }),
  success: { status: 200, schema: z.object({ message: z.literal('OTP sent to email') }) },
  errors: [],

  async handle() {
    return null;
  },

  // Nothing is looked up before the answer, so its time cannot tell whether the address has an account.
  async after(_nothing, { body, deps, log, requestId, address }) {
    deps.background.run('send-login-code', log, () => sendLoginCode(deps, { email: body.email, requestId, address }));
    return { message: 'OTP sent to email' as const };
  },
});
