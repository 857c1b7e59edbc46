import { mkdir, statfs } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isErrno } from '../../lib/errno.ts';
import { testRunDir } from './run-folder.ts';

/** Where Linux has a file system in memory. */
const MEMORY = '/dev/shm';

/** Many times what a run was seen to have there at once. A container of Docker has 64 MiB by default. */
const ROOM_BYTES = 8 * 1024 ** 3;

/** The folder that a run has in memory, once one is made. It goes with the folder of the run. */
export const memoryFolderOf = (runDir: string): string => join(MEMORY, basename(runDir));

/** Makes the folder of this run that lies in memory. Null where there is no room for one. */
export async function makeMemoryFolder(): Promise<string | null> {
  if ((await freeBytes()) < ROOM_BYTES) return null;
  const directory = memoryFolderOf(testRunDir());
  await mkdir(directory, { mode: 0o700, recursive: true });
  return directory;
}

async function freeBytes(): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(MEMORY);
    return bavail * bsize;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 0; // only Linux has one
    throw error;
  }
}
