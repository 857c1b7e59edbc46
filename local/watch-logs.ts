import { copyFile, open, stat, truncate } from 'node:fs/promises';
import { isErrno } from '../lib/errno.ts';

const EVERY_MS = 300;
const MEBIBYTE = 1024 ** 2;
const LARGEST = 20 * MEBIBYTE;
/** One look reads no more than this, so that a flood of lines costs no memory. */
const CHUNK = MEBIBYTE;

export interface WatchedLog {
  file: string;
  /** Gets every line that is written from now on. */
  onLine?: (line: string) => void;
}

/**
 * Reads logs on, and keeps them small: one that has grown large is copied to `<file>.1` and emptied. What writes them
 * has them open for appending and never notices. The returned function looks a last time and ends it.
 */
export async function watchLogs(
  logs: readonly WatchedLog[],
  { everyMs = EVERY_MS, largest = LARGEST }: { everyMs?: number; largest?: number } = {},
): Promise<() => Promise<void>> {
  const followed = await Promise.all(logs.map(async (log) => ({ ...log, position: await sizeOf(log.file), rest: '' })));
  let look: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    look = look.then(() => lookAtAll(followed, largest));
  }, everyMs);
  return async () => {
    clearInterval(timer);
    await look;
    await lookAtAll(followed, largest);
  };
}

interface Followed extends WatchedLog {
  position: number;
  rest: string;
}

async function lookAtAll(logs: Followed[], largest: number): Promise<void> {
  for (const log of logs) {
    try {
      await readOn(log, log.file);
      if ((await sizeOf(log.file)) < largest) continue;
      const kept = `${log.file}.1`;
      await copyFile(log.file, kept);
      // What came since it was read is in the copy.
      await readOn(log, kept);
      await truncate(log.file);
      log.position = 0;
    } catch {
      // A log that cannot be read or kept small, on a full disk for example, must not end what it is the log of.
    }
  }
}

/** Passes on the lines of this file, the log or its copy, from where the last one ended. */
async function readOn(log: Followed, file: string): Promise<void> {
  if (!log.onLine) return;
  const size = await sizeOf(file);
  if (size < log.position) log.position = 0;
  if (size === log.position) return;
  const handle = await open(file, 'r');
  try {
    while (log.position < size) {
      const bytes = Buffer.alloc(Math.min(CHUNK, size - log.position));
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, log.position);
      if (bytesRead === 0) return;
      log.position += bytesRead;
      const lines = (log.rest + bytes.toString('utf8', 0, bytesRead)).split('\n');
      log.rest = (lines.pop() ?? '').slice(-CHUNK);
      for (const line of lines) log.onLine(line);
    }
  } finally {
    await handle.close();
  }
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 0;
    throw error;
  }
}
