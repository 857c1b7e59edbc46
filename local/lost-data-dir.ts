import { join } from 'node:path';
import { givenSettings } from '../lib/settings/config.ts';
import { readDataDirMark, runtimesIn } from '../runtime/data-dir-mark.ts';
import { exists } from '../runtime/host/missing-files.ts';
import { readMarkOf } from '../stores/read-mark-of.ts';
import type { Place } from './place.ts';
import { reachDatabase } from './postgres/reach-database.ts';
import { Refusal } from './refusal.ts';

/**
 * Throws Refusal when DATA_DIR has lost its keys or its PostgreSQL, or a database that is in use was given to a new one:
 * a start would make new keys or an empty database in their place. Writes nothing.
 */
export async function refuseLostDataDir({ dataDir, given }: Pick<Place, 'dataDir' | 'given'>): Promise<void> {
  const { MASTER_KEYS, DATABASE_URL } = givenSettings(given);
  const isInUse = (await readDataDirMark(dataDir)) !== null || (await runtimesIn(dataDir)).length > 0;
  if (isInUse && DATABASE_URL === undefined && !(await exists(join(dataDir, 'postgres', 'cluster'))))
    throw new Refusal(
      `${dataDir} belongs to an installation, and its PostgreSQL in ${join(dataDir, 'postgres')} is gone. Put it back, or restore ` +
        'a backup, then start again. To go on with an empty database run "npm run store:adopt".',
    );
  if (MASTER_KEYS !== undefined || (await exists(join(dataDir, 'master-keys')))) return;
  if (isInUse)
    throw new Refusal(
      `${dataDir} belongs to an installation, and its keys in ${join(dataDir, 'master-keys')} are gone. Put the file back from a ` +
        'backup, or set MASTER_KEYS, then start again.',
    );
  if (DATABASE_URL === undefined) return;
  const { hasAccounts } = await reachDatabase(() => readMarkOf(DATABASE_URL));
  if (hasAccounts)
    throw new Refusal(
      `The database of DATABASE_URL is in use, and ${dataDir} is new: it has neither the keys nor the storage that belong to it. ` +
        'Set DATA_DIR to the folder of that installation, or restore it from a backup, then start again.',
    );
}
