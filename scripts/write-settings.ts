import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { envExample, settingsTable } from '../lib/describe-settings.ts';

// Writes what the schema in lib/config.ts says into .env.example and the settings table of README.md.
const root = join(import.meta.dirname, '..');
const readme = await readFile(join(root, 'README.md'), 'utf8');
await writeFile(join(root, '.env.example'), envExample());
await writeFile(
  join(root, 'README.md'),
  readme.replace(
    /(<!-- settings -->\n)[\s\S]*?(<!-- \/settings -->)/,
    (_, begin: string, end: string) => `${begin}${settingsTable()}${end}`,
  ),
);
