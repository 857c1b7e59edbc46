import { createCipheriv, createDecipheriv } from 'node:crypto';
import { deriveKey } from './derive-key.ts';

const VERSION = 'v1';
const CIPHER = 'aes-256-gcm';
const IV_BYTES = 12;
const TAG_BYTES = 16;

export interface EncryptionOptions {
  /** The first one encrypts, all of them decrypt. */
  masterKeys: readonly { id: string; key: Buffer }[];
  randomBytes: (size: number) => Uint8Array;
}

/** Encryption at rest. A text is bound to its place: moved to another row it cannot be read. */
export interface Encryption {
  /** `v1.<key id>.<iv>.<ciphertext>.<tag>`. The place names the row, for instance `webhooks/wh_...`. */
  encrypt(plaintext: string, place: string): string;
  /** Throws when the text was altered, belongs to another place, or its key is not among the master keys. */
  decrypt(ciphertext: string, place: string): string;
}

/** AES-256-GCM under keys that are derived from the master keys, so that they can be rotated one after the other. */
export function createEncryption({ masterKeys, randomBytes }: EncryptionOptions): Encryption {
  const keys = new Map(masterKeys.map(({ id, key }) => [id, deriveKey(key, 'encryption')]));
  const [active] = keys;
  if (!active) throw new Error('MASTER_KEYS names no key');
  const boundTo = (keyId: string, place: string): Buffer => Buffer.from(`${VERSION}|${keyId}|${place}`);
  return {
    encrypt(plaintext, place) {
      const [keyId, key] = active;
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES }).setAAD(boundTo(keyId, place));
      const ciphertext = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()]);
      const parts = [Buffer.from(iv), ciphertext, cipher.getAuthTag()].map((bytes) => bytes.toString('base64url'));
      return [VERSION, keyId, ...parts].join('.');
    },
    decrypt(text, place) {
      const [version, keyId = '', iv = '', ciphertext = '', tag = '', ...rest] = text.split('.');
      const key = keys.get(keyId);
      if (version !== VERSION || rest.length > 0) throw new Error('This is no text that was encrypted here');
      if (!key) throw new Error(`MASTER_KEYS does not name the key ${keyId}`);
      const decipher = createDecipheriv(CIPHER, key, Buffer.from(iv, 'base64url'), { authTagLength: TAG_BYTES });
      decipher.setAAD(boundTo(keyId, place)).setAuthTag(Buffer.from(tag, 'base64url'));
      return Buffer.concat([decipher.update(Buffer.from(ciphertext, 'base64url')), decipher.final()]).toString('utf8');
    },
  };
}
