import { isUtf8 } from 'node:buffer';
import type { Dirent } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { agentFilePathProblem } from '../../domain/agents/agent-file-path.ts';
import { isErrno } from '../../lib/errno.ts';
import { UnsafePathError } from '../driver.ts';
import { FolderTooLargeError } from '../driver-files.ts';
import type { FileFacts, FilesPage, ListOptions } from '../driver-files.ts';
import { factsOf } from './file-facts.ts';
import { contents, entry, openDirectory, partsWithin, withParent } from './open-directory.ts';
import type { Directory } from './open-directory.ts';

/** Entries that one folder may have: they are put in order in memory. */
const MAX_ENTRIES = 100_000;
/** What one page may cost, counted in entries that are looked at; then it ends, however few files it has. */
const PAGE_COST = 100_000;
/** To open a folder takes as long as to look at so many entries. */
const FOLDER_COST = 50;
/** Files that are asked for their size at once. */
const AT_ONCE = 64;

type Listing = Omit<ListOptions, 'signal'> & { signal?: AbortSignal };

/** What a folder holds, by the path that decides its place: that of a folder ends with a slash. */
interface Found {
  key: string;
  name: string;
  isFolder: boolean;
}

interface Walk extends Listing {
  files: FileFacts[];
  cost: number;
  next: string | null;
}

/**
 * The files below a directory that agents may write too, in the order of their paths. No link is followed, and what is no
 * regular file, has a name that no path can have or is the gateway's own is left out, as are folders that cannot be opened. A page
 * ends early where it has cost enough. Throws FolderTooLargeError.
 */
export async function listFilesBelow(root: string, directory: string, options: Listing): Promise<FilesPage> {
  const walk: Walk = { ...options, files: [], cost: 0, next: null };
  try {
    await withParent(root, [...partsWithin(root, directory), '.'], { create: false }, (workspace) => visit(walk, workspace, ''));
  } catch (error) {
    if (!(error instanceof UnsafePathError) && !isErrno(error, 'EACCES')) throw error;
  }
  return { files: walk.files, next: walk.next };
}

/** Goes through one folder, whose path is empty or ends with a slash. */
async function visit(walk: Walk, directory: Directory, folder: string): Promise<void> {
  for (const run of runsIn(await entriesOf(walk, directory, folder))) {
    if (walk.next !== null) return;
    walk.signal?.throwIfAborted();
    if (!Array.isArray(run)) {
      if (mustEnd(walk, run.key)) walk.next = run.key;
      else await visitFolder(walk, directory, run);
      continue;
    }
    const files = run.slice(0, walk.limit - walk.files.length);
    const seen = await Promise.all(files.map((file) => look(directory, file)));
    walk.files.push(...seen.filter((facts) => facts !== null));
    if (files.length < run.length) walk.next = files.at(-1)?.key ?? walk.files.at(-1)?.path ?? walk.after;
  }
}

/** Each folder for itself, and the files between two of them together, a few at a time. */
function* runsIn(found: readonly Found[]): Generator<Found | Found[]> {
  let files: Found[] = [];
  for (const one of found) {
    if (one.isFolder || files.length === AT_ONCE) {
      if (files.length > 0) yield files;
      files = [];
    }
    if (one.isFolder) yield one;
    else files.push(one);
  }
  if (files.length > 0) yield files;
}

/** A page goes on at least to the first folder that the one before did not go into. */
function mustEnd({ files, limit, cost, after }: Walk, key: string): boolean {
  return files.length === limit || (cost > PAGE_COST && !after.startsWith(key));
}

async function visitFolder(walk: Walk, parent: Directory, { key, name }: Pick<Found, 'key' | 'name'>): Promise<void> {
  const child = await openDirectory(parent, name).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES')) return null;
    throw error;
  });
  if (!child) return;
  try {
    await visit(walk, child, key);
  } finally {
    await child.handle.close();
  }
}

async function entriesOf(walk: Walk, directory: Directory, folder: string): Promise<Found[]> {
  const found: Found[] = [];
  let count = 0;
  // A character for each byte: a name need not be text.
  const entries = await opendir(contents(directory), { encoding: 'latin1', bufferSize: 1_024 });
  for await (const one of entries) {
    if ((count += 1) > MAX_ENTRIES)
      throw new FolderTooLargeError(`The folder ${folder || '/'} has more than ${MAX_ENTRIES} entries.`);
    const entryFound = foundOf(one, folder);
    // Last, because it costs most.
    if (entryFound && isWanted(walk, entryFound) && agentFilePathProblem(folder + entryFound.name) === null)
      found.push(entryFound);
  }
  walk.cost += FOLDER_COST + count;
  return found.toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

function foundOf(one: Dirent, folder: string): Found | null {
  const isFolder = one.isDirectory();
  const bytes = Buffer.from(one.name, 'latin1');
  if ((!isFolder && !one.isFile()) || !isUtf8(bytes)) return null;
  const name = bytes.toString('utf8');
  const path = folder + name;
  return { key: isFolder ? `${path}/` : path, name, isFolder };
}

function isWanted({ prefix, after }: Walk, { key, isFolder }: Found): boolean {
  if (!key.startsWith(prefix) && !(isFolder && prefix.startsWith(key))) return false;
  return key > after || (isFolder && after.startsWith(key));
}

/** Null: it is gone, or something else by now. */
async function look(directory: Directory, { key, name }: Found): Promise<FileFacts | null> {
  try {
    const stats = await lstat(entry(directory, name), { bigint: true });
    return stats.isFile() ? factsOf(key, stats) : null;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}
