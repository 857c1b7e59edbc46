import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { cacheDirOf } from './cache-dir.ts';

/**
 * Keeps a process small that holds little but handles much. Left alone, V8 lets the young generation grow to a hundred
 * megabytes under load, and the old one to several times of what is in use, and gives neither back. Kept compiled under
 * this name, its modules take half the time to load and 25 MB less. Call it before anything else is loaded.
 */
export function keepSmall(name: 'api' | 'relay', env: NodeJS.ProcessEnv): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--heap-growing-percent=30');
  enableCompileCache(join(cacheDirOf(env), `compile-cache-${name}`));
}
