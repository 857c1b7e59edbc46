import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readdir, realpath, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { isErrno } from '../../lib/errno.ts';
import { replaceFile } from '../../runtime/host/replace-file.ts';
import { PostgresError } from './postgres-account.ts';
import type { PostgresAccount } from './postgres-account.ts';

/** The database user that owns everything of ours. */
export const DATABASE_USER = 'thermidora';

/** How the names of folders begin in which a cluster is being made. */
const DRAFT = 'new-cluster-';

export interface Cluster {
  /** PostgreSQL's own data directory, as its user reaches it. */
  directory: string;
  password: string;
}

/**
 * Makes the cluster of this data directory (an absolute path) where it is missing. It is made in a temporary folder and moved to its
 * place in one step, so a half-made cluster is never used. Where PostgreSQL's user cannot enter the data directory, a link takes its place.
 */
export async function ensureCluster(
  dataDir: string,
  options: { programs: string; account: PostgresAccount; durable: boolean },
): Promise<Cluster> {
  const password = await readOrMakePassword(join(dataDir, 'password'));
  const place = join(dataDir, 'cluster');
  if (!(await exists(place))) {
    await rm(place, { force: true }); // a link whose folder is gone
    await removeDrafts(dataDir);
    const parent = await options.account.reachable(dataDir);
    const draft = await mkdtemp(join(parent, parent === dataDir ? DRAFT : 'postgres-'));
    await initialise(draft, password, options);
    await (parent === dataDir ? rename(draft, place) : symlink(draft, place));
  }
  return { directory: await realpath(place), password };
}

async function initialise(
  directory: string,
  password: string,
  { programs, account, durable }: { programs: string; account: PostgresAccount; durable: boolean },
): Promise<void> {
  const passwordFile = `${directory}.password`;
  try {
    await writeFile(passwordFile, password, { mode: 0o600 });
    await Promise.all([account.own(passwordFile), account.own(directory)]);
    const args = [
      ...['--pgdata', directory, '--username', DATABASE_USER, '--pwfile', passwordFile, '--auth', 'scram-sha-256'],
      // Not the machine's language: text sorts and compares alike everywhere.
      ...['--encoding', 'UTF8', '--locale', 'C', '--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8'],
      ...(durable ? [] : ['--no-sync']),
    ];
    await promisify(execFile)(join(programs, 'initdb'), args, { ...account.ids, cwd: dirname(directory), env: {} });
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw new PostgresError(`PostgreSQL could not make its data directory ${directory}: ${reasonOf(error)}`, { cause: error });
  } finally {
    await rm(passwordFile, { force: true });
  }
}

function reasonOf(error: unknown): string {
  const output = typeof error === 'object' && error !== null && 'stderr' in error ? String(error.stderr).trim() : '';
  return output || String(error);
}

async function readOrMakePassword(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  const password = randomBytes(24).toString('base64url');
  await replaceFile(file, password, 0o600);
  return password;
}

async function removeDrafts(dataDir: string): Promise<void> {
  const drafts = (await readdir(dataDir)).filter((name) => name.startsWith(DRAFT));
  await Promise.all(drafts.map((name) => rm(join(dataDir, name), { recursive: true, force: true })));
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}
