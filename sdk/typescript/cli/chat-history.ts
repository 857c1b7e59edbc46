import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Io } from './io.ts';
import { loginFile } from './settings.ts';

const MOST_LINES = 500;
/** Longer lines are not kept. */
const LONGEST = 2_000;

/** What was typed in chats on this machine, newest first; the arrow keys go through it. */
export async function readHistory(io: Io): Promise<string[]> {
  const text = await readFile(historyFile(io), 'utf8').catch(() => '');
  return text.split('\n').filter((line) => line !== '');
}

/** Keeps the newest lines for later chats, readable by this user alone. That it cannot be written ends no chat. */
export async function keepHistory(io: Io, newestFirst: readonly string[]): Promise<void> {
  const file = historyFile(io);
  const lines = newestFirst.filter((line) => line.length <= LONGEST).slice(0, MOST_LINES);
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
    await chmod(file, 0o600);
  } catch (error) {
    io.stderr.write(`The lines of this chat could not be kept in ${file}: ${String(error)}\n`);
  }
}

function historyFile(io: Io): string {
  return join(dirname(loginFile(io)), 'chat-history');
}
