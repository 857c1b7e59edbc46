import { loadConfigOf, settingsSchema } from '../lib/settings/config.ts';
import { relayKeys } from '../runtime/engine.ts';

// Prints RELAY_KEYS: what the model relay needs of MASTER_KEYS, from which neither they nor another purpose's key can be
// found. It changes when they change.
const { MASTER_KEYS } = loadConfigOf(settingsSchema.pick({ MASTER_KEYS: true }), process.env);
const keys = relayKeys(MASTER_KEYS).map(({ id, key }) => `${id}:${key.toString('base64')}`);
process.stdout.write(`${keys.join(',')}\n`);
