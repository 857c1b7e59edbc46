import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { isErrno } from '../../lib/errno.ts';
import type { Log } from '../../lib/log.ts';

export interface ConsoleFile {
  type: string;
  plain: Buffer;
  gzipped: Buffer;
}

/** The console as it was built: its one page, and what that loads, by the name of the file. */
export interface ConsoleFiles {
  page: ConsoleFile;
  assets: ReadonlyMap<string, ConsoleFile>;
}

const TYPES: Record<string, string> = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.svg': 'image/svg+xml',
};

/** Where `npm run build:console` puts the console. */
const CONSOLE_DIST = join(import.meta.dirname, '../../console/dist');

/** The console of this installation; null, which is logged, where it was not built. */
export async function readBuiltConsole(log: Log): Promise<ConsoleFiles | null> {
  const files = await readConsole(CONSOLE_DIST);
  if (!files) log.warn('the console is not built: run npm run build:console, then start again');
  return files;
}

/** Reads the built console, a megabyte at most; null where it was not built. */
export async function readConsole(directory: string): Promise<ConsoleFiles | null> {
  try {
    const names = await readdir(join(directory, 'assets'));
    const assets = await Promise.all(names.map(async (name) => [name, await readOne(join(directory, 'assets', name))] as const));
    return { page: await readOne(join(directory, 'index.html')), assets: new Map(assets) };
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}

async function readOne(file: string): Promise<ConsoleFile> {
  const plain = await readFile(file);
  return { type: TYPES[extname(file)] ?? 'application/octet-stream', plain, gzipped: gzipSync(plain) };
}
