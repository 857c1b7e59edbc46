import { open } from 'node:fs/promises';
import { z } from 'zod';

const BYTES = 64 * 1024;
const LINES = 15;

const pinoLine = z.object({ msg: z.string(), err: z.object({ message: z.string() }).optional() });

/** The last lines that a log got from this byte on, as a person reads them: of our own JSON lines the message and its error. */
export async function logEnd(file: string, from: number): Promise<string> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const start = Math.max(size - BYTES, Math.min(from, size));
    const bytes = Buffer.alloc(size - start);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, start);
    const lines = bytes.toString('utf8', 0, bytesRead).split('\n').filter(Boolean);
    return (
      lines
        .slice(-LINES)
        .map((line) => `  ${readable(line)}`)
        .join('\n') || '  (it wrote nothing)'
    );
  } finally {
    await handle.close();
  }
}

function readable(line: string): string {
  const entry = messageOf(line);
  if (!entry) return line;
  return entry.err ? `${entry.msg}: ${entry.err.message}` : entry.msg;
}

/** The message of a line of our own logs; null for any other line. */
export function messageOf(line: string): z.infer<typeof pinoLine> | null {
  try {
    return pinoLine.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}
