import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { OpenClawInstallation } from '../../../runtime/openclaw/installation.ts';

const PROGRAM = join(import.meta.dirname, 'forced-deadlock.ts');

/**
 * Puts an OpenClaw into this cache directory that is the real one with the timing of forced-deadlock.ts. With `enforce`
 * it maintains its databases as it would without our configuration.
 */
export async function installDeadlockingOpenClaw(
  cacheDir: string,
  { entry, version }: OpenClawInstallation,
  maintenance: 'enforce' | 'as configured',
): Promise<void> {
  const packageDir = dirname(dirname(entry));
  const installed = dirname(dirname(packageDir));
  const target = join(cacheDir, `openclaw-${version}`);
  const copy = join(target, 'node_modules', 'openclaw');
  await mkdir(join(copy, 'dist'), { recursive: true });
  await copyFile(join(installed, 'package-lock.json'), join(target, 'package-lock.json'));
  await copyFile(join(installed, 'node_modules', '.package-lock.json'), join(target, 'node_modules', '.package-lock.json'));
  for (const name of ['package.json', 'skills', 'docs']) await symlink(join(packageDir, name), join(copy, name));
  const real = JSON.stringify({ entry, maintenance });
  const program = `globalThis.realOpenClaw = ${real};\nawait import(${JSON.stringify(PROGRAM)});\n`;
  await writeFile(join(copy, 'dist', 'index.js'), program);
}
