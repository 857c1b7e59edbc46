import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { isErrno } from '../../lib/errno.ts';

/** The swap of this machine, zram included. */
export interface SwapRoom {
  totalBytes: number;
  freeBytes: number;
}

/** What is left free where memory of sleepers is moved there, as a share of all: the machine may need it itself. */
const KEPT_FREE = 0.2;
/** With less of it free the sleepers that are there give way. */
const SHORT_OF = 0.1;

const kilobytes = z.coerce.number().int().min(0);

/** Without swap, and on systems other than Linux, all of it is zero. */
export async function readSwap(): Promise<SwapRoom> {
  const fields = await fieldsOf('/proc/meminfo');
  return { totalBytes: fields.get('SwapTotal') ?? 0, freeBytes: fields.get('SwapFree') ?? 0 };
}

/** Whether so much memory more can be moved there. */
export function hasRoom({ totalBytes, freeBytes }: SwapRoom, bytes: number): boolean {
  return totalBytes > 0 && freeBytes - bytes >= totalBytes * KEPT_FREE;
}

/** Whether it is nearly used up. */
export function isShort({ totalBytes, freeBytes }: SwapRoom): boolean {
  return totalBytes > 0 && freeBytes < totalBytes * SHORT_OF;
}

/** The memory of these processes that only swap can take, which is what they have not read from files, and how much is there. */
export async function memoryOf(pids: readonly number[]): Promise<{ residentBytes: number; swappedBytes: number }> {
  const all = await Promise.all(pids.map((pid) => fieldsOf(`/proc/${pid}/status`)));
  const sumOf = (field: string): number => all.reduce((sum, fields) => sum + (fields.get(field) ?? 0), 0);
  return { residentBytes: sumOf('RssAnon'), swappedBytes: sumOf('VmSwap') };
}

/** The fields of such a file that are amounts of memory, in bytes; none when it is not there. */
async function fieldsOf(file: string): Promise<Map<string, number>> {
  try {
    const lines = [...(await readFile(file, 'utf8')).matchAll(/^(\w+):\s+(\d+) kB$/gm)];
    return new Map(lines.map(([, name = '', value]) => [name, kilobytes.parse(value) * 1024]));
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return new Map();
    throw error;
  }
}
