import { access, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { cacheDirOf } from '../../../../lib/cache-dir.ts';
import { ensureOpenClaw, pinnedVersion } from '../../../../runtime/openclaw/install/installation.ts';

let cacheDir: string;
beforeEach(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'installation-'));
});
afterEach(() => rm(cacheDir, { recursive: true }));

/** npm that may not use the network and has nothing stored. */
function offlineEnv() {
  return { ...process.env, npm_config_offline: 'true', npm_config_cache: join(cacheDir, 'npm') };
}

test('what is installed already is used as it is', async () => {
  const real = cacheDirOf(process.env);
  await ensureOpenClaw({ cacheDir: real, env: process.env });
  const said: string[] = [];
  const { entry, version } = await ensureOpenClaw({ cacheDir: real, env: {}, onProgress: (line) => said.push(line) });
  expect(version).toBe(await pinnedVersion());
  await access(entry);
  expect(said).toEqual([]);
}, 300_000);

test('a half install does not count, and a failed one says why and leaves nothing behind', async () => {
  const half = join(cacheDir, `openclaw-${await pinnedVersion()}`, 'node_modules', 'openclaw', 'dist');
  await mkdir(half, { recursive: true });
  await writeFile(join(half, 'index.js'), '');
  const said: string[] = [];
  const install = ensureOpenClaw({ cacheDir, env: offlineEnv(), onProgress: (line) => said.push(line) });
  await expect(install).rejects.toThrow(/npm could not install OpenClaw .*registry.*ENOTCACHED/s);
  expect(said).toEqual([expect.stringContaining('Installing OpenClaw')]);
  expect((await readdir(cacheDir)).filter((name) => name.includes('installing'))).toEqual([]);
});

test('a folder that cannot be is said', async () => {
  await writeFile(join(cacheDir, 'file'), '');
  await expect(ensureOpenClaw({ cacheDir: join(cacheDir, 'file', 'cache'), env: {} })).rejects.toThrow('XDG_CACHE_HOME');
});
