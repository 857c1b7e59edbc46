import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { isErrno } from '../../lib/errno.ts';
import { UnsafePathError } from '../driver.ts';
import { FileChangedError } from '../driver-files.ts';
import type { FileFacts, FileRead, ReadOptions } from '../driver-files.ts';
import { bytesOfRange, factsOf, isAmong } from './file-facts.ts';
import type { Bytes } from './file-facts.ts';
import { entry, partsOf, partsWithin, withParent } from './open-directory.ts';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
const CHUNK_BYTES = 64 * 1024;
/** Longer than the steps of the clock that file systems take their times from. */
const CLOCK_STEP_MS = 20;

/**
 * Opens a file below a directory that agents may write too. No link is followed, and nothing but a regular file is opened.
 * Throws what the system says of a file that cannot be read.
 */
export async function readFileBelow(
  root: string,
  { directory, path }: { directory: string; path: string },
  { range, unless }: Pick<ReadOptions, 'range' | 'unless'>,
): Promise<FileRead> {
  const opened = await openFile(root, { directory, path });
  if (!opened) return { kind: 'none' };
  const { handle, facts } = opened;
  const place = bytesOfRange(range, facts.size);
  const isSame = unless !== null && isAmong(unless, facts);
  if (!isSame && place) return { kind: 'content', facts, ...place, content: contentOf(handle, facts, place) };
  await handle.close();
  return { kind: isSame ? 'unchanged' : 'unsatisfiable', facts };
}

async function openFile(
  root: string,
  { directory, path }: { directory: string; path: string },
): Promise<{ handle: FileHandle; facts: FileFacts } | null> {
  try {
    return await withParent(
      root,
      [...partsWithin(root, directory), ...partsOf(path)],
      { create: false },
      async (parent, last) => {
        const place = entry(parent, last);
        // A device may do something when it is opened.
        if (!(await lstat(place)).isFile()) return null;
        const handle = await open(place, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
        try {
          const facts = await settledFacts(handle, path);
          if (!facts) await handle.close();
          return facts && { handle, facts };
        } catch (error) {
          await handle.close();
          throw error;
        }
      },
    );
  } catch (error) {
    if (error instanceof UnsafePathError) return null;
    throw error;
  }
}

/** Null: it is no regular file. A file that was changed a moment ago could be changed again without another time. */
async function settledFacts(handle: FileHandle, path: string): Promise<FileFacts | null> {
  const stats = await handle.stat({ bigint: true });
  if (!stats.isFile()) return null;
  if (Math.abs(Date.now() - Number(stats.ctimeMs)) > CLOCK_STEP_MS) return factsOf(path, stats);
  await sleep(CLOCK_STEP_MS);
  return factsOf(path, await handle.stat({ bigint: true }));
}

/** Its last bytes come only once it is certain that the file is still the same. */
function contentOf(handle: FileHandle, facts: FileFacts, { from, bytes }: Bytes): Readable {
  const end = from + bytes;
  let position = from;

  async function next(): Promise<Buffer | null> {
    if (position === end) return null;
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, end - position));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
    position += bytesRead;
    const isOver = bytesRead === 0 || position === end;
    if (isOver && factsOf(facts.path, await handle.stat({ bigint: true })).etag !== facts.etag)
      throw new FileChangedError('The file was changed while it was read.');
    if (bytesRead === 0) throw new FileChangedError('The file ended while it was read.');
    return buffer.subarray(0, bytesRead);
  }

  return new Readable({
    highWaterMark: CHUNK_BYTES,
    read() {
      next().then(
        (chunk) => this.push(chunk),
        (error: Error) => this.destroy(error),
      );
    },
    destroy(error, done) {
      handle.close().then(
        () => done(error),
        (closing: Error) => done(error ?? closing),
      );
    },
  });
}

/** What stands in the place of a file: null when nothing does. Throws UnsafePathError for a folder. */
export async function lookAt(place: string, path: string): Promise<FileFacts | null> {
  try {
    const stats = await lstat(place, { bigint: true });
    if (stats.isDirectory()) throw new UnsafePathError(`${path} is a folder.`);
    return stats.isFile() ? factsOf(path, stats) : null;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}
