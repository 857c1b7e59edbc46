import { copyFile, mkdir, mkdtemp, readdir, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import { ensureOpenClaw } from '../../runtime/openclaw/install/installation.ts';
import { SCRIPTED_GATEWAY } from './scripted-gateway/scripted-control.ts';
import { removeFolder } from './remove-folder.ts';

export interface StandIn {
  /** XDG_CACHE_HOME of the processes that are to start it. */
  cacheHome: string;
  remove(): Promise<void>;
}

/** A cache whose OpenClaw is the scripted gateway. */
export function installScriptedOpenClaw(): Promise<StandIn> {
  return installStandIn(() => `await import(${JSON.stringify(SCRIPTED_GATEWAY)});\n`);
}

/**
 * A cache whose OpenClaw is the real one with the timing of forced-deadlock.ts. With `enforce` it maintains its databases
 * as it would without our configuration.
 */
export function installDeadlockingOpenClaw(maintenance: 'enforce' | 'as configured'): Promise<StandIn> {
  const program = join(import.meta.dirname, 'forced-deadlock.ts');
  return installStandIn((entry) => {
    const real = JSON.stringify({ entry, maintenance });
    return `globalThis.realOpenClaw = ${real};\nawait import(${JSON.stringify(program)});\n`;
  });
}

/** What is read of the package without running it is the real one's. */
async function installStandIn(programOf: (entry: string) => string): Promise<StandIn> {
  const realCache = cacheDirOf(process.env);
  const { entry, version } = await ensureOpenClaw({ cacheDir: realCache, env: process.env });
  const cacheHome = await mkdtemp(join(tmpdir(), 'stand-in-openclaw-'));
  const cacheDir = cacheDirOf({ XDG_CACHE_HOME: cacheHome });
  const packageDir = dirname(dirname(entry));
  const installed = dirname(dirname(packageDir));
  const target = join(cacheDir, `openclaw-${version}`);
  const copy = join(target, 'node_modules', 'openclaw');
  await mkdir(join(copy, 'dist'), { recursive: true });
  await copyFile(join(installed, 'package-lock.json'), join(target, 'package-lock.json'));
  await copyFile(join(installed, 'node_modules', '.package-lock.json'), join(target, 'node_modules', '.package-lock.json'));
  for (const name of ['package.json', 'skills', 'docs']) await symlink(join(packageDir, name), join(copy, name));
  // Temporal, and what else is installed once.
  const others = (await readdir(realCache)).filter((name) => !name.startsWith('openclaw'));
  for (const name of new Set([...others, 'compile-cache'])) await symlink(join(realCache, name), join(cacheDir, name));
  await writeFile(join(copy, 'dist', 'index.js'), programOf(entry));
  return { cacheHome, remove: () => removeFolder(cacheHome) };
}
