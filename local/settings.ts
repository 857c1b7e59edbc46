import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { givenSettings, loadConfig } from '../lib/settings/config.ts';
import type { Config } from '../lib/settings/config.ts';
import { isErrno } from '../lib/errno.ts';
import { replaceFile } from '../runtime/host/replace-file.ts';
import type { Place } from './place.ts';

/** Stands for what is not known before PostgreSQL and Temporal run, so that all else can be checked first. */
const NOT_YET = { DATABASE_URL: 'postgres://not-started-yet/', TEMPORAL_ADDRESS: 'not-started-yet:1' };

export interface LocalSettings {
  /** What every part gets as its environment, once DATABASE_URL and TEMPORAL_ADDRESS are in it. */
  env: Record<string, string>;
  /** The same, parsed; DATABASE_URL and TEMPORAL_ADDRESS only mean something when they were given. */
  config: Config;
  /** Given ones are used instead of our own PostgreSQL and Temporal. */
  databaseUrl: string | undefined;
  temporalAddress: string | undefined;
  operatorToken: string;
  /** This start made the token, so it has not been shown before. */
  isOperatorTokenNew: boolean;
}

/** Fills in what one machine needs and was not given, and keeps in DATA_DIR what it made. Throws ConfigError. */
export async function completeSettings(place: Pick<Place, 'dataDir' | 'given'>): Promise<LocalSettings> {
  const { dataDir } = place;
  const given = givenSettings(place.given);
  const masterKeys = await keep(
    given['MASTER_KEYS'],
    join(dataDir, 'master-keys'),
    () => `k1:${randomBytes(32).toString('base64')}`,
  );
  const operatorToken = await keep(
    given['OPERATOR_TOKEN'],
    join(dataDir, 'operator-token'),
    () => `op_${randomBytes(32).toString('base64url')}`,
  );
  const env = {
    SMTP_URL: 'print:',
    WEBHOOK_ALLOW_PRIVATE: 'true',
    ...given,
    MASTER_KEYS: masterKeys.value,
    OPERATOR_TOKEN: operatorToken.value,
    DATA_DIR: dataDir,
  };
  return {
    env,
    config: loadConfig({ ...NOT_YET, ...env }),
    databaseUrl: given['DATABASE_URL'],
    temporalAddress: given['TEMPORAL_ADDRESS'],
    operatorToken: operatorToken.value,
    isOperatorTokenNew: operatorToken.isNew,
  };
}

/** The given value, else the kept one, else a new one, which is on disk before this returns. */
async function keep(given: string | undefined, file: string, make: () => string): Promise<{ value: string; isNew: boolean }> {
  if (given !== undefined) return { value: given, isNew: false };
  try {
    return { value: (await readFile(file, 'utf8')).trim(), isNew: false };
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  const value = make();
  await replaceFile(file, `${value}\n`, 0o600);
  return { value, isNew: true };
}
