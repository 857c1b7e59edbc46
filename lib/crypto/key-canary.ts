import { createEncryption } from './encryption.ts';
import type { EncryptionOptions } from './encryption.ts';

type MasterKeys = EncryptionOptions['masterKeys'];

/** A known text, sealed with each master key, by the id of the key. A process that can open it has the same key. */
export type Canaries = Readonly<Record<string, string>>;

const TEXT = 'thermidora';

/** The canaries of these keys. */
export function sealCanaries(masterKeys: MasterKeys, randomBytes: EncryptionOptions['randomBytes']): Canaries {
  return Object.fromEntries(
    masterKeys.map((key) => [key.id, createEncryption({ masterKeys: [key], randomBytes }).encrypt(TEXT, placeOf(key.id))]),
  );
}

/**
 * A sentence when these keys are not those that sealed the canaries: one of them is another key of the same name, or
 * none of them has a canary. Null when they belong together, or there is no canary yet.
 */
export function refuseKeys(masterKeys: MasterKeys, canaries: Canaries): string | null {
  const known = masterKeys.filter(({ id }) => canaries[id] !== undefined);
  const wrong = known.find((key) => !opens(key, canaries[key.id] ?? ''));
  if (wrong)
    return `MASTER_KEYS has another key under the name ${wrong.id} than the one that this installation was made with. Set the right one: its secrets cannot be read with this one.`;
  if (known.length > 0 || Object.keys(canaries).length === 0) return null;
  const names = Object.keys(canaries).join(', ');
  return `MASTER_KEYS has none of the keys that this installation has used (${names}). Add the one that was used last, after the new one: its secrets cannot be read without it.`;
}

function opens(key: MasterKeys[number], canary: string): boolean {
  const randomBytes = (): never => {
    throw new Error('Nothing is encrypted here');
  };
  try {
    return createEncryption({ masterKeys: [key], randomBytes }).decrypt(canary, placeOf(key.id)) === TEXT;
  } catch {
    return false;
  }
}

function placeOf(keyId: string): string {
  return `key_canaries/${keyId}`;
}
