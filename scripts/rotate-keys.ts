import { randomBytes } from 'node:crypto';
import { createOrm } from '../database/orm.ts';
import { rotateKeys } from '../database/content/rotate-keys.ts';
import { settingsSchema } from '../lib/settings/config.ts';
import { createEncryption } from '../lib/crypto/encryption.ts';

// Encrypts what is at rest with the first of MASTER_KEYS. Put the new key before the old ones, restart every process,
// run this, and then take the old keys away.
const { MASTER_KEYS, DATABASE_URL } = settingsSchema.pick({ MASTER_KEYS: true, DATABASE_URL: true }).parse(process.env);
const [active] = MASTER_KEYS;
if (!active) throw new Error('MASTER_KEYS names no key');

const orm = await createOrm(DATABASE_URL);
try {
  const count = await rotateKeys(orm, {
    encryption: createEncryption({ masterKeys: MASTER_KEYS, randomBytes }),
    activeKeyId: active.id,
    onProgress: ({ name, done, total }) => void process.stdout.write(`${name}: ${done} of ${total}\n`),
  });
  process.stdout.write(
    `${count} values were encrypted with the key ${active.id}. Keep the old key for 24 more hours: stored responses of Idempotency-Keys use it until they expire.\n`,
  );
} finally {
  await orm.close();
}
