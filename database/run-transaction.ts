import { setTimeout as sleep } from 'node:timers/promises';
import type { EntityManager } from '@mikro-orm/postgresql';
import { isWriteConflict } from './failure-kind.ts';

const ATTEMPTS = 5;
const PAUSE_MS = 10;

interface TransactionOptions {
  /** Whether the same work may succeed after this error. By default a write conflict is such an error. */
  isPassing?: (error: unknown) => boolean;
}

/**
 * Runs the work in one transaction of a fresh fork, and again when the database gave it up for another transaction
 * (serialization failure, deadlock; five times at most). The work must touch nothing but the database.
 */
export async function runTransaction<T>(
  em: EntityManager,
  work: (em: EntityManager) => Promise<T>,
  { isPassing = isWriteConflict }: TransactionOptions = {},
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await em.fork().transactional(work);
    } catch (error) {
      if (attempt === ATTEMPTS || !isPassing(error)) throw error;
      await sleep(PAUSE_MS * attempt);
    }
  }
}
