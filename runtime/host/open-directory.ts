import { constants } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { isAbsolute, join, relative } from 'node:path';
import { isErrno } from '../../lib/errno.ts';
import { UnsafePathError } from '../driver.ts';

/** An open directory. Its entries are reached through the handle, so a rename above it changes nothing. */
export interface Directory {
  handle: FileHandle;
  path: string;
}

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;

/**
 * Walks down to the parent of the last part, one component at a time, and follows no link. Null: a component is missing, and
 * `create` does not make it. Throws UnsafePathError when a link or file stands where a directory belongs.
 */
export async function withParent<T>(
  root: string,
  parts: readonly string[],
  { create }: { create: boolean },
  work: (parent: Directory, last: string) => Promise<T>,
): Promise<T | null> {
  const last = parts.at(-1);
  if (last === undefined) throw new UnsafePathError('The path names the whole directory of the instance.');
  let current: Directory | null = null;
  try {
    current = await openRoot(root);
    for (const part of parts.slice(0, -1)) {
      if (create) await makeDirectory(current, part);
      const next = await openDirectory(current, part);
      await current.handle.close();
      current = next;
    }
    return await work(current, last);
  } catch (error) {
    if (isErrno(error, 'ENOENT') && !create) return null;
    if (isErrno(error, 'ENOTDIR', 'ELOOP', 'EISDIR'))
      throw new UnsafePathError(`Something else stands where a directory or file belongs: ${parts.join('/')}.`, { cause: error });
    throw error;
  } finally {
    await current?.handle.close();
  }
}

/** Opens the directory below which agents may write. It is ours, so its own path is followed. */
export async function openRoot(path: string): Promise<Directory> {
  return { handle: await open(path, O_RDONLY | O_DIRECTORY), path };
}

/** Opens a directory in this one. Fails with ENOTDIR or ELOOP for a link. */
export async function openDirectory(parent: Directory, name: string): Promise<Directory> {
  return {
    handle: await open(entry(parent, name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
    path: join(parent.path, name),
  };
}

/** Makes a directory in this one, unless something has that name already. */
export async function makeDirectory(parent: Directory, name: string): Promise<void> {
  try {
    await mkdir(entry(parent, name), { mode: 0o700 });
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  }
}

/** The path of an entry of an open directory, good for as long as that is open. */
export function entry(parent: Directory, name: string): string {
  return join(contents(parent), name);
}

/** Linux reaches an open directory by its descriptor; elsewhere each component was checked when it was opened. */
export function contents({ handle, path }: Directory): string {
  return process.platform === 'linux' ? `/proc/self/fd/${handle.fd}` : path;
}

/** The names of a path below the root, relative to it or absolute. Throws UnsafePathError when it leaves the root. */
export function partsWithin(root: string, path: string): string[] {
  return partsOf(isAbsolute(path) ? relative(root, path) : path);
}

/** The names of a relative path. Throws UnsafePathError when it leaves its directory. */
export function partsOf(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (isAbsolute(path) || path.includes('\0') || parts.includes('..'))
    throw new UnsafePathError(`The path leaves the directory of the instance: ${JSON.stringify(path)}.`);
  return parts;
}
