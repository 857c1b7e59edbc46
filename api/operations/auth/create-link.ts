import { z } from 'zod';
import { storeConsoleLink } from '../../../database/accounts/console-links.ts';
import { ApiKey } from '../../../database/entities/api-key.ts';
import { AppError } from '../../../domain/errors.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { timestamp } from '../../contract/fields.ts';
import { makeLinkCode } from '../../security/link-code.ts';

const LIFETIME_MS = 60 * 60_000;

export const createLink = defineOperation({
  method: 'POST',
  path: '/auth/links',
  operationId: 'auth.createLink',
  summary: 'Create a link that opens the console signed in',
  description:
    'The path, on the host of the API, opens the console with a session of your account. It is valid for one hour and for one use, and a new one makes the one before void. An API key with limits cannot create one.',
  tag: 'auth',
  auth: 'account',
  scope: 'keys',
  wholeAccount: true,
  audit: 'auth.createLink',
  rateLimit: 'account',
  idempotent: true,
  success: {
    status: 201,
    schema: z.object({
      path: z.string().meta({ example: '/console/#link=Zk3qJb8u0yS5nD1vXw7eT2rLh9cPm4aGf6iKo-QxUyE' }),
      expiresAt: timestamp,
    }),
    credential: true,
  },
  errors: [],

  async handle({ actor, em, deps }) {
    const { accountId, keyId } = actor;
    const key = keyId === null ? null : await em.findOneOrFail(ApiKey, keyId);
    // A session of the console lasts for a day, and so could outlast the key.
    if (key?.expiresAt)
      throw new AppError('forbidden', 'An API key that expires cannot create a link to the console. Use a key without limits.');
    const { code, hash } = makeLinkCode(deps.randomBytes);
    const expiresAt = new Date(deps.clock().getTime() + LIFETIME_MS);
    await storeConsoleLink(em, { accountId, hash, expiresAt });
    // What follows the # is never sent to a server, so that it is in no log.
    return { path: `/console/#link=${code}`, expiresAt: expiresAt.toISOString() };
  },
  auditSubject: () => ({ target: null }),
});
