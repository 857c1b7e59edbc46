import { execFile } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { isErrno } from '../../lib/errno.ts';
import { replaceFile } from '../../runtime/host/replace-file.ts';
import { digestOfSources, keepNewest } from './kept-bundles.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PROGRAM = fileURLToPath(new URL('bundle-workflows.ts', import.meta.url));
/** What the image was built with (Dockerfile): there the workflows cannot change any more. */
const PREPARED = join(ROOT, 'workflow-bundle.js');
const LARGEST_BYTES = 64 * 1024 ** 2;
/** A bundle has 2 MB, and each change of a workflow makes another. */
const KEPT = 10;

/**
 * Answers the bundle of the workflows: the prepared one, else the one that was made of the same sources before, else one
 * that is made now in a separate process and kept in this cache. The bundler takes 150 MB, which a process that has used
 * it never gives back, and two seconds.
 */
export async function bundleApart(cacheDir: string): Promise<{ code: string }> {
  const prepared = await readIfPresent(PREPARED);
  if (prepared !== null) return { code: prepared };
  const folder = join(cacheDir, 'workflow-bundles');
  const file = join(folder, `${await digestOfSources(ROOT)}.js`);
  const known = await readIfPresent(file);
  if (known !== null) return { code: known };
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM], { maxBuffer: LARGEST_BYTES });
  await mkdir(folder, { recursive: true });
  await replaceFile(file, stdout, 0o600);
  await keepNewest(folder, KEPT);
  return { code: stdout };
}

async function readIfPresent(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}
