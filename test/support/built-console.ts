import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const ROOT = join(import.meta.dirname, '../..');

/** Builds the console where it was not built from the sources of now. Apart: a bundler does not run within Jest. */
export async function ensureConsole(): Promise<void> {
  await promisify(execFile)(process.execPath, [join(ROOT, 'scripts/build-console.ts')]);
}
