import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readdir, rename, rm, rmdir, unlink } from 'node:fs/promises';
import { isErrno } from '../../lib/errno.ts';
import { contents, entry, openDirectory, partsOf, partsWithin, withParent } from './open-directory.ts';
import type { Directory } from './open-directory.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;

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
