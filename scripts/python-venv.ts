import { execFile } from 'node:child_process';
import { access, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { withLock } from '../lib/async/file-lock.ts';

const INSTALL_MS = 5 * 60_000;
const run = promisify(execFile);

/**
 * Makes a Python environment in this folder with exactly the packages of a list, which names all that they need, unless it is
 * there. The name of the folder says which: another list needs another one.
 */
export async function ensureVenv(target: string, requirements: string): Promise<void> {
  await withLock(`${target}.lock`, { timeoutMs: INSTALL_MS }, async () => {
    const done = join(target, 'installed');
    if (await exists(done)) return;
    await rm(target, { recursive: true, force: true });
    await run('python3', ['-m', 'venv', target], { timeout: INSTALL_MS });
    const pip = ['install', '--quiet', '--no-deps', '--requirement', requirements];
    await run(join(target, 'bin/pip'), pip, { timeout: INSTALL_MS });
    // Scripts of a venv name its folder, so it cannot be made elsewhere and moved here: the last file says that it is whole.
    await writeFile(`${done}.new`, '');
    await rename(`${done}.new`, done);
  });
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
