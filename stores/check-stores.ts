import type { EntityManager } from '@mikro-orm/postgresql';
import {
  claimDatabase,
  countKnownRuntimes,
  findSealedSamples,
  proveRelayKeys,
  readMark,
} from '../database/stores/installation.ts';
import type { DatabaseMark } from '../database/stores/installation.ts';
import { runTransaction } from '../database/run-transaction.ts';
import { ConfigError } from '../lib/settings/config.ts';
import type { Config } from '../lib/settings/config.ts';
import { createEncryption } from '../lib/crypto/encryption.ts';
import { refuseKeys, sealCanaries } from '../lib/crypto/key-canary.ts';
import { installationsOfVolumes } from '../runtime/docker/installation-volumes.ts';
import { readDataDirMark, runtimesIn, writeDataDirMark } from '../runtime/data-dir-mark.ts';
import type { DataDirMark } from '../runtime/data-dir-mark.ts';
import { relayKeys } from '../runtime/engine.ts';
import { judgeStores } from './judge-stores.ts';
import type { Verdict } from './judge-stores.ts';

/** Database, DATA_DIR and master keys do not belong together. The message says why, and what to do. */
export class StoreError extends ConfigError {}

interface KeySettings {
  config: Pick<Config, 'MASTER_KEYS'>;
  randomBytes: (size: number) => Uint8Array;
}

export interface StoreSettings extends KeySettings {
  config: Pick<Config, 'DATA_DIR' | 'MASTER_KEYS' | 'RUNTIME'>;
}

interface Seen {
  database: DatabaseMark;
  mark: DataDirMark | null;
  verdict: Verdict;
}

const NOT_UP_TO_DATE = 'The database is not up to date. Run "npm run stores:set-up", then start again.';
const WHAT_TO_DO =
  'Nothing was changed. Correct DATABASE_URL or DATA_DIR, or restore what is missing. If the two are to be one installation from now on, run "npm run store:adopt".';

/**
 * Throws StoreError when database, DATA_DIR and master keys do not belong together. Writes nothing, so it may be asked
 * of a database before it is migrated.
 */
export async function refuseStores(em: EntityManager, settings: StoreSettings): Promise<Seen> {
  const { DATA_DIR, MASTER_KEYS, RUNTIME } = settings.config;
  const database = await readMark(em);
  const mark = await readDataDirMark(DATA_DIR);
  const runtimes = await runtimesIn(DATA_DIR);
  const known = database.hasTables ? await countKnownRuntimes(em, runtimes) : 0;
  const dataDir = { hasStorage: RUNTIME !== 'kubernetes', id: mark?.id ?? null, runtimes: runtimes.length, known };
  const verdict = judgeStores({ database, dataDir });
  if (verdict.kind === 'refused') throw new StoreError(`${verdict.because} ${WHAT_TO_DO} (DATA_DIR is ${DATA_DIR}.)`);
  const refusal = refuseKeys(MASTER_KEYS, mark?.canaries ?? {});
  if (refusal !== null) throw new StoreError(refusal);
  await refuseWrongKeys(em, settings, database);
  return { database, mark, verdict };
}

/**
 * Throws StoreError when they do not belong together. Where nothing contradicts, because one of them is new or of an
 * earlier version, they do from now on. Any process may call it at its start, at once with others. Answers the id of
 * the installation.
 */
export async function checkStores(em: EntityManager, settings: StoreSettings): Promise<string> {
  const { config, randomBytes } = settings;
  const { database, mark, verdict } = await refuseStores(em, settings);
  const id = verdict.kind === 'claim' ? verdict.id : database.id;
  if (id === null) throw new StoreError(NOT_UP_TO_DATE);
  const canaries = sealCanaries(config.MASTER_KEYS, randomBytes);
  const all = { ...canaries, ...mark?.canaries };
  // The folder first: a database that is claimed by a folder without a mark would be refused.
  if (mark?.id !== id || Object.keys(all).length > Object.keys(mark.canaries).length)
    await writeDataDirMark(config.DATA_DIR, { id, canaries: all, earlier: mark?.earlier ?? [] });
  const isNew = config.MASTER_KEYS.some((key) => database.canaries[key.id] === undefined);
  if (isNew || !database.isClaimed) await runTransaction(em, (own) => claimDatabase(own, { id, canaries }));
  await proveRelayKeys(em, sealCanaries(relayKeys(config.MASTER_KEYS), randomBytes));
  return id;
}

/**
 * For a process that has no DATA_DIR: throws StoreError when MASTER_KEYS are not those that the database was used with, or
 * it is not up to date. Writes nothing.
 */
export async function checkDatabase(em: EntityManager, settings: KeySettings): Promise<void> {
  const database = await readMark(em);
  await refuseWrongKeys(em, settings, database);
  if (database.id === null) throw new StoreError(NOT_UP_TO_DATE);
}

async function refuseWrongKeys(em: EntityManager, settings: KeySettings, { hasTables, canaries }: DatabaseMark): Promise<void> {
  const refusal = refuseKeys(settings.config.MASTER_KEYS, canaries);
  if (refusal !== null) throw new StoreError(refusal);
  if (hasTables && Object.keys(canaries).length === 0) await refuseUnreadable(em, settings);
}

/** A database that has no canary yet may hold what was sealed with other keys. */
async function refuseUnreadable(em: EntityManager, { config, randomBytes }: KeySettings): Promise<void> {
  const encryption = createEncryption({ masterKeys: config.MASTER_KEYS, randomBytes });
  for (const { value, place } of await findSealedSamples(em)) {
    try {
      encryption.decrypt(value, place);
    } catch (cause) {
      throw new StoreError(
        'The secrets in the database cannot be read with MASTER_KEYS. Set the keys that they were stored with.',
        {
          cause,
        },
      );
    }
  }
}

/** Throws StoreError when the engine holds volumes of another installation under the names of this DATA_DIR. */
export async function refuseForeignVolumes(
  { DATA_DIR, DOCKER_SOCKET }: Pick<Config, 'DATA_DIR' | 'DOCKER_SOCKET'>,
  installationId: string,
): Promise<void> {
  const mark = await readDataDirMark(DATA_DIR);
  const ours = [installationId, ...(mark?.earlier ?? [])];
  const found = (await installationsOfVolumes(DOCKER_SOCKET, DATA_DIR))?.filter((id) => !ours.includes(id)) ?? [];
  if (found.length === 0) return;
  throw new StoreError(
    `The Docker engine holds volumes of the installation ${found.join(', ')} for ${DATA_DIR}, and database and DATA_DIR belong to ` +
      `${installationId}. Restore the database and DATA_DIR that belong to the volumes, or use another DATA_DIR. If all of them are to ` +
      'be one installation from now on, run "npm run store:adopt".',
  );
}
