import { spawn } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate } from '../database/migrate.ts';
import { startPostgres } from '../local/postgres/postgres.ts';

/** Runs a command with DATABASE_URL set to a new database that has every migration, and ends as the command ends. */
const [command, ...args] = process.argv.slice(2);
if (command === undefined) throw new Error('Give the command to run: node scripts/with-database.ts <command> ...');

const directory = await mkdtemp(join(tmpdir(), 'thermidora-database-'));
await chmod(directory, 0o755);
const postgres = await startPostgres({ dataDir: join(directory, 'postgres'), durable: false });
try {
  await migrate(postgres.url);
  const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, DATABASE_URL: postgres.url } });
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
} finally {
  await postgres.stop();
  await rm(directory, { recursive: true });
}
