import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { isErrno } from '../lib/errno.ts';

const PROGRAM = fileURLToPath(new URL('bundle-workflows.ts', import.meta.url));
/** What the image was built with (Dockerfile): there the workflows cannot change any more. */
const PREPARED = fileURLToPath(new URL('../workflow-bundle.js', import.meta.url));
const LARGEST_BYTES = 64 * 1024 ** 2;

/**
 * Answers the bundle of the workflows: the prepared one, else one that is made now in a separate process. The bundler
 * takes 150 MB, which a process that has used it never gives back.
 */
export async function bundleApart(): Promise<{ code: string }> {
  try {
    return { code: await readFile(PREPARED, 'utf8') };
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM], { maxBuffer: LARGEST_BYTES });
  return { code: stdout };
}
