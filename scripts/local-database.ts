import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { givenSettings } from '../lib/settings/config.ts';

/** DATABASE_URL, which may stand in the file that DATABASE_URL_FILE names, or the PostgreSQL that `npm start` runs for this DATA_DIR. */
export async function databaseUrl(): Promise<string> {
  const { DATABASE_URL, DATA_DIR = '.thermidora' } = givenSettings(process.env);
  if (DATABASE_URL) return DATABASE_URL;
  const read = (name: string): Promise<string> => readFile(join(DATA_DIR, 'postgres', name), 'utf8');
  try {
    const password = await read('password');
    const port = await read('port');
    return `postgres://thermidora:${password}@127.0.0.1:${port}/thermidora`;
  } catch (error) {
    throw new Error('Set DATABASE_URL, or run npm start first: its database is used.', { cause: error });
  }
}
