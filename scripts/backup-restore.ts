import { createReadStream } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { createGunzip } from 'node:zlib';
import { linesOf } from '../database/dump/lines-of.ts';
import { RestoreError, restoreDump } from '../database/dump/restore-dump.ts';
import { isErrno } from '../lib/errno.ts';
import { givenSettings } from '../lib/settings/config.ts';
import { openPlace, withPlaceLocked } from '../local/place.ts';
import type { Place } from '../local/place.ts';
import { startPostgres } from '../local/postgres/postgres.ts';
import { explain, Refusal } from '../local/refusal.ts';

/**
 * npm run backup:restore -- thermidora-....backup.gz
 *
 * Fills an empty database with a backup that a worker has made: that of DATABASE_URL, as its owner, or without it the PostgreSQL
 * in DATA_DIR, which is made where it is missing. A database that has accounts is refused. With everything stopped; the next
 * start brings it to this version.
 */
try {
  const [file] = process.argv.slice(2);
  if (file === undefined) throw new Refusal('Give the backup: npm run backup:restore -- <file>');
  const place = await openPlace({ projectDir: dirname(import.meta.dirname), env: process.env });
  await withPlaceLocked(place, () => restore(place, resolve(file)));
} catch (error) {
  process.stderr.write(`${explainRestore(error)}\n`);
  process.exitCode = 1;
}

async function restore({ given, dataDir }: Place, file: string): Promise<void> {
  const { DATABASE_URL: url } = givenSettings(given);
  const postgres = url === undefined ? await startPostgres({ dataDir: join(dataDir, 'postgres'), durable: true }) : null;
  try {
    const input = createReadStream(file);
    const text = createGunzip().setEncoding('utf8');
    input.once('error', (error) => text.destroy(error));
    const rows = await restoreDump(url ?? postgres?.url ?? '', linesOf(input.pipe(text)));
    process.stdout.write(`The database has all ${rows} rows of the backup.\n`);
  } finally {
    await postgres?.stop();
  }
}

function explainRestore(error: unknown): string {
  if (error instanceof RestoreError) return error.message;
  if (isErrno(error, 'Z_BUF_ERROR', 'Z_DATA_ERROR')) return 'The backup is incomplete or damaged. Take another one.';
  if (isErrno(error, 'ENOENT')) return 'There is no such file.';
  return explain(error);
}
