import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, opendir, rename, rm, rmdir, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { isErrno } from '../../lib/errno.ts';
import { UnsafePathError } from '../driver.ts';
import { FileChangedError, FileTooLargeError, NoStorageError } from '../driver-files.ts';
import type { FileFacts, WriteOptions } from '../driver-files.ts';
import { factsOf, isAmong } from './file-facts.ts';
import { contents, entry, partsOf, partsWithin, withParent } from './open-directory.ts';
import type { Directory } from './open-directory.ts';
import { lookAt } from './read-file.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
/** Beside the workspaces: files that are on their way. */
const DRAFTS = 'uploads';
/** Nobody writes for so long; its writer was killed. */
const LEFT_MS = 3_600_000;
/** So much is tidied up at once. */
const TIDIED = 100;

export interface FilePlace {
  directory: string;
  path: string;
}

/**
 * Writes a file below a directory that agents may write too: beside it first, then in one step in its place. No link is followed;
 * one in the place of the file is replaced. Calls for one root come one after the other, so that `onlyIf` holds.
 */
export async function writeFileBelow(
  root: string,
  { directory, path }: FilePlace,
  content: AsyncIterable<Buffer>,
  { onlyIf, maxBytes }: Pick<WriteOptions, 'onlyIf' | 'maxBytes'>,
): Promise<FileFacts> {
  const parts = [...partsWithin(root, directory), ...partsOf(path)];
  const written = await inDrafts(root, async (drafts, name) => {
    await tidyUp(drafts);
    const draft = entry(drafts, name);
    const file = await open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      await writeAll(file, content, maxBytes);
      await withParent(root, parts, { create: true }, async (parent, last) => {
        const place = entry(parent, last);
        const present = await lookAt(place, path);
        if (onlyIf !== null && !(present && isAmong(onlyIf, present)))
          throw new FileChangedError(`${path} is not in the state that was asked for.`);
        await rename(draft, place);
      });
      return factsOf(path, await file.stat({ bigint: true }));
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    } finally {
      await file.close();
    }
  });
  if (!written) throw new UnsafePathError(`The folder ${DRAFTS} of the instance cannot be used.`);
  return written;
}

async function inDrafts<T>(root: string, work: (drafts: Directory, name: string) => Promise<T>): Promise<T | null> {
  try {
    await lstat(root);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) throw new NoStorageError('Nothing is stored of this instance.');
    throw error;
  }
  return withParent(root, [DRAFTS, `${randomUUID()}.new`], { create: true }, work);
}

async function writeAll(file: FileHandle, content: AsyncIterable<Buffer>, maxBytes: number): Promise<void> {
  let size = 0;
  for await (const chunk of content) {
    size += chunk.length;
    if (size > maxBytes) throw new FileTooLargeError(`A file can have at most ${maxBytes} bytes.`);
    await file.writeFile(chunk);
  }
  await file.datasync();
}

async function tidyUp(drafts: Directory): Promise<void> {
  let seen = 0;
  for await (const { name } of await opendir(contents(drafts))) {
    if ((seen += 1) > TIDIED) return;
    const place = entry(drafts, name);
    const stats = await lstat(place).catch(() => null);
    if (stats && !stats.isDirectory() && stats.mtimeMs < Date.now() - LEFT_MS) await rm(place, { force: true });
  }
}

/** Removes a regular file. False when there is none. Folders that are empty then go too where that is asked for. */
export async function removeFileBelow(
  root: string,
  { directory, path }: FilePlace,
  { withEmptyFolders = false }: { withEmptyFolders?: boolean | undefined } = {},
): Promise<boolean> {
  const parts = [...partsWithin(root, directory), ...partsOf(path)];
  try {
    const removed = await withParent(root, parts, { create: false }, async (parent, last) => {
      if (!(await lookAt(entry(parent, last), path))) return false;
      await unlink(entry(parent, last));
      return true;
    });
    // One directly in the directory stays: another file may be on its way there.
    const least = partsWithin(root, directory).length + 1;
    if (withEmptyFolders) await removeEmptyFolders(root, parts.slice(0, -1), least);
    return removed ?? false;
  } catch (error) {
    if (error instanceof UnsafePathError) return false;
    throw error;
  }
}

/** Removes a folder and those above it that have more than so many parts, up to the first one that is not empty. */
async function removeEmptyFolders(root: string, parts: readonly string[], least: number): Promise<void> {
  for (let depth = parts.length; depth > least; depth -= 1) {
    try {
      await withParent(root, parts.slice(0, depth), { create: false }, (parent, last) => rmdir(entry(parent, last)));
    } catch (error) {
      if (error instanceof UnsafePathError || isErrno(error, 'ENOTEMPTY', 'EEXIST')) return;
      throw error;
    }
  }
}
