import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';

let api: ApiUnderTest;
let account: AccountClient;

beforeAll(async () => {
  api = await startApi({ env: { QUARANTINE_DAYS: '2' } });
  account = await api.newAccount();
});
afterAll(() => api.close());
beforeEach(() => api.sql('delete from unowned_runtimes returning 1 as one'));

/** What a sweep notes; `hours` ago. */
async function found(runtimeId: string, hours: number, state: 'quarantined' | 'left' = 'quarantined'): Promise<string> {
  await api.sql(
    `insert into unowned_runtimes (runtime_id, found_at, quarantined_at)
     select ?, at, case when ? = 'quarantined' then at end from (select now() - make_interval(hours => ?) as at) it returning 1 as one`,
    [runtimeId, state, hours],
  );
  return runtimeId;
}

const list = async () => (await api.operator.ok('GET', '/admin/quarantine')).runtimes;

describe('quarantine.list', () => {
  test('tells of each runtime since when it is set aside and when it goes, the latest first, page by page', async () => {
    const [older, newer] = [await found('run_older', 20), await found('run_newer', 10, 'left')];
    const runtimes = await list();
    expect(runtimes).toMatchObject([
      { runtimeId: newer, state: 'left', quarantinedAt: null, deletedAfter: null },
      { runtimeId: older, state: 'quarantined', quarantinedAt: runtimes[1].foundAt },
    ]);
    expect(Date.parse(runtimes[1].deletedAfter) - Date.parse(runtimes[1].quarantinedAt)).toBe(48 * 60 * 60_000);
    const first = await api.operator.ok('GET', '/admin/quarantine?limit=1');
    const second = await api.operator.ok('GET', `/admin/quarantine?limit=1&cursor=${first.nextCursor}`);
    expect([...first.runtimes, ...second.runtimes]).toEqual(runtimes);
    expect(second.nextCursor).toBeNull();
  });
});

describe('quarantine.delete', () => {
  test('asks for the deletion, says so, and is in the audit', async () => {
    const runtimeId = await found('run_todelete', 1);
    for (let call = 1; call <= 2; call += 1)
      expect(await api.operator.ok('DELETE', `/admin/quarantine/${runtimeId}`)).toEqual({ runtimeId, state: 'deleting' });
    expect(await list()).toMatchObject([{ runtimeId, state: 'deleting', deletedAfter: expect.any(String) }]);
    const { entries } = await api.operator.ok('GET', '/admin/audit?limit=1');
    expect(entries[0]).toMatchObject({ action: 'quarantine.delete', actor: 'operator', target: runtimeId });
  });
});

describe('quarantine.restore', () => {
  const restore = (runtimeId: string, accountId: string) =>
    api.operator.call('POST', `/admin/quarantine/${runtimeId}/restore`, { accountId, name: 'Given back' });

  test('makes a stopped instance of that account, which owns the runtime from then on', async () => {
    const runtimeId = await found('run_togiveback', 1);
    const { status, body } = await restore(runtimeId, account.accountId);
    expect(status).toBe(201);
    expect(body).toMatchObject({ runtimeId, accountId: account.accountId, status: 'stopped', desiredStatus: 'stopped' });
    expect(await account.ok('GET', `/instances/${body.instanceId}`)).toMatchObject({ name: 'Given back', transition: null });
    expect(await list()).toEqual([]);
    expect((await restore(runtimeId, account.accountId)).status).toBe(404);
  });

  test('is refused for an account that does not exist, and once the deletion was asked for', async () => {
    const runtimeId = await found('run_togoaway', 1);
    expect((await restore(runtimeId, 'acc_nothingnothing00')).status).toBe(404);
    await api.operator.ok('DELETE', `/admin/quarantine/${runtimeId}`);
    expect((await restore(runtimeId, account.accountId)).status).toBe(409);
    expect(await list()).toHaveLength(1);
  });
});
