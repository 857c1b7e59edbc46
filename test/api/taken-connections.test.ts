import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { eventually } from '../support/eventually.ts';
import { startApi } from './api-under-test.ts';
import type { ApiUnderTest } from './api-under-test.ts';

const CONNECTIONS = 10;

let api: ApiUnderTest;
let watcher: Client;

beforeAll(async () => {
  api = await startApi();
  watcher = new Client({ connectionString: api.deps.config.DATABASE_URL });
  await watcher.connect();
});
afterAll(async () => {
  await watcher.end();
  await api.close();
});

test('while all connections are taken the process renews its lease, and says that it is ready', async () => {
  const seenAt = async () => (await watcher.query('select seen_at from processes')).rows[0]?.seen_at.getTime();
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const taken = Array.from({ length: CONNECTIONS }, () =>
    api.deps.orm.em.fork().transactional(async (em) => {
      await em.execute('select 1 as holding');
      await released;
    }),
  );
  await eventually(async () => {
    const { rows } = await watcher.query(
      `select count(*)::int as held from pg_stat_activity where datname = current_database() and query like '%as holding' and state like 'idle in%'`,
    );
    expect(rows).toEqual([{ held: CONNECTIONS }]);
  });
  expect((await fetch(`${api.url}/readyz`)).status).toBe(200);
  const before = await seenAt();
  await eventually(async () => expect(await seenAt()).toBeGreaterThan(before));
  release();
  await Promise.all(taken);
});
