import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { setTokenPrices } from '../../../database/billing/set-token-prices.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { applyContent, makeRunning, newAgent, newInstance } from '../rows.ts';

const DAY_MS = 86_400_000;
const DAILY = { name: 'daily', scope: {}, period: 'day', limitUsd: '2.50' };

let api: ApiUnderTest;
let account: AccountClient;
let ids: { instanceId: string; agentId: string };
/** Of the agent's messages. */
let path: string;

beforeAll(async () => {
  api = await startApi();
  const price = { input: 1_000_000_000n, output: 1_000_000_000n, cacheRead: 0n, cacheWrite: 0n };
  const prices = Object.keys(api.deps.config.MODELS).map((model) => ({ model, ...price }));
  await runTransaction(api.orm.em, (em) => setTokenPrices(em, prices, new Date(0)));
});

afterAll(() => api.close());

beforeEach(async () => {
  account = await api.newAccount();
  const instanceId = await newInstance(account);
  ids = { instanceId, agentId: await newAgent(account, instanceId) };
  path = `/instances/${instanceId}/agents/${ids.agentId}/messages`;
});

/** So many tokens of one call: each costs a thousand nano-dollars. */
const spend = (tokens: number, { accountId } = account, { instanceId, agentId } = ids) =>
  api.sql(
    `select settle_model_call(call_id, ?, 0, 0, 0, 0, null, null, null, null)
       from agents cross join lateral reserve_model_call(?, ?, ?, null, agents.model, 1, 0, 60000, null) where agents.id = ?`,
    [tokens, accountId, instanceId, agentId, agentId],
  );
const create = (fields: object = {}): Promise<{ budgetId: string }> => account.ok('POST', '/budgets', { ...DAILY, ...fields });
const used = { status: 402, body: { error: { code: 'payment_required', reason: 'budget_reached' } } };

describe('budgets.create', () => {
  test('answers the budget, with nothing spent and the time at which it begins anew', async () => {
    const budget = await create({ scope: { ...ids, senderId: '*' } });
    expect(budget).toEqual({
      ...{ budgetId: expect.stringMatching(/^bud_/), name: 'daily', scope: { ...ids, senderId: '*' }, period: 'day', warnAt: 80 },
      ...{ limitUsd: '2.50', limitNanoUsd: '2500000000', spentNanoUsd: '0', createdAt: expect.any(String) },
      resetsAt: new Date((Math.floor(Date.now() / DAY_MS) + 1) * DAY_MS).toISOString(),
    });
    expect(await create({ period: 'total', warnAt: 50 })).toMatchObject({ resetsAt: null, warnAt: 50 });
  });

  test.each([
    ['an unknown field of the scope', { scope: { instance: 'inst_abcdefghijkl' } }],
    ['no scope', { scope: undefined }],
    ['another period', { period: 'week' }],
    ['no limit', { limitUsd: '0' }],
    ['a warning at the limit', { warnAt: 100 }],
    ['a warning at nothing', { warnAt: 0 }],
    ['a part of a per cent', { warnAt: 1.5 }],
  ])('refuses %s', async (_, fields) => {
    const { status, body } = await account.call('POST', '/budgets', { ...DAILY, ...fields });
    expect([status, body.error.code]).toEqual([400, 'invalid_request']);
  });

  test('is 404 for what the account does not have', async () => {
    const other = await api.newAccount();
    const instanceId = await newInstance(other);
    const agentId = await newAgent(other, instanceId);
    const { keyId } = await other.ok('POST', '/auth/keys', { name: 'theirs' });
    for (const scope of [{ instanceId }, { agentId }, { keyId }]) {
      const { status, body } = await account.call('POST', '/budgets', { ...DAILY, scope });
      expect([status, body.error.code]).toEqual([404, 'not_found']);
    }
  });

  test('takes a hundred budgets of an account', async () => {
    await api.sql(
      `insert into budgets (id, account_id, name, period, limit_nano_usd, warn_at, created_at)
       select 'bud_' || md5(random()::text), ?, 'n', 'day', 1000, 80, now() from generate_series(1, 99) returning id`,
      [account.accountId],
    );
    const { budgetId } = await create();
    expect((await account.call('POST', '/budgets', DAILY)).status).toBe(409);
    await account.ok('DELETE', `/budgets/${budgetId}`);
    await create();
  });
});

describe('budgets.get', () => {
  test('says what model calls and running time have spent since it was created', async () => {
    await spend(1_000);
    const { budgetId } = await create();
    await spend(5_000);
    await api.sql(
      `update budget_spends set runtime_nano_usd = 700, looked_at = now(), burn_nano_usd_per_hour = 0 where budget_id = ? returning key`,
      [budgetId],
    );
    expect(await account.ok('GET', `/budgets/${budgetId}`)).toMatchObject({ budgetId, spentNanoUsd: '5000700' });
    const other = await api.newAccount();
    expect((await other.call('GET', `/budgets/${budgetId}`)).status).toBe(404);
  });
});

describe('budgets.list', () => {
  test('has the budgets of the account, the latest first, in pages', async () => {
    const made = [await create({ name: 'one' }), await create({ name: 'two' }), await create({ name: 'three' })].map(
      (one) => one.budgetId,
    );
    const first = await account.ok('GET', '/budgets?limit=2');
    const second = await account.ok('GET', `/budgets?limit=2&cursor=${first.nextCursor}`);
    const listed = [...first.budgets, ...second.budgets].map(({ budgetId }: { budgetId: string }) => budgetId);
    expect([new Set(listed), second.nextCursor]).toEqual([new Set(made), null]);
  });

  test('is not for a key of one instance', async () => {
    const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'one', instanceId: ids.instanceId });
    const response = await fetch(`${api.url}/v1/budgets`, { headers: { 'x-api-key': apiKey } });
    expect(response.status).toBe(403);
  });
});

describe('budgets.spend', () => {
  test('says what each key has spent, in pages, and the budget their sum', async () => {
    const { budgetId } = await create({ scope: { agentId: '*' } });
    const agents = [ids.agentId, await newAgent(account, ids.instanceId, 'second')].toSorted();
    for (const [index, agentId] of agents.entries()) await spend(index + 1, account, { ...ids, agentId });
    const first = await account.ok('GET', `/budgets/${budgetId}/spend?limit=1`);
    const second = await account.ok('GET', `/budgets/${budgetId}/spend?cursor=${first.nextCursor}`);
    expect([...first.keys, ...second.keys]).toEqual([
      { key: agents[0], spentNanoUsd: '1000' },
      { key: agents[1], spentNanoUsd: '2000' },
    ]);
    expect(second.nextCursor).toBeNull();
    expect(await account.ok('GET', `/budgets/${budgetId}`)).toMatchObject({ spentNanoUsd: '3000' });
  });
});

describe('budgets.update', () => {
  test('changes name, limit and warning, and what is spent stays spent', async () => {
    const { budgetId } = await create();
    await spend(10);
    const changed = { name: 'more', limitUsd: '7.5', warnAt: 9 };
    expect(await account.ok('PATCH', `/budgets/${budgetId}`, changed)).toMatchObject({
      ...{ name: 'more', limitUsd: '7.50', warnAt: 9, spentNanoUsd: '10000' },
    });
  });

  test.each(['scope', 'period'])('refuses another %s', async (field) => {
    const { budgetId } = await create();
    const { status, body } = await account.call('PATCH', `/budgets/${budgetId}`, { [field]: 'day' });
    expect([status, body.error.details[0].path]).toEqual([400, field]);
  });
});

describe('budgets.delete', () => {
  test('removes it, and what it capped goes on', async () => {
    await makeRunning(api, ids.instanceId);
    const { budgetId } = await create({ scope: { agentId: ids.agentId }, limitUsd: '0.000001' });
    await spend(1);
    expect(await account.call('POST', path, { message: 'Hi', async: true })).toMatchObject(used);
    expect(await account.ok('DELETE', `/budgets/${budgetId}`)).toEqual({ budgetId, deleted: true });
    expect((await account.call('GET', `/budgets/${budgetId}`)).status).toBe(404);
    expect((await account.call('POST', path, { message: 'Hi', timeoutMs: 1 })).status).toBe(504);
  });
});

describe('a used-up budget', () => {
  beforeEach(async () => {
    await makeRunning(api, ids.instanceId);
    await applyContent(api, ids.instanceId);
  });

  test('refuses a message by its name, before anything of it is stored', async () => {
    const { budgetId } = await create({ name: 'for tests', limitUsd: '0.000001' });
    await spend(1);
    const { status, body } = await account.call('POST', path, { message: 'Hi' });
    expect({ status, body }).toMatchObject(used);
    expect(body.error.message).toContain(`"for tests" (${budgetId})`);
    expect(await account.ok('GET', path)).toMatchObject({ messages: [] });
    await account.ok('PATCH', `/budgets/${budgetId}`, { limitUsd: '1' });
    expect((await account.call('POST', path, { message: 'Hi', timeoutMs: 1 })).status).toBe(504);
  });

  test('of one end user or one key leaves the others alone', async () => {
    const { keyId, apiKey } = await account.ok('POST', '/auth/keys', { name: 'one' });
    await create({ scope: { keyId }, limitUsd: '0.000001' });
    await create({ scope: { senderId: '*' }, limitUsd: '0.000001' });
    const say = async (credential: Record<string, string>, id: string): Promise<number> => {
      const headers = { ...credential, 'content-type': 'application/json' };
      const body = JSON.stringify({ message: 'Hi', sender: { id }, timeoutMs: 1 });
      return (await fetch(`${api.url}/v1${path}`, { method: 'POST', headers, body })).status;
    };
    const [key, token] = [{ 'x-api-key': apiKey }, { authorization: `Bearer ${account.token}` }];
    // What a turn reserves is more than the limits.
    expect(await say(key, 'first')).toBe(504);
    expect(await say(key, 'second')).toBe(402);
    expect(await say(token, 'first')).toBe(402);
    expect(await say(token, 'second')).toBe(504);
  });

  test('lets no instance start or be created that it counts, and others do', async () => {
    await api.sql(
      `update instances set status = 'stopped', desired_status = 'stopped', boot_id = null where id = ? returning id`,
      [ids.instanceId],
    );
    const { budgetId } = await create({ scope: { instanceId: ids.instanceId }, limitUsd: '0.000001' });
    await spend(1);
    expect(await account.call('POST', `/instances/${ids.instanceId}/start`)).toMatchObject(used);
    await newInstance(account, 'other');
    await create({ limitUsd: '0.000001' });
    await account.ok('DELETE', `/budgets/${budgetId}`);
    await spend(1);
    expect(await account.call('POST', '/instances', { name: 'another' })).toMatchObject(used);
  });
});
