import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { createOwnedDatabase, roleUrlOf } from '../support/owned-database.ts';
import { createTestNamespace } from '../support/test-temporal.ts';
import { TEST_LIMIT_MS } from '../support/eventually.ts';
import { removeFolder } from '../support/remove-folder.ts';

const SET_UP = join(import.meta.dirname, '../../scripts/set-up-stores.ts');

let env: Record<string, string>;

beforeAll(async () => {
  const [owner, temporal] = [await createOwnedDatabase(), await createTestNamespace()];
  env = {
    DATABASE_URL: owner.toString(),
    API_DATABASE_URL: roleUrlOf(owner, 'api'),
    WORKER_DATABASE_URL: roleUrlOf(owner, 'worker'),
    RELAY_DATABASE_URL: roleUrlOf(owner, 'relay'),
    MASTER_KEYS: `k1:${randomBytes(32).toString('base64')}`,
    DATA_DIR: await mkdtemp(join(tmpdir(), 'set-up-stores-')),
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
  };
});
afterAll(() => removeFolder(env['DATA_DIR'] ?? ''));

async function setUp(settings: Record<string, string>): Promise<{ output: string; code: unknown }> {
  const child = spawn(process.execPath, [SET_UP], { env: settings, stdio: ['ignore', 'pipe', 'pipe'] });
  const exit = once(child, 'exit');
  const output = (await Promise.all([text(child.stdout), text(child.stderr)])).join('');
  return { output, code: (await exit)[0] };
}

async function countAs(url: string | undefined, statement: string): Promise<unknown> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(statement)).rows[0]?.count;
  } finally {
    await client.end();
  }
}

test(
  'set-up has its own settings alone, migrates as the owner, and makes the users of API, worker and relay; also twice',
  async () => {
    for (let times = 0; times < 2; times += 1) {
      const { output, code } = await setUp(env);
      expect([code, output]).toEqual([0, expect.stringContaining('API, worker and relay have their users')]);
    }
    expect(await countAs(env['API_DATABASE_URL'], 'select count(*)::int from api_keys')).toBe(0);
    expect(await countAs(env['WORKER_DATABASE_URL'], 'select count(*)::int from instance_secrets')).toBe(0);
    expect(await countAs(env['RELAY_DATABASE_URL'], 'select count(relay_sealed)::int from key_canaries')).toBe(1);
    await expect(countAs(env['RELAY_DATABASE_URL'], 'select count(*) from api_keys')).rejects.toThrow('permission denied');
  },
  TEST_LIMIT_MS,
);

test('some of the three users without the others are refused before anything is changed', async () => {
  const { RELAY_DATABASE_URL: _, ...some } = env;
  const { output, code } = await setUp(some);
  expect([code, output]).toEqual([
    1,
    expect.stringContaining('Set API_DATABASE_URL, WORKER_DATABASE_URL and RELAY_DATABASE_URL'),
  ]);
});
