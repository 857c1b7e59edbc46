import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readdir, rename, rm, rmdir, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { isAbsolute, join, relative } from 'node:path';
import { isErrno } from '../../lib/errno.ts';
import { UnsafePathError } from '../driver.ts';

/** An open directory. Its entries are reached through the handle, so a rename above it changes nothing. */
interface Directory {
  handle: FileHandle;
  path: string;
}

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;

/**
 * Writes each file in one step below a directory that agents may write too. No link that they planted is followed:
 * one in the way is UnsafePathError, one in place of the file is replaced. `directory` is relative to the root, or
 * absolute within it.
 */
export async function putFilesBelow(root: string, directory: string, files: ReadonlyMap<string, Buffer>): Promise<void> {
  const base = partsWithin(root, directory);
  for (const [name, content] of files) {
    const parts = [...base, ...partsOf(name)];
    await withParent(root, parts, { create: true }, async (parent, last) => {
      const draft = entry(parent, `.${randomUUID()}.new`);
      try {
        await writeNewFile(draft, content);
        await rename(draft, entry(parent, last));
      } catch (error) {
        await rm(draft, { force: true });
        throw error;
      }
    });
  }
}

async function writeNewFile(path: string, content: Buffer): Promise<void> {
  const file = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    await file.writeFile(content);
  } finally {
    await file.close();
  }
}

/** Removes files, links themselves, and whole directories below the root. What is not there is fine. */
export async function removePathsBelow(root: string, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    await withParent(root, partsWithin(root, path), { create: false }, removeEntry);
  }
}

async function removeEntry(parent: Directory, name: string): Promise<void> {
  const directory = await openDirectory(parent, name).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return null;
    throw error;
  });
  if (directory) {
    try {
      for (const child of await readdir(contents(directory))) await removeEntry(directory, child);
    } finally {
      await directory.handle.close();
    }
  }
  try {
    await (directory ? rmdir : unlink)(entry(parent, name));
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

/** Walks down to the parent of the last part, one component at a time. Without `create`, a missing one ends it. */
async function withParent(
  root: string,
  parts: readonly string[],
  { create }: { create: boolean },
  work: (parent: Directory, last: string) => Promise<void>,
): Promise<void> {
  const last = parts.at(-1);
  if (last === undefined) throw new UnsafePathError('The path names the whole directory of the instance.');
  let current: Directory | null = null;
  try {
    current = { handle: await open(root, O_RDONLY | O_DIRECTORY), path: root };
    for (const part of parts.slice(0, -1)) {
      if (create) await makeDirectory(current, part);
      const next = await openDirectory(current, part);
      await current.handle.close();
      current = next;
    }
    await work(current, last);
  } catch (error) {
    if (isErrno(error, 'ENOENT') && !create) return;
    if (isErrno(error, 'ENOTDIR', 'ELOOP', 'EISDIR'))
      throw new UnsafePathError(`Something else stands where a directory or file belongs: ${parts.join('/')}.`, { cause: error });
    throw error;
  } finally {
    await current?.handle.close();
  }
}

async function makeDirectory(parent: Directory, name: string): Promise<void> {
  try {
    await mkdir(entry(parent, name), { mode: 0o700 });
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  }
}

async function openDirectory(parent: Directory, name: string): Promise<Directory> {
  return {
    handle: await open(entry(parent, name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
    path: join(parent.path, name),
  };
}

function entry(parent: Directory, name: string): string {
  return join(contents(parent), name);
}

/** Linux reaches an open directory by its descriptor; elsewhere each component was checked when it was opened. */
function contents({ handle, path }: Directory): string {
  return process.platform === 'linux' ? `/proc/self/fd/${handle.fd}` : path;
}

function partsWithin(root: string, path: string): string[] {
  return partsOf(isAbsolute(path) ? relative(root, path) : path);
}

/** The names of a relative path. Throws UnsafePathError when it leaves its directory. */
export function partsOf(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (isAbsolute(path) || path.includes('\0') || parts.includes('..'))
    throw new UnsafePathError(`The path leaves the directory of the instance: ${JSON.stringify(path)}.`);
  return parts;
}
