import { z } from 'zod';
import { defineOperation } from '../../contract/define-operation.ts';
import { emailField } from '../../contract/fields.ts';
import { sendLoginCode } from '../../security/send-login-code.ts';

export const login = defineOperation({
  method: 'POST',
  path: '/auth/login',
  operationId: 'auth.login',
  summary: 'Request a one-time code by email',
  description:
    'The response is the same for every email address, whether or not it has an account. A code is valid for ten minutes and for one login, and allows at most five attempts. Codes, attempts and emails are counted per IP address, so verify a code from the IP address that requested it: other IP addresses have at most two of the attempts.',
  tag: 'auth',
  auth: 'public',
  // sendLoginCode writes the audit line with the code, when the address has an account.
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
