import { access, constants, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../../lib/errno.ts';
import { withLock } from '../../lib/async/file-lock.ts';

/** Longer than another start takes to build them on a slow machine. */
const LOCK_MS = 20 * 60_000;

/** Programs could not be had. The message says why and what to do. */
export class ProgramsError extends Error {}

export interface InstallOptions {
  cacheDir: string;
  /** For PATH, HOME, and Go's own settings (proxy, caches). */
  env: Readonly<Record<string, string | undefined>>;
  onProgress?: (sentence: string) => void;
  signal?: AbortSignal;
}

export interface Programs {
  /** As a sentence begins: "Temporal". */
  title: string;
  /** What begins the names of their folders in the cache. */
  name: string;
  version: string;
  files: readonly string[];
  /** What they take on the disk, in words. */
  space: string;
}

/**
 * Answers the folder of these programs in the cache; when it is missing, `make` makes it. They are made in a temporary folder and
 * moved to their place in one step, so a half-made install is never used. Of two calls at once one waits for the other. Throws
 * ProgramsError.
 */
export async function installPrograms(
  programs: Programs,
  { cacheDir, signal }: InstallOptions,
  make: (directory: string) => Promise<void>,
): Promise<string> {
  const { title, name, version, space } = programs;
  const target = join(cacheDir, `${name}-${version}`);
  try {
    if (await areThere(target, programs)) return target;
    await mkdir(cacheDir, { recursive: true });
    await withLock(join(cacheDir, `${name}.lock`), { signal, timeoutMs: LOCK_MS }, () =>
      install(target, programs, { cacheDir, make }),
    );
    return target;
  } catch (error) {
    if (isErrno(error, 'ENOSPC'))
      throw new ProgramsError(`The disk is full: ${title} needs ${space} at ${target}. Free some space.`);
    if (isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR'))
      throw new ProgramsError(`${title} cannot be written to ${target}. Make that folder writable or set XDG_CACHE_HOME.`);
    throw error;
  }
}

async function install(
  target: string,
  programs: Programs,
  { cacheDir, make }: { cacheDir: string; make: (directory: string) => Promise<void> },
): Promise<void> {
  if (await areThere(target, programs)) return;
  const prefix = `.installing-${programs.name}-`;
  await removeLeftovers(cacheDir, prefix);
  try {
    const draft = await mkdtemp(join(cacheDir, prefix));
    await make(draft);
    if (!(await areThere(draft, programs)))
      throw new ProgramsError(
        `The installation of ${programs.title} ended without an error, but the program is missing. Start again.`,
      );
    await rm(target, { recursive: true, force: true });
    await rename(draft, target);
  } finally {
    await removeLeftovers(cacheDir, prefix);
  }
}

/** An install that was killed leaves its folder; what resists here stays until the next one. */
async function removeLeftovers(cacheDir: string, prefix: string): Promise<void> {
  const names = (await readdir(cacheDir)).filter((name) => name.startsWith(prefix));
  await Promise.allSettled(names.map((name) => rm(join(cacheDir, name), { recursive: true, force: true })));
}

async function areThere(directory: string, { files }: Programs): Promise<boolean> {
  return (await Promise.all(files.map((file) => isExecutable(join(directory, file))))).every(Boolean);
}

/** Whether this is a file that may be run. */
export async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
