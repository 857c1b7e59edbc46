import { readFile, stat } from 'node:fs/promises';
import type { Log } from '../../lib/log.ts';

/** How soon a key that was exchanged is used. */
const LOOK_MS = 1_000;

/** The key that calls are made with at this moment; undefined where the provider needs none. */
export type ProviderKey = () => Promise<string | undefined>;

interface KeySettings {
  key?: string | undefined;
  keyFile?: string | undefined;
}

/**
 * The key of a provider. One in a file is looked at again before a call, at most once a second, so that it can be exchanged
 * while the relay runs: written anew, moved over or linked elsewhere. While the file is empty or cannot be read, the last
 * key that it held is used. Rejects when it never held one.
 */
export function createProviderKey(provider: string, { key, keyFile }: KeySettings, log: Log): ProviderKey {
  return keyFile === undefined ? async () => key : watchedKey(provider, keyFile, log);
}

function watchedKey(provider: string, keyFile: string, log: Log): ProviderKey {
  let current: string | undefined;
  let version = '';
  let lookedAt = Number.NEGATIVE_INFINITY;
  const look = async (): Promise<void> => {
    const { mtimeMs, ino, size } = await stat(keyFile);
    const found = `${mtimeMs} ${ino} ${size}`;
    if (found === version) return;
    const text = (await readFile(keyFile, 'utf8')).trim();
    if (text === '') return log.warn({ provider, keyFile }, 'the file with the key of a model provider is empty');
    if (current !== undefined && current !== text) log.info({ provider }, 'the key of a model provider was exchanged');
    [current, version] = [text, found];
  };
  let looking: Promise<void> | null = null;
  return async () => {
    if (performance.now() - lookedAt >= LOOK_MS) {
      looking ??= look()
        .catch((err: unknown) => log.warn({ err, provider }, 'the file with the key of a model provider cannot be read'))
        .finally(() => {
          lookedAt = performance.now();
          looking = null;
        });
    }
    if (looking) await looking;
    if (current === undefined) throw new Error(`The key file of the provider "${provider}" (${keyFile}) holds no key`);
    return current;
  };
}
