import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { envExample, settingsPage } from '../lib/settings/describe-settings.ts';

// Writes what the schema in lib/settings/config.ts says into .env.example and docs/SETTINGS.md.
const root = join(import.meta.dirname, '..');
await writeFile(join(root, '.env.example'), envExample());
await writeFile(join(root, 'docs/SETTINGS.md'), settingsPage());
