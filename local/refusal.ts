import { ConfigError } from '../lib/settings/config.ts';
import { isErrno } from '../lib/errno.ts';
import { LockError } from '../lib/async/file-lock.ts';
import { InstallationError } from '../runtime/engine.ts';
import { PostgresError } from './postgres/postgres-account.ts';
import { ProgramsError } from './install/install-programs.ts';

/** The start cannot go on. The message tells the person at the terminal what happened and what to do. */
export class Refusal extends Error {}

/** Errors whose message is written for the person at the terminal. */
const SENTENCES = [Refusal, ConfigError, LockError, InstallationError, PostgresError, ProgramsError];

/** What to print for an error that ended the start: a sentence, and for an unexpected error its stack too. */
export function explain(error: unknown): string {
  if (isErrno(error, 'ENOSPC')) return 'The disk is full. Free some space, then start again.';
  if (!Error.isError(error)) return String(error);
  if (SENTENCES.some((kind) => error instanceof kind)) return error.message;
  if (isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR'))
    return `This user cannot use a file or folder that it needs (${error.message}). Correct its owner, or set DATA_DIR.`;
  return `The start failed with an unexpected error:\n${error.stack ?? error.message}`;
}
