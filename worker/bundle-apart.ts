import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const PROGRAM = fileURLToPath(new URL('bundle-workflows.ts', import.meta.url));
const LARGEST_BYTES = 64 * 1024 ** 2;

/**
 * Bundles the workflows in a process of its own: the bundler takes 150 MB, which a process that has used it never
 * gives back.
 */
export async function bundleApart(): Promise<{ code: string }> {
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM], { maxBuffer: LARGEST_BYTES });
  return { code: stdout };
}
