import { createEncryption } from '../../lib/crypto/encryption.ts';
import type { Encryption } from '../../lib/crypto/encryption.ts';
import type { Deps } from '../deps.ts';

/** Encryption at rest under the master keys of this process. */
export function encryptionOf({ config, randomBytes }: Pick<Deps, 'config' | 'randomBytes'>): Encryption {
  return createEncryption({ masterKeys: config.MASTER_KEYS, randomBytes });
}
