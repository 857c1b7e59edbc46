import { readFile, writeFile } from 'node:fs/promises';
import { isErrno } from '../../lib/errno.ts';

/** Added to what the kernel reckons for a process when it has to end one for want of memory, of 1000. */
const ENDED_FIRST = 500;
const MOST = 1_000;
/** The kernel has no such file, it is not ours to change, or the process has ended. */
const IMPOSSIBLE = ['ENOENT', 'EACCES', 'EPERM', 'EROFS', 'ESRCH'];

/**
 * Has the kernel end these processes before others of this machine when memory runs out, or as it would usually: like this process.
 * Who starts a process may do both without privileges. Changes nothing where there is no such order.
 */
export async function endFirst(pids: readonly number[], isFirst: boolean): Promise<void> {
  const usual = await scoreOf('self');
  if (usual === null) return;
  const score = isFirst ? Math.min(usual + ENDED_FIRST, MOST) : usual;
  await Promise.all(pids.map((pid) => possibly(writeFile(fileOf(pid), String(score)))));
}

/** Null where there is no such order. */
export async function scoreOf(pid: number | 'self'): Promise<number | null> {
  const text = await possibly(readFile(fileOf(pid), 'utf8'));
  return text === null ? null : Number.parseInt(text, 10);
}

function fileOf(pid: number | 'self'): string {
  return `/proc/${pid}/oom_score_adj`;
}

async function possibly<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (IMPOSSIBLE.some((code) => isErrno(error, code))) return null;
    throw error;
  }
}
