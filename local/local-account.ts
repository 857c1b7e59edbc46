import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../lib/settings/config.ts';
import { isErrno } from '../lib/errno.ts';
import { isLoopback } from '../lib/net/loopback.ts';
import { replaceFile } from '../runtime/host/replace-file.ts';
import { postToApi, statusWithKey } from './call-api.ts';
import { createInvite } from './invite.ts';
import { Refusal } from './refusal.ts';

const account = z.object({ token: z.string() });
const key = z.object({ apiKey: z.string() });
const link = z.object({ path: z.string() });

export interface LocalKey {
  /** The file of DATA_DIR that holds the key. */
  file: string;
  apiKey: string;
  /** This start made the key, so it has not been shown before. */
  isNew: boolean;
}

/** Whether this installation may have an account with a key on disk: only its own machine reaches it, and it runs plain processes. */
export function mayHaveLocalAccount({ HOST, RUNTIME }: Pick<Config, 'HOST' | 'RUNTIME'>): boolean {
  return RUNTIME === 'process' && isLoopback(HOST);
}

/**
 * Makes sure that there is an account of this machine with an API key in DATA_DIR, readable by its owner only. A kept key that the
 * API no longer knows, because the database is another one, is replaced. A start that dies halfway leaves at most an account
 * without a key. Throws Refusal.
 */
export async function ensureLocalKey(dataDir: string, apiOrigin: string, operatorToken: string): Promise<LocalKey> {
  const file = join(dataDir, 'api-key');
  const kept = await readKey(file);
  if (kept !== null && (await isKnown(apiOrigin, kept))) return { file, apiKey: kept, isNew: false };
  const apiKey = await createKey(apiOrigin, operatorToken);
  await replaceFile(file, `${apiKey}\n`, 0o600);
  return { file, apiKey, isNew: true };
}

/** The address that opens the console signed in to the local account, once and within an hour. Throws Refusal. */
export async function createConsoleLink(apiOrigin: string, apiKey: string): Promise<string> {
  const { path } = await postToApi({
    purpose: 'make a link to the console',
    url: `${apiOrigin}/v1/auth/links`,
    token: apiKey,
    body: {},
    schema: link,
  });
  return `${apiOrigin}${path}`;
}

async function readKey(file: string): Promise<string | null> {
  try {
    return (await readFile(file, 'utf8')).trim() || null;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}

async function isKnown(apiOrigin: string, apiKey: string): Promise<boolean> {
  const status = await statusWithKey(`${apiOrigin}/v1/auth/me`, apiKey);
  if (status === 200 || status === 401) return status === 200;
  throw new Refusal(`The API runs but did not check the key of the local account (status ${status}).`);
}

/** The address is new each time, so that it never meets an account that a killed start left without a key. */
async function createKey(apiOrigin: string, operatorToken: string): Promise<string> {
  const email = `local-${randomBytes(8).toString('hex')}@thermidora.invalid`;
  const inviteCode = await createInvite(apiOrigin, operatorToken, email);
  const { token } = await postToApi({
    purpose: 'make the local account',
    url: `${apiOrigin}/v1/auth/register`,
    body: { name: 'Local', email, inviteCode },
    schema: account,
  });
  const { apiKey } = await postToApi({
    purpose: 'make a key of the local account',
    url: `${apiOrigin}/v1/auth/keys`,
    token,
    body: { name: 'npm start' },
    schema: key,
  });
  return apiKey;
}
