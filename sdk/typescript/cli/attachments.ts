import { readFile, stat } from 'node:fs/promises';
import { basename, extname, isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BodyOf } from '../src/index.ts';
import { UserError } from './io.ts';

export type Attachments = NonNullable<BodyOf<'messages.send'>['attachments']>;

const MOST = 10;
const LARGEST_TOGETHER = 10 * 1024 * 1024;
/** Kinds that an agent is shown or knows what to do with; the rest is bytes to it. */
const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.csv': 'text/csv',
  '.gif': 'image/gif',
  '.html': 'text/html',
  '.jpeg': 'image/jpeg',
  '.jpg': 'image/jpeg',
  '.json': 'application/json',
  '.md': 'text/markdown',
  '.pdf': 'application/pdf',
  '.png': 'image/png',
  '.txt': 'text/plain',
  '.webp': 'image/webp',
};

/** A word as terminals write the path of a file that is dropped on them: quoted, with backslashes, or as a URL. */
const DROPPED = /^\s*(?:'([^']+)'|"([^"]+)"|((?:\\.|[^\s\\'"])+))(?=\s|$)/;

/**
 * The files that a message begins with, and the rest of it. A terminal writes the absolute path of a file that is dropped on it;
 * paths in the middle of a message stay words.
 */
export async function takeDropped(message: string): Promise<{ paths: string[]; text: string }> {
  const paths: string[] = [];
  let text = message;
  for (let found = DROPPED.exec(text); found; found = DROPPED.exec(text)) {
    const [word, single, double, bare] = found;
    const path = pathOf(single ?? double ?? bare?.replaceAll(/\\(.)/g, '$1') ?? '');
    if (path === null || !(await isFile(path))) break;
    paths.push(path);
    text = text.slice(word.length);
  }
  return { paths, text: text.trim() };
}

function pathOf(word: string): string | null {
  if (isAbsolute(word)) return word;
  if (!word.startsWith('file:///')) return null;
  try {
    return fileURLToPath(word);
  } catch {
    return null;
  }
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isFile() === true;
}

/** The files as a message carries them. Throws UserError for what cannot be read, or is too many or too large. */
export async function readAttachments(paths: readonly string[]): Promise<Attachments> {
  if (paths.length > MOST) throw new UserError(`Attach at most ${MOST} files to a message.`);
  const sizes = await Promise.all(paths.map(sizeOf));
  if (sizes.reduce((sum, size) => sum + size, 0) > LARGEST_TOGETHER)
    throw new UserError('The attachments of a message can have at most 10 MiB. Send larger files with `thermidora files put`.');
  return Promise.all(
    paths.map(async (path) => ({
      name: basename(path),
      mediaType: MEDIA_TYPES[extname(path).toLowerCase()] ?? 'application/octet-stream',
      data: (await readFile(path)).toString('base64'),
    })),
  );
}

async function sizeOf(path: string): Promise<number> {
  const facts = await stat(path).catch(() => null);
  if (!facts?.isFile()) throw new UserError(`${path} is not a file that can be read.`);
  return facts.size;
}
