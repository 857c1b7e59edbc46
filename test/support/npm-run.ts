import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const ROOT = join(import.meta.dirname, '../..');

/** Runs a script of package.json with the Node of this process. Throws when it fails or takes longer than `timeoutMs`. */
export async function npmRun(script: string, words: readonly string[] = [], options: { timeoutMs?: number } = {}): Promise<void> {
  const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH']}` };
  const { timeoutMs: timeout = 0 } = options;
  await promisify(execFile)('npm', ['run', script, ...words], { cwd: ROOT, env, maxBuffer: 64 * 1024 ** 2, timeout });
}
