import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';

let api: ApiUnderTest;
let account: AccountClient;

beforeAll(async () => {
  api = await startApi();
  account = await api.newAccount();
  await api.sql(`insert into nodes (id, name, max_running) values (1, 'alpha', 4), (2, 'beta', 4) returning 1 as one`);
});
afterAll(() => api.close());
beforeEach(async () => {
  await api.sql('delete from runtimes where instance_id is null returning 1 as one');
  await api.sql('update instances set deleted_at = now() returning 1 as one');
});

interface Listed {
  runtimeId: string;
  state: string;
  [field: string]: unknown;
}

const list = async (query = ''): Promise<Listed[]> => (await api.operator.ok('GET', `/admin/runtimes${query}`)).runtimes;

/** A runtime that no instance has; in the pool when it has a state there. */
async function pooled(id: string, { state, node = 1 }: { state?: string; node?: number }): Promise<string> {
  await api.sql(`insert into runtimes (id, node_id, driver, pin) values (?, ?, 'process', '2026.9.6') returning 1 as one`, [
    id,
    node,
  ]);
  if (state !== undefined)
    await api.sql(
      `insert into pool_members (runtime_id, state, epoch, recipe, ready_at) values (?, ?, 1, 'r', case when ? = 'ready' then now() end)
       returning 1 as one`,
      [id, state, state],
    );
  return id;
}

/** The runtime of a new instance whose row says this. */
async function owned(columns: string): Promise<{ instanceId: string; runtimeId: string }> {
  const { instanceId } = await account.ok('POST', '/instances', { name: 'one' });
  const [row] = await api.sql<{ runtime_id: string }>(`update instances set ${columns} where id = ? returning runtime_id`, [
    instanceId,
  ]);
  return { instanceId, runtimeId: row?.runtime_id ?? '' };
}

const STATES: [state: string, columns: string][] = [
  ['awake', `status = 'running', transition_kind = null, boot_id = 'b'`],
  ['claimed', `status = 'provisioning', transition_kind = 'starting', boot_id = null`],
  ['claimed', `status = 'running', transition_kind = 'stopping', boot_id = 'b'`],
  ['suspended', `status = 'stopped', transition_kind = null, boot_id = null, sleep_state = 'asleep', suspended_at = now()`],
  ['claimed', `status = 'provisioning', transition_kind = 'starting', sleep_state = 'waking', suspended_at = now()`],
  ['stopped', `status = 'stopped', desired_status = 'stopped', transition_kind = null, boot_id = null`],
  ['stopped', `status = 'error', transition_kind = null, boot_id = null`],
];

describe('runtimes.list', () => {
  test.each(STATES)('says %s of an instance with %s', async (state, columns) => {
    const { instanceId, runtimeId } = await owned(columns);
    expect(await list()).toMatchObject([
      { runtimeId, state, instanceId, accountId: account.accountId, node: null, driver: null, pin: null, claimedAt: null },
    ]);
  });

  test('tells of the pool, with its node and what each gateway is made of', async () => {
    await pooled('run_warming00000', { state: 'warming' });
    await pooled('run_ready0000000', { state: 'ready', node: 2 });
    await pooled('run_nobodys00000', {});
    expect(await list('?state=warming')).toMatchObject([
      { runtimeId: 'run_warming00000', node: 'alpha', instanceId: null, readyAt: null },
    ]);
    expect(await list('?node=beta')).toMatchObject([
      { runtimeId: 'run_ready0000000', state: 'ready', driver: 'process', pin: '2026.9.6', readyAt: expect.any(String) },
    ]);
    expect(await list('?state=unowned')).toMatchObject([{ runtimeId: 'run_nobodys00000' }]);
    expect(await list('?state=awake')).toEqual([]);
    expect(await list('?node=gamma')).toEqual([]);
  });

  test('comes in pages without a gap', async () => {
    for (let count = 0; count < 5; count += 1) await pooled(`run_page00000000${count}`, { state: 'ready' });
    const seen: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page = await api.operator.ok('GET', `/admin/runtimes?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`);
      seen.push(...page.runtimes.map(({ runtimeId }: Listed) => runtimeId));
      cursor = page.nextCursor;
    }
    expect(seen).toEqual([4, 3, 2, 1, 0].map((count) => `run_page00000000${count}`));
  });

  test('refuses a state that does not exist, and customers', async () => {
    expect((await api.operator.call('GET', '/admin/runtimes?state=asleep')).status).toBe(400);
    expect((await account.call('GET', '/admin/runtimes')).status).toBe(401);
  });
});
