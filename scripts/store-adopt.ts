import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { migrate } from '../database/migrate.ts';
import { openPlace, withPlaceLocked } from '../local/place.ts';
import type { Place } from '../local/place.ts';
import { startPostgres } from '../local/postgres/postgres.ts';
import { explain } from '../local/refusal.ts';
import { completeSettings } from '../local/settings.ts';
import { adoptStores } from '../stores/adopt-stores.ts';

/**
 * Makes the database, DATA_DIR and MASTER_KEYS of these settings one installation, for when a start has refused them
 * and they are right. Nothing is deleted: what the database does not know is quarantined later. Say --yes to do it.
 * With everything stopped; without DATABASE_URL the PostgreSQL in DATA_DIR is used.
 */
try {
  const place = await openPlace({ projectDir: dirname(import.meta.dirname), env: process.env });
  if (process.argv.includes('--yes')) await withPlaceLocked(place, () => adopt(place));
  else refuse(place);
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = 1;
}

async function adopt(place: Place): Promise<void> {
  const { config, databaseUrl } = await completeSettings(place);
  const postgres =
    databaseUrl === undefined ? await startPostgres({ dataDir: join(place.dataDir, 'postgres'), durable: true }) : null;
  try {
    let id = '';
    await migrate(databaseUrl ?? postgres?.url ?? '', {
      after: async (em) => {
        id = await adoptStores(em, { config, randomBytes });
      },
    });
    process.stdout.write(`The database, ${place.dataDir} and MASTER_KEYS are the installation ${id} from now on.\n`);
  } finally {
    await postgres?.stop();
  }
}

function refuse({ dataDir, given }: Place): void {
  process.stderr.write(
    `This makes ${given['DATABASE_URL'] === undefined ? `the PostgreSQL in ${dataDir}` : 'the database of DATABASE_URL'}, ${dataDir} and MASTER_KEYS ` +
      'one installation. Instances whose storage is not there start empty, secrets of other keys cannot be read any more, and ' +
      'storage that no instance owns is quarantined. If that is right, stop everything and run "npm run store:adopt -- --yes".\n',
  );
  process.exitCode = 1;
}
