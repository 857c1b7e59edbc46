import { z } from 'zod';
import { AppError } from '../../../domain/errors.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { FileAnswer } from '../../http/file-answer.ts';
import { archiveOf } from './export/archive.ts';
import { exportEntries } from './export/entries.ts';
import { createRead } from './export/read-list.ts';

/** Exports at the same time, of all accounts of a process and of one. */
export const EXPORTS = { total: 8, each: 1 };

const SOON_SECONDS = 60;

export const exportAccount = defineOperation({
  method: 'GET',
  path: '/account/export',
  operationId: 'account.export',
  summary: 'Export everything of your account as one tar.gz archive',
  description:
    'The archive holds what the list operations return, as JSON lines (a list of more than 200 items is in several files), and the files of every agent. It has the names of secrets but no values, and no API keys. If a file changes while it is being sent, the connection is cut and the archive is incomplete: stop the instance, then repeat the call. If the files of an agent cannot be read, the archive says so in `files-missing.txt`. One export of an account runs at a time.',
  tag: 'auth',
  auth: 'account',
  scope: 'read',
  wholeAccount: true,
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  success: { status: 200, schema: z.unknown(), file: { mediaType: 'application/gzip', hasParts: false } },
  errors: [],

  async handle() {
    return null;
  },
  async after(_nothing, call) {
    const { actor, deps, log, signal } = call;
    const place = deps.exports.take(actor.accountId, 1);
    if (!place)
      throw new AppError('rate_limited', 'An export of this account runs already, or too many others do. Try again later.', {
        retryAfterSeconds: SOON_SECONDS,
      });
    const read = createRead(call, () => deps.orm.em.fork(), signal);
    const archive = archiveOf(exportEntries(read), {
      modifiedAt: deps.clock(),
      signal,
      failed: (err) => log.warn({ err }, 'an export broke off'),
      done: () => place.giveBack(),
    });
    const headers = {
      'Content-Type': 'application/gzip',
      'Content-Disposition': `attachment; filename="${actor.accountId}.tar.gz"`,
      'X-Content-Type-Options': 'nosniff',
      'Cache-Control': 'no-store',
    };
    return new FileAnswer(200, headers, archive);
  },
});
