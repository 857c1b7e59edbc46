import type { EntityManager } from '@mikro-orm/postgresql';
import type { Happening, Lifecycle } from '../../../domain/happenings.ts';
import { next } from '../../../domain/next-lifecycle.ts';
import { db } from '../../db.ts';
import { sql } from '../../sql.ts';
import { LIFECYCLE_COLUMNS, readLifecycle } from './find-lifecycle.ts';
import type { StoredLifecycle } from './find-lifecycle.ts';
import { wakeInstance } from '../sleep/wake-instance.ts';

interface Change {
  instanceId: string;
  happening: Happening;
  /** By default the database's time. */
  now?: Date;
  /** Whether this may happen to the row as it is now: by its fences, its wish or its gateway. By default always. */
  allows?: (row: StoredLifecycle) => boolean;
}

/**
 * The one writer of the lifecycle of instances, in the caller's transaction: locks the row, asks whether this may happen
 * to it, and writes what `next` makes of it. Wakes the reconciler for what comes from outside its steps. Answers the row
 * before and after it; null, and nothing changed, when it may not happen, or there is no such instance.
 */
export async function changeLifecycle(
  em: EntityManager,
  { instanceId, happening, now, allows = () => true }: Change,
): Promise<{ before: StoredLifecycle; after: Lifecycle } | null> {
  if (!em.isInTransaction()) throw new Error('the lifecycle of an instance is changed within a transaction');
  const before = await readLifecycle(em, instanceId, { lock: true });
  if (!before || !allows(before)) return null;
  const after = next(before, happening, now ?? before.databaseNow);
  await save(em, instanceId, before, after);
  if (WAKES.has(happening.kind)) await wakeInstance(em, instanceId);
  return { before, after };
}

/** The others happen within a step, or within a transaction that wakes for another reason. */
const WAKES: ReadonlySet<Happening['kind']> = new Set<Happening['kind']>([
  'power-asked',
  'look-asked',
  'content-asked',
  'content-drifted',
  'died',
  'found-lost',
  'broke-down',
  'fell-asleep',
  'suspension-ended',
  'woken',
]);

async function save(em: EntityManager, instanceId: string, before: Lifecycle, after: Lifecycle): Promise<void> {
  const changed = LIFECYCLE_COLUMNS.filter((column) => before[column] !== after[column]);
  if (changed.length === 0) return;
  const { deaths, failedStarts, breakdowns, ...scalars } = after;
  const values = { ...scalars, deaths: arrayOf(deaths), failedStarts: arrayOf(failedStarts), breakdowns: arrayOf(breakdowns) };
  const entries = changed.map((column) => [column, values[column]] as const);
  await db(em).updateTable('Instance').set(Object.fromEntries(entries)).where('id', '=', instanceId).execute();
}

function arrayOf(moments: readonly Date[]) {
  return sql<Date[]>`${`{${moments.map((moment) => moment.toISOString()).join(',')}}`}::timestamptz[]`;
}
