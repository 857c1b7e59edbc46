import { homedir } from 'node:os';
import { join } from 'node:path';

/** The folder for what is downloaded or built once and may be deleted at any time. */
export function cacheDirOf(env: Readonly<Record<string, string | undefined>>): string {
  const base = env['XDG_CACHE_HOME'] || join(env['HOME'] || homedir(), '.cache');
  return join(base, 'thermidora');
}
