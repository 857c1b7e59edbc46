import type { DatabaseMark } from '../database/stores/installation.ts';

/** What is known of a database and a DATA_DIR that a process was started with. */
export interface Stores {
  database: Pick<DatabaseMark, 'id' | 'isClaimed' | 'hasStorage'>;
  dataDir: {
    /** Whether it is what instances are stored in; else a cluster stores them, and a new folder on each machine is as it should be. */
    hasStorage: boolean;
    /** Null: it has no mark. */
    id: string | null;
    /** How many runtimes it has, and how many of them the database knows. */
    runtimes: number;
    known: number;
  };
}

export type Verdict =
  | { kind: 'together' }
  /** Nothing contradicts: both get this id. Null: the database gets one when it is migrated. */
  | { kind: 'claim'; id: string | null }
  | { kind: 'refused'; because: string };

/**
 * Whether a database and a DATA_DIR belong together. Two that have ids do when the ids are equal. While one of them has
 * none, because it is new or of an earlier version, what they hold decides.
 */
export function judgeStores({ database, dataDir }: Stores): Verdict {
  if (!dataDir.hasStorage && dataDir.id === null && dataDir.runtimes === 0) return { kind: 'claim', id: database.id };
  if (database.isClaimed) {
    if (dataDir.id === database.id) return { kind: 'together' };
    return refused(
      dataDir.id === null
        ? `The database belongs to the installation ${database.id}, and DATA_DIR has no mark of an installation: it is new, or not the right folder.`
        : `The database belongs to the installation ${database.id}, and DATA_DIR to ${dataDir.id}.`,
    );
  }
  if (dataDir.id !== null && dataDir.id === database.id) return { kind: 'claim', id: database.id };
  if (dataDir.runtimes > 0 && dataDir.known === 0)
    return refused(
      `DATA_DIR has the storage of ${dataDir.runtimes} instances, and the database knows none of them: it is empty, or not the right one.`,
    );
  if (dataDir.runtimes === 0 && database.hasStorage)
    return refused(
      'The database has instances that were started, and DATA_DIR has the storage of none: it is not the right folder.',
    );
  if (dataDir.runtimes === 0 && dataDir.id !== null)
    return refused(`DATA_DIR belongs to the installation ${dataDir.id}, and the database is new: it is not the right one.`);
  return { kind: 'claim', id: dataDir.id ?? database.id };
}

function refused(because: string): Verdict {
  return { kind: 'refused', because };
}
