import { copyFile, open, stat, truncate } from 'node:fs/promises';
import { z } from 'zod';
import { isErrno } from '../../lib/errno.ts';
import { jsonOrNull } from '../../lib/text/json-or-null.ts';
import type { LogLine } from '../driver.ts';

const TAIL_BYTES = 256 * 1024;
const KEPT_BYTES = 32 * 1024 ** 2;

/** One line of the gateway's console in the style that render-config.ts asks for. */
const consoleRecord = z.object({
  time: z.iso.datetime({ offset: true }),
  level: z.string(),
  subsystem: z.string().optional(),
  message: z.string(),
});

/**
 * The last lines of the gateway's output, oldest first, out of its last 256 KiB. No file: no lines.
 * The gateway prints each answer of an agent too, as information of no subsystem; those are left out.
 */
export async function lastLinesOf(file: string, limit: number): Promise<LogLine[]> {
  return logLinesOf(await lastBytesOf(file), limit);
}

/** The same of a text that was kept elsewhere. Reads no more of it than it needs. */
export function logLinesOf(text: string, limit: number): LogLine[] {
  const kept: LogLine[] = [];
  for (const line of text.split('\n').toReversed()) {
    if (kept.length >= limit) break;
    const read = line === '' ? null : logLineOf(line);
    if (read) kept.push(read);
  }
  return kept.toReversed();
}

/** Begins the file anew when it has grown large, keeping the old text beside it. The gateway may go on writing. */
export async function trimOutput(file: string): Promise<void> {
  try {
    if ((await stat(file)).size < KEPT_BYTES) return;
    await copyFile(file, `${file}.1`);
    await truncate(file);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

function logLineOf(line: string): LogLine | null {
  // An error of the parser costs more than all else that is done with a line.
  const record = line.startsWith('{') ? consoleRecord.safeParse(jsonOrNull(line)).data : undefined;
  if (!record) return { at: null, text: line };
  const { time, level, subsystem, message } = record;
  if (subsystem === undefined && level === 'info') return null;
  return { at: new Date(time).toISOString(), text: `${level} ${subsystem ?? 'gateway'}: ${message}` };
}

async function lastBytesOf(file: string): Promise<string> {
  try {
    const handle = await open(file, 'r');
    try {
      const { size } = await handle.stat();
      const start = Math.max(0, size - TAIL_BYTES);
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - start), 0, size - start, start);
      const text = buffer.toString('utf8', 0, bytesRead);
      // A cut rarely falls between two lines.
      return start === 0 ? text : text.slice(text.indexOf('\n') + 1);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return '';
    throw error;
  }
}
