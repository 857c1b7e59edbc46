import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { createOrm } from '../../../database/orm.ts';
import { rotateKeys } from '../../../database/content/rotate-keys.ts';
import type { RotationProgress } from '../../../database/content/rotate-keys.ts';
import { secretPlace } from '../../../database/secret-place.ts';
import { webhookPlace } from '../../../database/webhook-place.ts';
import { createEncryption } from '../../../lib/crypto/encryption.ts';
import { newAccount, newInstance } from '../../factories.ts';
import { asRole, createTestDatabase } from '../../support/test-database.ts';

const OLD = { id: 'old', key: randomBytes(32) };
const NEW = { id: 'new', key: randomBytes(32) };
const COUNT = 450;

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let orm: MikroORM;
const under = (...masterKeys: { id: string; key: Buffer }[]) => createEncryption({ masterKeys, randomBytes });
const placeOf = (key: string) => secretPlace({ accountId: 'acc_1', instanceId: 'inst_1', key });

beforeAll(async () => {
  database = await createTestDatabase();
  orm = await createOrm(database.url);
  await newAccount(orm, { id: 'acc_1' });
  await newInstance(orm, { id: 'inst_1', account: 'acc_1', desiredStatus: 'stopped', status: 'stopped' });
});

afterAll(async () => {
  await orm.close();
  await database.drop();
});

async function seal(): Promise<void> {
  const em = orm.em.fork();
  const old = under(OLD);
  await em.execute('delete from instance_secrets');
  await em.execute('delete from webhooks');
  for (let index = 0; index < COUNT; index += 1) {
    const key = `S${String(index).padStart(4, '0')}`;
    await em.execute(`insert into instance_secrets (instance_id, key, value, updated_at) values ('inst_1', ?, ?, now())`, [
      key,
      old.encrypt(key, placeOf(key)),
    ]);
  }
  for (const [id, previous] of [
    ['wh_1', null],
    ['wh_2', 'before'],
  ] as const)
    await em.execute(
      `insert into webhooks (id, account_id, url, events, secret, secret_last4, previous_secret, created_at)
       values (?, 'acc_1', 'https://example.com', '{*}', ?, 'last', ?, now())`,
      [id, old.encrypt(id, webhookPlace(id)), previous === null ? null : old.encrypt(previous, webhookPlace(id))],
    );
}

async function expectReadable(): Promise<void> {
  const em = orm.em.fork();
  const fresh = under(NEW);
  const secrets = await em.execute<{ key: string; value: string }[]>('select key, value from instance_secrets');
  expect(secrets).toHaveLength(COUNT);
  for (const { key, value } of secrets) expect(fresh.decrypt(value, placeOf(key))).toBe(key);
  const webhooks = await em.execute<{ id: string; secret: string; previous: string | null }[]>(
    'select id, secret, previous_secret as previous from webhooks order by id',
  );
  expect(webhooks.map(({ id, secret }) => fresh.decrypt(secret, webhookPlace(id)))).toEqual(['wh_1', 'wh_2']);
  expect(webhooks.map(({ id, previous }) => previous && fresh.decrypt(previous, webhookPlace(id)))).toEqual([null, 'before']);
}

test('everything at rest is under the active key afterwards, in batches, with progress, and a second run has nothing to do', async () => {
  await seal();
  const progress: RotationProgress[] = [];
  const options = {
    encryption: under(NEW, OLD),
    activeKeyId: NEW.id,
    onProgress: (step: RotationProgress) => void progress.push(step),
  };
  expect(await rotateKeys(orm, options)).toBe(COUNT + 3);
  await expectReadable();
  expect(progress.filter(({ name }) => name === 'secrets').map(({ done }) => done)).toEqual([0, 200, 400, 450]);
  expect(await rotateKeys(orm, options)).toBe(0);
});

test('a run that stops in the middle loses nothing, and the next one goes on', async () => {
  await seal();
  const stopping = {
    encryption: under(NEW, OLD),
    activeKeyId: NEW.id,
    onProgress: ({ done }: RotationProgress) => {
      if (done >= 200) throw new Error('killed');
    },
  };
  await expect(rotateKeys(orm, stopping)).rejects.toThrow('killed');
  expect(await rotateKeys(orm, { ...stopping, onProgress: () => undefined })).toBe(COUNT + 3 - 200);
  await expectReadable();
});

test('a key that is missing changes nothing and is named', async () => {
  await seal();
  await expect(rotateKeys(orm, { encryption: under(NEW), activeKeyId: NEW.id, onProgress: () => undefined })).rejects.toThrow(
    'old',
  );
});

/** Runs the command as Compose does: with settings that stand in files. */
async function rotateAs(databaseUrl: string) {
  const directory = await mkdtemp(join(tmpdir(), 'rotate-keys-'));
  const keys = [NEW, OLD].map(({ id, key }) => `${id}:${key.toString('base64')}`).join(',');
  await writeFile(join(directory, 'master-keys'), `${keys}\n`);
  await writeFile(join(directory, 'database-url'), `${databaseUrl}\n`);
  const env = { MASTER_KEYS_FILE: join(directory, 'master-keys'), DATABASE_URL_FILE: join(directory, 'database-url') };
  try {
    return await promisify(execFile)(process.execPath, [join(import.meta.dirname, '../../../scripts/rotate-keys.ts')], { env });
  } finally {
    await rm(directory, { recursive: true });
  }
}

test.each([
  ['the owner', () => database.url],
  ["the API's user", () => asRole(database.url, 'api')],
])('the command of %s encrypts everything, and reports its progress', async (_, url) => {
  await seal();
  const { stdout } = await rotateAs(url());
  expect(stdout).toContain('secrets: 450 of 450\n');
  expect(stdout).toContain(`${COUNT + 3} values were encrypted with the key new.`);
  await expectReadable();
});

test("as the worker's user, who may not change secrets, the command is refused in a sentence", async () => {
  await seal();
  await expect(rotateAs(asRole(database.url, 'worker'))).rejects.toMatchObject({
    code: 1,
    stderr: 'The user of DATABASE_URL may not change secrets. Use the DATABASE_URL of the API or of the owner.\n',
  });
});
