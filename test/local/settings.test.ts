import { mkdir, readdir, stat } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { ConfigError } from '../../lib/settings/config.ts';
import { completeSettings } from '../../local/settings.ts';
import { temporaryDir } from './temporary-dir.ts';

const dir = temporaryDir();

async function complete(name: string, given: Record<string, string> = {}) {
  const dataDir = dir.path(name);
  await mkdir(dataDir, { recursive: true });
  return completeSettings({ dataDir, given });
}

test('what the first start made, the next one finds; nobody else can read it', async () => {
  const first = await complete('kept');
  const second = await complete('kept');
  expect(second.env).toEqual(first.env);
  expect([first.isOperatorTokenNew, second.isOperatorTokenNew]).toEqual([true, false]);
  for (const file of ['master-keys', 'operator-token']) expect((await stat(dir.path('kept', file))).mode & 0o777).toBe(0o600);
});

test('two machines never share a key or a token', async () => {
  const [one, other] = [await complete('one'), await complete('other')];
  expect(one.env['MASTER_KEYS']).not.toBe(other.env['MASTER_KEYS']);
  expect(one.operatorToken).not.toBe(other.operatorToken);
});

test('mail is printed and private webhook targets are allowed, unless it was set otherwise', async () => {
  expect((await complete('local')).config).toMatchObject({ SMTP_URL: 'print:', WEBHOOK_ALLOW_PRIVATE: true });
  const given = { SMTP_URL: 'smtp://localhost', WEBHOOK_ALLOW_PRIVATE: 'false' };
  expect((await complete('given', given)).config).toMatchObject({ SMTP_URL: 'smtp://localhost', WEBHOOK_ALLOW_PRIVATE: false });
});

test('what is given is used, and nothing is kept of it', async () => {
  const given = { MASTER_KEYS: `mine:${Buffer.alloc(32).toString('base64')}`, OPERATOR_TOKEN: 'x'.repeat(32) };
  const { env, databaseUrl, temporalAddress } = await complete('all-given', {
    ...given,
    DATABASE_URL: 'postgres://db/x',
    TEMPORAL_ADDRESS: 'temporal:7233',
  });
  expect(env).toMatchObject(given);
  expect({ databaseUrl, temporalAddress }).toEqual({ databaseUrl: 'postgres://db/x', temporalAddress: 'temporal:7233' });
  expect(await readdir(dir.path('all-given'))).toEqual([]);
});

test('a wrong setting is named before anything is started', async () => {
  await expect(complete('wrong', { PORT: 'high' })).rejects.toThrow(ConfigError);
  await expect(complete('wrong', { PORT: 'high' })).rejects.toThrow('PORT');
});
