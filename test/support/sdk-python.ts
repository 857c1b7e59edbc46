import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import { ensureVenv } from '../../scripts/python-venv.ts';

const REQUIREMENTS = join(import.meta.dirname, '../../sdk/python/requirements-dev.txt');
/** OpenAI's client of November 2025, and Anthropic's of May 2026, the month after it had Managed Agents. */
const EARLIER_REQUIREMENTS = join(import.meta.dirname, '../api/doors/requirements-earlier.txt');

/**
 * Answers the folder of programs of a Python that has what the Python client needs, what tests and packs it, and OpenAI's
 * and Anthropic's clients for the tests of their doors.
 */
export function ensureSdkPython(): Promise<string> {
  return ensurePython('sdk-python', REQUIREMENTS);
}

/** The same of a Python with earlier versions of OpenAI's and Anthropic's clients alone. */
export function ensureEarlierPython(): Promise<string> {
  return ensurePython('earlier-python', EARLIER_REQUIREMENTS);
}

async function ensurePython(name: string, requirements: string): Promise<string> {
  const pinned = createHash('sha256')
    .update(await readFile(requirements))
    .digest('hex')
    .slice(0, 12);
  const target = join(cacheDirOf(process.env), `${name}-${pinned}`);
  await ensureVenv(target, requirements);
  return join(target, 'bin');
}
