import type { EntityManager } from '@mikro-orm/postgresql';
import { adoptDatabase, readMark } from '../database/stores/installation.ts';
import { runTransaction } from '../database/run-transaction.ts';
import { sealCanaries } from '../lib/crypto/key-canary.ts';
import type { Config } from '../lib/settings/config.ts';
import { readDataDirMark, writeDataDirMark } from '../runtime/data-dir-mark.ts';
import { installationsOfVolumes } from '../runtime/docker/installation-volumes.ts';
import type { StoreSettings } from './check-stores.ts';

interface AdoptSettings extends StoreSettings {
  config: Pick<Config, 'DATA_DIR' | 'MASTER_KEYS' | 'RUNTIME' | 'DOCKER_SOCKET'>;
}

/**
 * Makes database, DATA_DIR and master keys one installation, whatever they belonged to, and answers its id. Deletes
 * nothing. The database must be up to date.
 */
export async function adoptStores(em: EntityManager, { config, randomBytes }: AdoptSettings): Promise<string> {
  const { id } = await readMark(em);
  if (id === null) throw new Error('The database is not up to date');
  const canaries = sealCanaries(config.MASTER_KEYS, randomBytes);
  const mark = await readDataDirMark(config.DATA_DIR);
  const volumes = config.RUNTIME === 'docker' ? await installationsOfVolumes(config.DOCKER_SOCKET, config.DATA_DIR) : [];
  const earlier = new Set([...(mark ? [mark.id, ...mark.earlier] : []), ...(volumes ?? [])]);
  await writeDataDirMark(config.DATA_DIR, { id, canaries, earlier: [...earlier].filter((one) => one !== id) });
  await runTransaction(em, (own) => adoptDatabase(own, { id, canaries }));
  return id;
}
