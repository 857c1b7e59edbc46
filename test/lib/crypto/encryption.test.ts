import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { createEncryption } from '../../../lib/crypto/encryption.ts';

const [older, newer] = ['older', 'newer'].map((id) => ({ id, key: randomBytes(32) })) as [Key, Key]; // two ids in, two keys out
type Key = { id: string; key: Buffer };
const encryption = (...masterKeys: Key[]) => createEncryption({ masterKeys, randomBytes });

test('what is encrypted is read again, and looks different each time', () => {
  const both = [encryption(newer).encrypt('the secret ü', 'rows/1'), encryption(newer).encrypt('the secret ü', 'rows/1')];
  expect(new Set(both).size).toBe(2);
  for (const text of both) expect(encryption(newer).decrypt(text, 'rows/1')).toBe('the secret ü');
});

test('it cannot be read in another place, altered, or under another key of the same name', () => {
  const text = encryption(newer).encrypt('the secret', 'rows/1');
  expect(() => encryption(newer).decrypt(text, 'rows/2')).toThrow();
  expect(() => encryption({ ...newer, key: randomBytes(32) }).decrypt(text, 'rows/1')).toThrow();
  const [version, id, iv, ciphertext, tag] = text.split('.');
  for (const altered of [
    [version, id, iv, `${ciphertext}AA`, tag],
    [version, id, iv, ciphertext, tag?.slice(0, 5)],
    ['v2', id, iv, ciphertext, tag],
    [version, id, iv, ciphertext],
  ])
    expect(() => encryption(newer).decrypt(altered.join('.'), 'rows/1')).toThrow();
});

test('a new key encrypts while the one before still decrypts', () => {
  const text = encryption(older).encrypt('the secret', 'rows/1');
  expect(encryption(newer, older).decrypt(text, 'rows/1')).toBe('the secret');
  expect(encryption(newer, older).encrypt('x', 'rows/1')).toMatch(/^v1\.newer\./);
  expect(() => encryption(newer).decrypt(text, 'rows/1')).toThrow('MASTER_KEYS does not name the key older');
});
