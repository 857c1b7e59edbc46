import { DumpBusyError, readDump } from '../../database/dump/read-dump.ts';
import type { Clock } from '../../lib/async/clock.ts';
import type { ConfigOf } from '../../lib/settings/config.ts';
import type { Log } from '../../lib/log.ts';
import { listBackups, removeDrafts, removeOldBackups, writeBackup } from './backup-files.ts';

interface Deps {
  config: Pick<ConfigOf<'worker'>, 'BACKUP_DIR' | 'BACKUP_KEEP' | 'BACKUP_EVERY_HOURS' | 'BACKUP_DATABASE_URL' | 'DATABASE_URL'>;
  installationId: string;
  clock: Clock;
  log: Log;
}

/** How the backups of this worker stand. */
export interface BackupState {
  /** When the newest one was taken; null: there is none, or the folder cannot be read. */
  lastAt: Date | null;
  /** Tries in a row that failed. */
  failures: number;
  /** A try has failed since the newest one, or it is two intervals old. */
  isLate: boolean;
}

export interface Backups {
  /** Null: none are made. */
  state(): BackupState | null;
  /** Ends a backup that is being made: what there is of it is removed. */
  stop(): Promise<void>;
}

const LOOK_MS = 60_000;
/** After a failure, the next try is so much later each time. */
const RETRY_LOOKS = [1, 2, 5, 15, 60];
const HOUR_MS = 3_600_000;

/**
 * Keeps backups of the database in BACKUP_DIR: makes one when the newest is older than BACKUP_EVERY_HOURS, and removes its own
 * beyond BACKUP_KEEP. Of the workers of one database one makes a backup at a time.
 */
export function keepBackups({ config, installationId, clock, log }: Deps, lookMs = LOOK_MS): Backups {
  const { BACKUP_DIR: directory, BACKUP_KEEP: keep, BACKUP_DATABASE_URL, DATABASE_URL } = config;
  if (directory === undefined) return { state: () => null, stop: async () => undefined };
  const everyMs = config.BACKUP_EVERY_HOURS * HOUR_MS;
  const over = new AbortController();
  let [lastAt, failures, skipped] = [null as Date | null, 0, 0];
  const begunAt = clock();

  const ageOf = (at: Date): number => clock().getTime() - at.getTime();

  async function look(folder: string): Promise<void> {
    lastAt = (await listBackups(folder, installationId))[0]?.takenAt ?? null;
    if (lastAt && ageOf(lastAt) < everyMs) return;
    const takenAt = clock();
    const lines = readDump(BACKUP_DATABASE_URL ?? DATABASE_URL, { now: takenAt, signal: over.signal });
    try {
      // Its first line comes once the lock is held, so another worker writes nothing now.
      const { value: first } = await lines.next();
      await removeDrafts(folder, installationId);
      const name = await writeBackup(folder, { installationId, takenAt }, followedBy(first, lines));
      log.info({ name }, 'a backup of the database was made');
    } finally {
      await lines.return(undefined);
    }
    const removed = await removeOldBackups(folder, installationId, keep);
    lastAt = takenAt;
    if (removed.length > 0) log.info({ removed }, 'old backups were removed');
  }

  async function round(): Promise<void> {
    if (skipped > 0) return void (skipped -= 1);
    try {
      await look(directory ?? '');
      failures = 0;
    } catch (err) {
      if (over.signal.aborted || err instanceof DumpBusyError) return;
      skipped = (RETRY_LOOKS[Math.min(failures, RETRY_LOOKS.length - 1)] ?? 1) - 1;
      failures += 1;
      log.error(
        { err, failures },
        'a backup could not be made and is tried again: check BACKUP_DIR and the user of the database',
      );
    }
  }

  let running: Promise<void> | null = null;
  const start = (): void => {
    running ??= round().finally(() => (running = null));
  };
  start();
  const timer = setInterval(start, lookMs);
  return {
    state: () => ({ lastAt, failures, isLate: failures > 0 || ageOf(lastAt ?? begunAt) > 2 * everyMs }),
    async stop() {
      over.abort();
      clearInterval(timer);
      await running;
    },
  };
}

async function* followedBy(first: string | undefined, rest: AsyncIterable<string>): AsyncGenerator<string> {
  if (first !== undefined) yield first;
  yield* rest;
}
