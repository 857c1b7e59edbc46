import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { glob, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isErrno } from '../../lib/errno.ts';

/** What the console is made of. Its packages are those of the lock file. */
const SOURCES = [
  'local/install/console-build.ts',
  'console/*.{html,ts}',
  'console/src/**/*',
  'sdk/typescript/src/**/*.ts',
  'package-lock.json',
];

/** Builds the console of this project, unless it was built from the same sources. Says whether it had to. */
export async function buildConsole(projectDir: string): Promise<boolean> {
  const stamp = join(projectDir, 'console/dist/built-from');
  const digest = await digestOf(projectDir);
  if ((await readStamp(stamp)) === digest) return false;
  // Apart, so that its memory is given back; and for production, whatever this process is for.
  const vite = join(projectDir, 'node_modules/vite/bin/vite.js');
  const env = { ...process.env, NODE_ENV: 'production' };
  await promisify(execFile)(process.execPath, [vite, 'build', '--config', join(projectDir, 'console/vite.config.ts')], { env });
  // Last, so that half a build does not count.
  await writeFile(stamp, digest);
  return true;
}

async function readStamp(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}

async function digestOf(projectDir: string): Promise<string> {
  const files = [];
  for await (const file of glob(SOURCES, { cwd: projectDir, withFileTypes: true })) files.push(file);
  const paths = files.filter((file) => file.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  const digest = createHash('sha256');
  for (const path of paths.toSorted()) digest.update(path.slice(projectDir.length)).update(await readFile(path));
  return digest.digest('hex');
}
