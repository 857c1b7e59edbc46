import { randomBytes } from 'node:crypto';
import { rotateKeys } from '../database/content/rotate-keys.ts';
import { lacksPrivilege } from '../database/failure-kind.ts';
import { createOrm } from '../database/orm.ts';
import { createEncryption } from '../lib/crypto/encryption.ts';
import { loadConfigOf, settingsSchema } from '../lib/settings/config.ts';

// Encrypts what is at rest with the first of MASTER_KEYS. Put the new key before the old ones, restart every process,
// run this, and then take the old keys away. DATABASE_URL is the API's or the owner's.
const { MASTER_KEYS, DATABASE_URL } = loadConfigOf(settingsSchema.pick({ MASTER_KEYS: true, DATABASE_URL: true }), process.env);
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
} catch (error) {
  if (!lacksPrivilege(error)) throw error;
  process.stderr.write('The user of DATABASE_URL may not change secrets. Use the DATABASE_URL of the API or of the owner.\n');
  process.exitCode = 1;
} finally {
  await orm.close();
}
