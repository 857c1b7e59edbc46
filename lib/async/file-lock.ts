import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 20;
const SQLITE_BUSY = 5;

/** The lock could not be had: its file cannot be opened, or another process of this machine held it too long. */
export class LockError extends Error {}

/**
 * Runs the work while holding the lock that this file stands for, among all processes of this machine.
 * SQLite is used for its portable kernel lock alone: the system frees it the moment its holder dies, so no lock is
 * ever stale. Throws LockError, after timeoutMs at the latest, and the signal's reason when it is aborted.
 */
export async function withLock<T>(
  file: string,
  { signal, timeoutMs }: { signal?: AbortSignal | undefined; timeoutMs: number },
  work: () => Promise<T>,
): Promise<T> {
  const lock = openLock(file);
  try {
    const giveUp = AbortSignal.timeout(timeoutMs);
    while (!tryLock(lock)) {
      if (giveUp.aborted) throw new LockError(`Another process of this machine has held ${file} for ${timeoutMs} ms.`);
      await sleep(POLL_MS, undefined, signal ? { signal } : {});
    }
    signal?.throwIfAborted();
    return await work();
  } finally {
    lock.close();
  }
}

function openLock(file: string): DatabaseSync {
  try {
    const lock = new DatabaseSync(file, { timeout: 0 });
    // Nothing is ever written, so that a lock can be had on a full disk too.
    lock.exec('pragma journal_mode = memory');
    return lock;
  } catch (error) {
    throw new LockError(`${file} cannot be opened. Give it and its folder to the user that runs this.`, { cause: error });
  }
}

function tryLock(lock: DatabaseSync): boolean {
  try {
    lock.exec('begin immediate');
    return true;
  } catch (error) {
    if (typeof error === 'object' && error !== null && 'errcode' in error && error.errcode === SQLITE_BUSY) return false;
    throw error;
  }
}
