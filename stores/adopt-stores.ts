import type { EntityManager } from '@mikro-orm/postgresql';
import { adoptDatabase, readMark } from '../database/queries/installation.ts';
import { runTransaction } from '../database/run-transaction.ts';
import { sealCanaries } from '../lib/key-canary.ts';
import { writeDataDirMark } from '../runtime/data-dir-mark.ts';
import type { StoreSettings } from './check-stores.ts';

/**
 * Makes database, DATA_DIR and master keys one installation, whatever they belonged to, and answers its id. Deletes
 * nothing. The database must be up to date.
 */
export async function adoptStores(em: EntityManager, { config, randomBytes }: StoreSettings): Promise<string> {
  const { id } = await readMark(em);
  if (id === null) throw new Error('The database is not up to date');
  const canaries = sealCanaries(config.MASTER_KEYS, randomBytes);
  await writeDataDirMark(config.DATA_DIR, { id, canaries });
  await runTransaction(em, (own) => adoptDatabase(own, { id, canaries }));
  return id;
}
