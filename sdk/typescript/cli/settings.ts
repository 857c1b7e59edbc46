import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { isObject } from '../src/errors.ts';
import { Thermidora } from '../src/index.ts';
import type { ClientOptions } from '../src/index.ts';
import { EXIT, UserError } from './io.ts';
import type { Io } from './io.ts';

const LOCAL_URL = 'http://127.0.0.1:3000/v1';
const DEFAULT_URL = 'https://core.thermidora.com/v1';

/** The API that commands call, and their credentials. `source` names where these come from. */
export interface Access {
  baseUrl: string;
  credentials: Pick<ClientOptions, 'apiKey' | 'token'>;
  source: string;
}

interface Login {
  baseUrl: string;
  token: string;
}

/** The file that `login` writes. */
export function loginFile({ env }: Io): string {
  return join(env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config'), 'thermidora', 'login.json');
}

/** Keeps a token for later commands, readable by this user alone. */
export async function saveLogin(io: Io, login: Login): Promise<void> {
  const file = loginFile(io);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(file, `${JSON.stringify(login, null, 2)}\n`, { mode: 0o600 });
  await chmod(file, 0o600);
}

/** Forgets the token. */
export async function removeLogin(io: Io): Promise<void> {
  await rm(loginFile(io), { force: true });
}

/** The address of the API, for commands that work without signing in. */
export async function findUrl(io: Io): Promise<string> {
  const { THERMIDORA_URL } = io.env;
  return THERMIDORA_URL ?? (await readLogin(io))?.baseUrl ?? ((await localKey()) === null ? DEFAULT_URL : LOCAL_URL);
}

/**
 * THERMIDORA_API_KEY wins, then what `login` has kept, then the key of an installation that `npm start` runs from the current
 * folder. Null when none of them exists.
 */
export async function findAccess(io: Io): Promise<Access | null> {
  const { THERMIDORA_API_KEY, THERMIDORA_URL } = io.env;
  const baseUrl = await findUrl(io);
  if (THERMIDORA_API_KEY) return { baseUrl, credentials: { apiKey: THERMIDORA_API_KEY }, source: 'THERMIDORA_API_KEY' };
  const login = await readLogin(io);
  // A token goes to the API that has issued it, and to no other.
  if (login && login.baseUrl === baseUrl) return { baseUrl, credentials: { token: login.token }, source: loginFile(io) };
  const apiKey = await localKey();
  if (apiKey === null || (THERMIDORA_URL !== undefined && THERMIDORA_URL !== LOCAL_URL)) return null;
  return { baseUrl: LOCAL_URL, credentials: { apiKey }, source: '.thermidora/api-key' };
}

/** A client with the credentials of findAccess. Throws UserError when there are none. */
export async function connect(io: Io): Promise<Thermidora> {
  const access = await findAccess(io);
  if (!access) throw new UserError('Sign in with `thermidora login`, or set THERMIDORA_API_KEY to an API key.', EXIT.credentials);
  return new Thermidora({ baseUrl: access.baseUrl, ...access.credentials });
}

/** A client with the operator token. Throws UserError when there is none. */
export async function connectOperator(io: Io): Promise<Thermidora> {
  const token = io.env['THERMIDORA_OPERATOR_TOKEN'];
  if (!token) throw new UserError('Set THERMIDORA_OPERATOR_TOKEN to the operator token of the installation.', EXIT.credentials);
  return new Thermidora({ baseUrl: await findUrl(io), token });
}

async function readLogin(io: Io): Promise<Login | null> {
  const file = loginFile(io);
  const text = await readFile(file, 'utf8').catch(() => null);
  if (text === null) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  if (!isObject(value) || typeof value['baseUrl'] !== 'string' || typeof value['token'] !== 'string')
    throw new UserError(`${file} cannot be read. Remove it and sign in again.`, EXIT.credentials);
  return { baseUrl: value['baseUrl'], token: value['token'] };
}

async function localKey(): Promise<string | null> {
  const text = await readFile(join('.thermidora', 'api-key'), 'utf8').catch(() => null);
  return text === null ? null : text.trim();
}
