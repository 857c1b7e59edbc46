import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { isErrno } from '../lib/errno.ts';
import { LockError, withLock } from '../lib/async/file-lock.ts';
import { replaceFile } from '../runtime/host/replace-file.ts';
import { Refusal } from './refusal.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where one machine keeps what it has, and the settings that were given to it. */
export interface Place {
  projectDir: string;
  dataDir: string;
  /** The folder of pid files. */
  runDir: string;
  logDir: string;
  /** The environment over `.env`, without empty values. */
  given: Record<string, string>;
}

/** Only a start that is just ending may still hold the lock for a moment. */
const LOCK_MS = 500;
const DEFAULT_DATA_DIR = '.thermidora';

/** Reads `.env` and makes the folders of DATA_DIR. */
export async function openPlace({ projectDir, env }: { projectDir: string; env: Environment }): Promise<Place> {
  const given = await readGiven({ projectDir, env });
  const dataDir = resolve(projectDir, given['DATA_DIR'] ?? DEFAULT_DATA_DIR);
  const place = { projectDir, dataDir, runDir: join(dataDir, 'run'), logDir: join(dataDir, 'logs'), given };
  // PostgreSQL may have to run as another user, which must be able to enter its folder inside.
  await mkdir(dataDir, { recursive: true, mode: 0o755 });
  for (const dir of [place.runDir, place.logDir]) await mkdir(dir, { recursive: true, mode: 0o700 });
  return place;
}

/** The environment over `.env`, without empty values. */
export async function readGiven({ projectDir, env }: { projectDir: string; env: Environment }): Promise<Place['given']> {
  return { ...withoutEmpty(await readDotEnv(join(projectDir, '.env'))), ...withoutEmpty(env) };
}

async function readDotEnv(file: string): Promise<Environment> {
  try {
    return parseEnv(await readFile(file, 'utf8'));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return {};
    throw error;
  }
}

function withoutEmpty(env: Environment): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => Boolean(entry[1])));
}

/** Runs the work while no other start can use this DATA_DIR. Throws Refusal when another one does. */
export async function withPlaceLocked<T>(
  { dataDir, runDir }: Pick<Place, 'dataDir' | 'runDir'>,
  work: () => Promise<T>,
): Promise<T> {
  const holderFile = join(runDir, 'start');
  let hasIt = false;
  try {
    return await withLock(join(dataDir, 'lock'), { timeoutMs: LOCK_MS }, async () => {
      hasIt = true;
      await replaceFile(holderFile, `${process.pid}\n`, 0o600);
      return work();
    });
  } catch (error) {
    if (hasIt || !(error instanceof LockError) || error.cause !== undefined) throw error;
    const holder = (await readFile(holderFile, 'utf8').catch(() => 'unknown')).trim();
    throw new Refusal(
      `Thermidora already runs on ${dataDir} (process ${holder}). Use it, or stop it with Ctrl-C where it runs or with "kill ${holder}". ` +
        'For a second one set DATA_DIR, PORT, RELAY_PORT and METRICS_PORT to others.',
    );
  }
}
