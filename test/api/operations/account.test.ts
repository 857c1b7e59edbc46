import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { removeOldAddresses } from '../../../database/accounts/delete-account.ts';
import { createApiClient } from '../../support/api-client.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { makeRunning, newAgent, newInstance } from '../rows.ts';

const DAY_MS = 24 * 60 * 60_000;

let api: ApiUnderTest;

beforeAll(async () => {
  api = await startApi();
});

afterAll(() => api.close());

async function codeFor(email: string, mailCount = 1): Promise<string> {
  await api.nobody.ok('POST', '/auth/login', { email });
  return api.mailbox.codeFor(email, mailCount);
}

async function deleteIt(account: AccountClient): Promise<void> {
  const code = await codeFor(account.email);
  expect(await account.ok('DELETE', '/account', { code })).toEqual({ accountId: account.accountId, deleted: true });
}

describe('account.delete', () => {
  test('ends every credential, and destroys every instance, webhook, key and budget in one transaction', async () => {
    const account = await api.newAccount();
    const [running, other] = [await newInstance(account), await newInstance(account)];
    await newAgent(account, running);
    await makeRunning(api, running);
    const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'mine' });
    const { webhookId } = await account.ok('POST', '/webhooks', { url: 'https://203.0.112.1/', events: ['*'] });
    const budget = { name: 'mine', scope: {}, period: 'day', limitUsd: '1' };
    const { budgetId } = await account.ok('POST', '/budgets', budget);
    await deleteIt(account);
    for (const client of [account, createApiClient(api.url, { 'x-api-key': apiKey })])
      expect((await client.call('GET', '/auth/me')).status).toBe(401);
    const instances = await api.sql('select id, desired_status from instances where account_id = ? order by id', [
      account.accountId,
    ]);
    expect(instances).toEqual([running, other].toSorted().map((id) => ({ id, desired_status: 'destroyed' })));
    const open = await api.sql('select id from runtime_intervals where instance_id = ? and ended_at is null', [running]);
    expect(open).toEqual([]);
    const kept = await api.sql(
      `select id, secret from webhooks where id = ? and (deleted_at is null or secret <> '')
       union all select id, '' from budgets where id = ? and deleted_at is null`,
      [webhookId, budgetId],
    );
    expect(kept).toEqual([]);
    const { entries } = await api.operator.ok('GET', `/admin/audit?accountId=${account.accountId}`);
    expect(entries[0]).toMatchObject({ action: 'account.delete', target: account.accountId });
  });

  test('keeps the ledger without a name, and other accounts as they are', async () => {
    const [account, other] = [await api.newAccount(), await api.newAccount()];
    const instanceId = await newInstance(other);
    await deleteIt(account);
    const lines = await api.sql('select kind, amount_nano_usd from transfers where account_id = ?', [account.accountId]);
    expect(lines).toHaveLength(1);
    expect(await api.sql('select name from accounts where id = ?', [account.accountId])).toEqual([{ name: '' }]);
    expect((await other.ok('GET', `/instances/${instanceId}`)).desiredStatus).toBe('running');
    const { accounts } = await api.operator.ok('GET', `/admin/accounts?email=${account.email}`);
    expect(accounts).toMatchObject([{ accountId: account.accountId, deletedAt: expect.any(String) }]);
    const grant = await api.operator.call('POST', `/admin/accounts/${account.accountId}/grants`, { amountUsd: '1', reason: 'x' });
    expect(grant.status).toBe(404);
  });

  test('frees the address after 30 days: until then it cannot be registered, and no code is mailed to it', async () => {
    const account = await api.newAccount();
    const inviteCode = await api.invite({ uses: 5 });
    const register = () => api.nobody.call('POST', '/auth/register', { name: 'Next', email: account.email, inviteCode });
    const now = api.deps.clock();
    await deleteIt(account);
    expect((await register()).status).toBe(409);
    await api.nobody.ok('POST', '/auth/login', { email: account.email });
    await api.deps.background.idle();
    expect(api.mailbox.mails.filter((mail) => mail.includes(`To: ${account.email}`))).toHaveLength(1);
    const remove = (days: number) =>
      removeOldAddresses(api.orm.em.fork(), { before: new Date(now.getTime() + (days - 30) * DAY_MS), limit: 10 });
    await remove(30);
    expect((await register()).status).toBe(409);
    expect(await remove(31)).toBeGreaterThan(0);
    expect(await remove(31)).toBe(0);
    expect(await api.sql('select email from accounts where id = ?', [account.accountId])).toEqual([
      { email: `${account.accountId}@deleted.invalid` },
    ]);
    expect((await register()).status).toBe(201);
  });

  test('takes a code that was mailed to this account only, and once', async () => {
    const [account, other] = [await api.newAccount(), await api.newAccount()];
    const foreign = await codeFor(other.email);
    const own = await codeFor(account.email);
    const wrong = own === '123456' ? '654321' : '123456';
    for (const code of [foreign, wrong]) {
      if (code === own) continue;
      const { status, body } = await account.call('DELETE', '/account', { code });
      expect([status, body.error.code]).toEqual([403, 'forbidden']);
    }
    expect((await account.call('DELETE', '/account', { code: 'none' })).status).toBe(400);
    expect((await account.call('GET', '/auth/me')).status).toBe(200);
    await account.ok('DELETE', '/account', { code: own });
    expect((await api.nobody.call('POST', '/auth/verify', { email: account.email, code: own })).status).toBe(401);
  });

  test('costs a try for each wrong code, so that it cannot be guessed', async () => {
    const account = await api.newAccount();
    const own = await codeFor(account.email);
    const wrong = own === '123456' ? '654321' : '123456';
    for (let tries = 0; tries < 5; tries += 1)
      expect((await account.call('DELETE', '/account', { code: wrong })).status).toBe(403);
    expect((await account.call('DELETE', '/account', { code: own })).status).toBe(403);
  });

  test('is refused to a key with limits, and taken from one without', async () => {
    const account = await api.newAccount();
    const clientOf = async (limits: object) =>
      createApiClient(api.url, { 'x-api-key': (await account.ok('POST', '/auth/keys', { name: 'k', ...limits })).apiKey });
    const instanceId = await newInstance(account);
    const code = await codeFor(account.email);
    for (const limits of [{ scopes: ['read', 'messages', 'write', 'secrets', 'keys'] }, { instanceId }]) {
      const { status, body } = await (await clientOf(limits)).call('DELETE', '/account', { code });
      expect([status, body.error.message]).toEqual([403, expect.stringContaining('limited to')]);
    }
    await (await clientOf({})).ok('DELETE', '/account', { code });
  });

  test('leaves nothing of what is added while it runs', async () => {
    const account = await api.newAccount();
    const code = await codeFor(account.email);
    const added = Array.from({ length: 8 }, (_, index) =>
      index % 2 === 0
        ? account.call('POST', '/instances', { name: 'late' })
        : account.call('POST', '/auth/keys', { name: 'late' }),
    );
    const [deleted, ...answers] = await Promise.all([account.call('DELETE', '/account', { code }), ...added]);
    expect(deleted.status).toBe(200);
    for (const { status } of answers) expect([201, 401]).toContain(status);
    const left = await api.sql(
      `select id from instances where account_id = ? and desired_status <> 'destroyed'
       union all select id from api_keys where account_id = ? and revoked_at is null`,
      [account.accountId, account.accountId],
    );
    expect(left).toEqual([]);
  });
});
