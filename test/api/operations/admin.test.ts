import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createApiClient } from '../../support/api-client.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { makeRunning, newInstance } from '../rows.ts';

let api: ApiUnderTest;
let account: AccountClient;

beforeAll(async () => {
  api = await startApi({ env: { TEMPORAL_UI_URL: 'https://temporal.example/ui/' } });
  account = await api.newAccount({ email: 'customer@example.com' });
});

afterAll(() => api.close());

describe('invites.create', () => {
  test('takes amounts as decimal text or number', async () => {
    for (const creditUsd of ['75.00', 75]) {
      const { status, body, headers } = await api.operator.call('POST', '/admin/invites', {
        uses: 3,
        email: 'A@b.de',
        creditUsd,
      });
      expect(status).toBe(201);
      expect(headers.get('cache-control')).toBe('no-store');
      expect(body).toMatchObject({ uses: 3, usedCount: 0, email: 'a@b.de', creditUsd: '75.00', expiresAt: null });
    }
    for (const wrong of [
      { creditUsd: '-1' },
      { creditUsd: 'x' },
      { uses: 0 },
      { email: 'x' },
      { expiresAt: '2020-01-01T00:00:00Z' },
    ])
      expect((await api.operator.call('POST', '/admin/invites', wrong)).status).toBe(400);
  });

  test('answers 404 like any unknown path while no operator token is set, and refuses an account', async () => {
    expect((await account.call('POST', '/admin/invites', {})).status).toBe(401);
    const closed = await startApi({ env: { OPERATOR_TOKEN: '' } });
    try {
      const client = createApiClient(closed.url, { authorization: 'Bearer x' });
      const [admin, unknown] = [await client.call('POST', '/admin/invites', {}), await client.call('POST', '/nothing', {})];
      expect([admin.status, admin.body.error.message]).toEqual([404, unknown.body.error.message]);
    } finally {
      await closed.close();
    }
  });
});

describe('invites.list', () => {
  test('lists the newest first', async () => {
    const code = await api.invite({ uses: 9 });
    const { invites } = await api.operator.ok('GET', '/admin/invites?limit=1');
    expect(invites).toEqual([expect.objectContaining({ code, uses: 9 })]);
  });
});

describe('accounts.list', () => {
  test('finds the account of an address', async () => {
    const { accounts } = await api.operator.ok('GET', '/admin/accounts?email=Customer@example.com');
    expect(accounts).toEqual([
      {
        accountId: account.accountId,
        email: 'customer@example.com',
        name: 'Test',
        emailVerified: false,
        operator: false,
        balanceUsd: '50.00',
        balanceNanoUsd: '50000000000',
        createdAt: expect.any(String),
        deletedAt: null,
      },
    ]);
    expect((await api.operator.ok('GET', '/admin/accounts?email=unknown@example.com')).accounts).toEqual([]);
  });
});

describe('accounts.update', () => {
  test('makes an account an operator, which it shows, and takes that away', async () => {
    const path = `/admin/accounts/${account.accountId}`;
    for (const operator of [true, false]) {
      expect(await api.operator.ok('PATCH', path, { operator })).toEqual({ accountId: account.accountId, operator });
      expect(await account.ok('GET', '/auth/me')).toMatchObject({ operator });
    }
    const [line] = (await api.operator.ok('GET', `/admin/audit?accountId=${account.accountId}`)).entries;
    expect(line).toMatchObject({ actor: 'operator', action: 'accounts.update', target: account.accountId });
  });
});

describe('grants.create', () => {
  test('books a credit line and moves the balance with it', async () => {
    const path = `/admin/accounts/${account.accountId}/grants`;
    const { status, body } = await api.operator.call('POST', path, { amountUsd: '12.50', reason: 'Thanks' });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      accountId: account.accountId,
      amountUsd: '12.50',
      reason: 'Thanks',
      balanceNanoUsd: '62500000000',
    });
    expect((await account.ok('GET', '/auth/me')).balanceUsd).toBe(62.5);
    expect((await api.operator.call('POST', path, { amountUsd: '0', reason: 'x' })).status).toBe(400);
  });
});

describe('operator.instances.list', () => {
  test('shows the instances of all accounts with their workflow, and what is stuck alone when asked to', async () => {
    const instanceId = await newInstance(account);
    const { instances } = await api.operator.ok('GET', '/admin/instances?status=provisioning');
    expect(instances).toEqual([
      expect.objectContaining({
        ...{ instanceId, accountId: account.accountId, workflowId: `instance/${instanceId}` },
        workflowUrl: `https://temporal.example/ui/namespaces/default/workflows/instance%2F${instanceId}`,
      }),
    ]);
    expect((await api.operator.ok('GET', '/admin/instances?stuck=true')).instances).toEqual([]);
    api.advance(11 * 60_000);
    expect((await api.operator.ok('GET', '/admin/instances?stuck=true')).instances).toHaveLength(1);
    await makeRunning(api, instanceId);
    expect((await api.operator.ok('GET', '/admin/instances?stuck=true')).instances).toEqual([]);
  });
});

describe('health.get', () => {
  const health = () => api.operator.ok('GET', '/admin/health');

  test('counts what is alive, what waits and for how long', async () => {
    const before = await health();
    expect(before).toMatchObject({
      temporal: 'unknown',
      processes: { api: 1, worker: 0 },
      turns: { count: 0, oldestSeconds: 0 },
    });
    const instanceId = await newInstance(account);
    const after = await health();
    expect(after.instances.starting).toBe(before.instances.starting + 1);
    expect(after.wakeUps.count).toBeGreaterThan(before.wakeUps.count);
    expect(after.wakeUps.oldestSeconds).toBeGreaterThan(0);
    await makeRunning(api, instanceId);
    expect((await health()).instances.running).toBe(before.instances.running + 1);
  });

  test('is not for customers', async () => {
    expect(await account.call('GET', '/admin/health')).toMatchObject({ status: 401 });
  });
});

describe('operator.instances.stop', () => {
  test("stops anybody's instance and says so in the audit of its account", async () => {
    const instanceId = await newInstance(account);
    expect(await api.operator.ok('POST', `/admin/instances/${instanceId}/stop`)).toMatchObject({ instanceId, status: 'stopped' });
    expect(await account.ok('GET', `/instances/${instanceId}`)).toMatchObject({ desiredStatus: 'stopped' });
    const { entries } = await api.operator.ok('GET', `/admin/audit?instanceId=${instanceId}`);
    expect(entries[0]).toMatchObject({ actor: 'operator', action: 'instances.stop', accountId: account.accountId });
  });
});

describe('operator.instances.reconcile', () => {
  test('wakes the reconciler, and lets an error be tried again', async () => {
    const instanceId = await newInstance(account);
    await api.sql(
      `update instances set status = 'error', transition_kind = null, error_generation = power_generation where id = ? returning id`,
      [instanceId],
    );
    const count = async () => (await api.sql('select id from outbox where subject_id = ?', [instanceId])).length;
    const before = await count();
    expect(await api.operator.ok('POST', `/admin/instances/${instanceId}/reconcile`)).toMatchObject({
      instanceId,
      reconciling: true,
    });
    expect(await count()).toBe(before + 1);
    expect(await account.ok('GET', `/instances/${instanceId}`)).toMatchObject({
      status: 'provisioning',
      transition: { kind: 'starting' },
    });
    const generation = async () =>
      (await api.sql<{ g: number }>('select power_generation::int as g from instances where id = ?', [instanceId]))[0]?.g;
    const raised = await generation();
    await api.operator.ok('POST', `/admin/instances/${instanceId}/reconcile`);
    expect(await generation()).toBe(raised);
  });
});

describe('audit.list', () => {
  test('tells who did what, the latest first, page by page', async () => {
    const customer = await api.newAccount();
    await customer.ok('POST', '/auth/keys', { name: 'x' });
    const path = `/admin/audit?accountId=${customer.accountId}&limit=1`;
    const first = await api.operator.ok('GET', path);
    const second = await api.operator.ok('GET', `${path}&cursor=${first.nextCursor}`);
    const entries = [...first.entries, ...second.entries];
    expect(entries.map(({ action }) => action)).toEqual(['keys.create', 'auth.register']);
    expect(entries[0]).toMatchObject({
      auditId: expect.stringMatching(/^aud_/),
      actor: `account:${customer.accountId}`,
      requestId: expect.stringMatching(/^req_/),
      address: '127.0.0.1',
    });
    expect(second.nextCursor).toBeNull();
  });

  test('tells of nothing that was refused', async () => {
    const customer = await api.newAccount();
    await customer.call('POST', '/instances', { name: '' });
    const { entries } = await api.operator.ok('GET', `/admin/audit?accountId=${customer.accountId}`);
    expect(entries.map(({ action }: { action: string }) => action)).toEqual(['auth.register']);
  });
});
