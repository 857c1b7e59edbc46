import { statfs } from 'node:fs/promises';
import { Refusal } from './refusal.ts';

const MEBIBYTE = 1024 ** 2;
/** Enough for PostgreSQL's first files, its log of changes and a few instances. */
const NEEDED_MIB = 512;

/** Throws Refusal when the disk of this folder has too little room to run. */
export async function checkDisk(dir: string, freeBytes: (dir: string) => Promise<number> = freeBytesOf): Promise<void> {
  const freeMib = Math.floor((await freeBytes(dir)) / MEBIBYTE);
  if (freeMib < NEEDED_MIB)
    throw new Refusal(
      `The disk is nearly full: ${freeMib} MiB are free for ${dir}, and at least ${NEEDED_MIB} MiB are needed. ` +
        'Free some space, or set DATA_DIR to a folder on another disk.',
    );
}

async function freeBytesOf(dir: string): Promise<number> {
  const { bavail, bsize } = await statfs(dir);
  return bavail * bsize;
}
