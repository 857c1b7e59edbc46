import type { EntityManager } from '@mikro-orm/postgresql';
import { findInstanceServers } from '../database/processes/process-lease.ts';
import { AppError } from '../domain/errors.ts';
import type { Log } from '../lib/log.ts';
import { NotServedError } from '../runtime/worker-call.ts';

const WORKERS_ASKED = 3;
const RETRY_AFTER_SECONDS = 5;

/** No worker has answered: what `what` names cannot be had for the moment. */
export function noWorker(what: string, cause: unknown): AppError {
  return new AppError('unavailable', `${what} cannot be read at the moment. Try again in a few seconds.`, {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
    cause,
  });
}

interface Asking {
  em: EntityManager;
  log: Log;
  runtimeId: string;
  /** What is asked for, as a sentence begins with it. */
  what: string;
}

/**
 * Asks the workers of its node that live, one after the other, until one has answered. Throws AppError `unavailable` when
 * none does, and what is thrown other than NotServedError. Not for use in a transaction.
 */
export async function askWorkers<T>({ em, log, runtimeId, what }: Asking, ask: (address: string) => Promise<T>): Promise<T> {
  let cause: unknown;
  for (const address of await findInstanceServers(em, runtimeId, WORKERS_ASKED)) {
    try {
      return await ask(address);
    } catch (error) {
      if (!(error instanceof NotServedError)) throw error;
      log.warn({ err: error, runtimeId }, 'a worker did not answer with what it has of an instance');
      cause = error;
    }
  }
  throw noWorker(what, cause);
}
