import { randomBytes } from 'node:crypto';
import type { SealedSecret } from '../../database/content/secrets.ts';
import { secretPlace } from '../../database/secret-place.ts';
import { createEncryption } from '../../lib/crypto/encryption.ts';

interface Sealed {
  instanceId: string;
  secrets: readonly SealedSecret[];
}

/** The secrets of an instance in clear, by key. They stay within the activity: never log, return or throw one. */
export function openSecrets(
  { config }: { config: { MASTER_KEYS: readonly { id: string; key: Buffer }[] } },
  { instanceId, secrets }: Sealed,
): Map<string, string> {
  if (secrets.length === 0) return new Map();
  const encryption = createEncryption({ masterKeys: config.MASTER_KEYS, randomBytes });
  return new Map(
    secrets.map(({ accountId, key, value }) => [key, encryption.decrypt(value, secretPlace({ accountId, instanceId, key }))]),
  );
}
