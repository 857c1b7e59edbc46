import { readFile, readdir, stat } from 'node:fs/promises';
import { isErrno } from '../../lib/errno.ts';

/** Null when there is no such file. */
export function textOf(file: string): Promise<string | null> {
  return orNull(() => readFile(file, 'utf8'));
}

/** None when there is no such directory. */
export async function namesIn(directory: string): Promise<string[]> {
  return (await orNull(() => readdir(directory))) ?? [];
}

export async function exists(path: string): Promise<boolean> {
  return (await orNull(() => stat(path))) !== null;
}

async function orNull<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}
