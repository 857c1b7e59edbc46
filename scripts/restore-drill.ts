import { dirname, resolve } from 'node:path';
import { createProgress } from '../local/progress.ts';
import { readGiven } from '../local/place.ts';
import { explain, Refusal } from '../local/refusal.ts';
import { drillRestore } from '../local/postgres/restore-drill.ts';

/**
 * npm run restore:drill -- data.tgz
 *
 * Restores this backup of a DATA_DIR into an empty folder, starts everything on it and has one agent answer. Whatever
 * else runs on this machine goes on. Ends with 0 when an agent has answered.
 */
const now = () => performance.now();
const progress = createProgress((line) => process.stdout.write(`${line}\n`), now);
const projectDir = dirname(import.meta.dirname);
try {
  const [archive] = process.argv.slice(2);
  if (archive === undefined) throw new Refusal('Give the backup file: npm run restore:drill -- data.tgz');
  const given = await readGiven({ projectDir, env: process.env });
  const answer = await drillRestore({ archive: resolve(archive), given, projectDir, progress, now });
  process.stdout.write(`The backup can be restored: one of its agents replied with ${answer.length} characters.\n`);
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = 1;
}
