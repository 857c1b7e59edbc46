import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import { ensureVenv } from '../../scripts/python-venv.ts';

const REQUIREMENTS = join(import.meta.dirname, '../../sdk/python/requirements-dev.txt');

/**
 * Answers the folder of programs of a Python that has what the Python client needs, what tests and packs it, and OpenAI's
 * and Anthropic's clients for the tests of their doors.
 */
export async function ensureSdkPython(): Promise<string> {
  const pinned = createHash('sha256')
    .update(await readFile(REQUIREMENTS))
    .digest('hex')
    .slice(0, 12);
  const target = join(cacheDirOf(process.env), `sdk-python-${pinned}`);
  await ensureVenv(target, REQUIREMENTS);
  return join(target, 'bin');
}
