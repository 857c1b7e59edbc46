import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { debitDue } from '../../../database/billing/debit-due.ts';
import { setPrice } from '../../../database/billing/set-price.ts';
import { setTokenPrices } from '../../../database/billing/set-token-prices.ts';
import { openInterval } from '../../../database/billing/intervals.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { makeRunning, newAgent, newInstance, newTurn } from '../rows.ts';

const HOUR = 3_600_000;
const PRICE = 30_000_000n;

let api: ApiUnderTest;
let account: AccountClient;
/** A full hour, some hours ago. */
let hour: number;

beforeAll(async () => {
  api = await startApi();
  await runTransaction(api.orm.em, (em) => setPrice(em, PRICE, new Date(Date.now() - 200 * HOUR)));
});

afterAll(() => api.close());

beforeEach(async () => {
  hour = Math.floor(Date.now() / HOUR) * HOUR - 6 * HOUR;
  account = await newEarlier();
});

/** An account that had its credit before anything ran: later money pays for nothing that was used before it came. */
async function newEarlier(options: { creditUsd?: string } = {}): Promise<AccountClient> {
  api.advance(-20 * HOUR);
  const client = await api.newAccount(options);
  api.advance(20 * HOUR);
  return client;
}

/** An instance that has run since then and is proven to have run until now, or until another time. */
async function newRunning(startedAt: number, { client = account, provenUntil = 0 } = {}): Promise<string> {
  const instanceId = await newInstance(client);
  await makeRunning(api, instanceId);
  const interval = {
    id: api.deps.makeId('int'),
    instanceId,
    accountId: client.accountId,
    bootId: `boot-of-${instanceId}`,
    now: new Date(startedAt),
  };
  await runTransaction(api.orm.em, (em) => openInterval(em, interval));
  await api.sql('update runtime_intervals set lost_at = null where instance_id = ? returning id', [instanceId]);
  const proven = provenUntil === 0 ? null : new Date(provenUntil);
  await api.sql('update watch_shards set alive_until = coalesce(?::timestamptz, clock_timestamp()) returning shard', [proven]);
  return instanceId;
}

const sweep = (now: number) => debitDue(api.orm.em, { now: new Date(now) });

describe('the money of a running instance', () => {
  test('moves the balance and billedMs together, between debits and across them', async () => {
    const instanceId = await newRunning(hour + HOUR / 2);
    const balances: [bigint, number][] = [];
    const look = async (): Promise<void> => {
      const [me, instance] = [await account.ok('GET', '/auth/me'), await account.ok('GET', `/instances/${instanceId}`)];
      balances.push([BigInt(me.balanceNanoUsd), instance.billedMs]);
      expect(instance.billedMs).toBeLessThanOrEqual(instance.totalRuntimeMs);
    };
    await look();
    await sweep(Date.now());
    await look();
    expect(balances[1]).toEqual(balances[0]);
    for (const [balance, billedMs] of balances) expect(50_000_000_000n - balance).toBe((BigInt(billedMs) * PRICE) / BigInt(HOUR));
  });
});

describe('billing.ledger', () => {
  test('lists the lines, the latest first, in pages, and adds up to the balance with what has accrued', async () => {
    // Not until now: a full hour may pass during the test.
    const instanceId = await newRunning(hour + HOUR / 2, { provenUntil: hour + 5.75 * HOUR });
    await sweep(Date.now());
    const first = await account.ok('GET', '/billing/ledger?limit=3');
    const second = await account.ok('GET', `/billing/ledger?limit=3&cursor=${first.nextCursor}`);
    expect(first.entries).toHaveLength(3);
    expect(second.nextCursor).toBeNull();
    const entries = [...first.entries, ...second.entries];
    const debits = entries.filter(({ kind }: { kind: string }) => kind === 'debit');
    expect([entries.length, debits.length]).toEqual([6, 5]);
    const oldestDebit = entries.findLast(({ kind }: { kind: string }) => kind === 'debit');
    expect(oldestDebit).toMatchObject({
      kind: 'debit',
      amountNanoUsd: '-15000000',
      instanceId,
      intervalId: expect.stringMatching(/^int_/),
      from: new Date(hour + HOUR / 2).toISOString(),
      to: new Date(hour + HOUR).toISOString(),
      at: new Date(hour + HOUR).toISOString(),
      pricePerHourUsd: '0.03',
      reason: null,
    });
    const sum = entries.reduce(
      (total: bigint, { amountNanoUsd }: { amountNanoUsd: string }) => total + BigInt(amountNanoUsd),
      0n,
    );
    expect(sum).toBe(50_000_000_000n - 15_000_000n - 4n * PRICE);
    const { balanceNanoUsd } = await account.ok('GET', '/auth/me');
    expect(BigInt(balanceNanoUsd)).toBeLessThanOrEqual(sum);
    expect(sum - BigInt(balanceNanoUsd)).toBeLessThan(PRICE);
  });
});

describe('the debits of model calls', () => {
  test('are lines with their agent, model, hour and number of calls, and the turn says what it cost', async () => {
    const instanceId = await newInstance(account);
    const agentId = await newAgent(account, instanceId);
    await makeRunning(api, instanceId);
    const { messageId } = await newTurn(api, { instanceId, agentId });
    const price = { input: 1_000_000_000n, output: 0n, cacheRead: 0n, cacheWrite: 0n };
    await runTransaction(api.orm.em, (em) => setTokenPrices(em, [{ model: 'priced', ...price }], new Date(hour)));
    await api.sql(
      `select settle_model_call(call_id, 7, 0, 0, 0, 0, null, null, null, ?)
         from messages cross join lateral reserve_model_call(?, ?, ?, trace_id, 'priced', 9, 9, 60000, ?) where id = ?`,
      [new Date(hour), account.accountId, instanceId, agentId, new Date(hour), messageId],
    );
    const { usage } = await account.ok('GET', `/instances/${instanceId}/agents/${agentId}/messages/${messageId}`);
    expect(usage).toMatchObject({ inputTokens: 7, costNanoUsd: '7000' });
    const { balanceNanoUsd } = await account.ok('GET', '/auth/me');
    await sweep(Date.now());
    const { entries } = await account.ok('GET', '/billing/ledger');
    expect(entries[0]).toMatchObject({
      ...{ kind: 'debit', amountNanoUsd: '-7000', instanceId, agentId, model: 'priced', calls: 1 },
      ...{ intervalId: null, pricePerHourUsd: null, from: new Date(hour).toISOString(), to: new Date(hour + HOUR).toISOString() },
    });
    expect(await account.ok('GET', '/auth/me')).toMatchObject({ balanceNanoUsd });
  });
});

describe('billing.usage', () => {
  test('tells running time, its cost, messages and tokens by instance, agent, day and model', async () => {
    const instanceId = await newInstance(account);
    const agentId = await newAgent(account, instanceId);
    await makeRunning(api, instanceId);
    const { messageId } = await newTurn(api, { instanceId, agentId });
    await api.sql(
      `insert into model_calls (account_id, instance_id, agent_id, message_id, model, input_tokens, output_tokens,
                                cache_read_tokens, cache_write_tokens, thinking_tokens, cost_nano_usd)
       values (?, ?, ?, ?, 'm', 100, 20, 40, 10, 5, 700), (?, ?, ?, null, 'm', 1, 2, 1, 0, 1, 30) returning id`,
      [account.accountId, instanceId, agentId, messageId, account.accountId, instanceId, agentId],
    );
    const id = api.deps.makeId('int');
    const day = Math.floor(hour / (24 * HOUR) - 2) * 24 * HOUR;
    await api.sql(
      `insert into runtime_intervals (id, instance_id, account_id, boot_id, started_at, ended_at, end_proven)
       values (?, ?, ?, 'boot', ?, ?, true) returning id`,
      [id, instanceId, account.accountId, new Date(day + 23 * HOUR), new Date(day + 26 * HOUR)],
    );
    const parts = { cacheReadTokens: 41, cacheWriteTokens: 10, thinkingTokens: 6 };
    const used = { messages: 1, inputTokens: 101, outputTokens: 22, ...parts, tokensNanoUsd: '730' };
    const no = { cacheReadTokens: 0, cacheWriteTokens: 0, thinkingTokens: 0, tokensNanoUsd: '0' };
    const none = { messages: 0, inputTokens: 0, outputTokens: 0, ...no };
    const paid = { runtimeMs: 3 * HOUR, chargedNanoUsd: String(3n * PRICE) };
    const byInstance = await account.ok('GET', '/billing/usage');
    expect(byInstance).toMatchObject({
      groupBy: 'instance',
      rows: [{ key: instanceId, ...paid, ...used, chargedNanoUsd: String(3n * PRICE + 730n) }],
    });
    expect(Date.parse(byInstance.to) - Date.parse(byInstance.from)).toBe(30 * 24 * HOUR);
    const byAgent = [{ key: agentId, runtimeMs: 0, chargedNanoUsd: '730', ...used }];
    expect((await account.ok('GET', '/billing/usage?groupBy=agent')).rows).toEqual(byAgent);
    const { model } = await account.ok('GET', `/instances/${instanceId}/agents/${agentId}`);
    expect((await account.ok('GET', '/billing/usage?groupBy=model')).rows).toEqual([
      { key: 'm', runtimeMs: 0, chargedNanoUsd: '730', ...used, messages: 0 },
      { key: model, runtimeMs: 0, chargedNanoUsd: '0', ...none, messages: 1 },
    ]);
    const days = (await account.ok('GET', '/billing/usage?groupBy=day')).rows;
    const dayOf = (at: number) => new Date(at).toISOString().slice(0, 10);
    expect(days.slice(0, 2)).toEqual([
      { key: dayOf(day), runtimeMs: HOUR, chargedNanoUsd: String(PRICE), ...none },
      { key: dayOf(day + 24 * HOUR), runtimeMs: 2 * HOUR, chargedNanoUsd: String(2n * PRICE), ...none },
    ]);
    const range = `from=${new Date(day + 23.5 * HOUR).toISOString()}&to=${new Date(day + 24 * HOUR).toISOString()}`;
    const part = [{ key: instanceId, runtimeMs: HOUR / 2, chargedNanoUsd: String(PRICE / 2n), ...none }];
    expect((await account.ok('GET', `/billing/usage?${range}`)).rows).toEqual(part);
    expect((await account.call('GET', '/billing/usage?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z')).status).toBe(400);
    expect((await account.call('GET', '/billing/usage?from=2020-01-01T00:00:00Z')).status).toBe(400);
  });
});

describe('instances.usage', () => {
  test('tells the same of one instance, by agent', async () => {
    const instanceId = await newInstance(account);
    const agentId = await newAgent(account, instanceId);
    await makeRunning(api, instanceId);
    await newTurn(api, { instanceId, agentId });
    const rows = [{ key: agentId, runtimeMs: 0, chargedNanoUsd: '0', messages: 1, inputTokens: 0, outputTokens: 0 }];
    expect(await account.ok('GET', `/instances/${instanceId}/usage`)).toMatchObject({ groupBy: 'agent', rows });
  });
});

describe('billing.forecast', () => {
  test('says for how long the money lasts at the present burn, and nothing when nothing runs', async () => {
    expect(await account.ok('GET', '/billing/forecast')).toEqual({
      balanceNanoUsd: '50000000000',
      burnNanoUsdPerHour: '0',
      hoursLeft: null,
      exhaustsAt: null,
    });
    await newRunning(Date.now() - 1_000);
    await newRunning(Date.now() - 1_000);
    const { burnNanoUsdPerHour, hoursLeft, exhaustsAt } = await account.ok('GET', '/billing/forecast');
    expect(burnNanoUsdPerHour).toBe('60000000');
    expect(hoursLeft).toBeGreaterThan(833);
    expect(hoursLeft).toBeLessThan(834);
    expect(Math.abs(Date.parse(exhaustsAt) - Date.now() - hoursLeft * HOUR)).toBeLessThan(60_000);
  });
});

describe('an account whose money has accrued away', () => {
  test('gets 402 for create and start before any debit is written, and can go on after a grant', async () => {
    const poor = await newEarlier({ creditUsd: '0.05' });
    const idle = await newInstance(poor);
    await poor.ok('POST', `/instances/${idle}/stop`);
    await newRunning(hour, { client: poor });
    expect((await poor.ok('GET', '/auth/me')).balanceNanoUsd).toBe('0');
    expect((await poor.call('POST', '/instances', { name: 'one more' })).status).toBe(402);
    expect((await poor.call('POST', `/instances/${idle}/start`)).status).toBe(402);
    const grant = await api.operator.ok('POST', `/admin/accounts/${poor.accountId}/grants`, {
      amountUsd: '12.50',
      reason: 'sorry',
    });
    expect(BigInt(grant.balanceNanoUsd)).toBeGreaterThan(12_499_000_000n);
    expect((await poor.call('POST', `/instances/${idle}/start`)).status).toBe(200);
    const events = await api.sql<{ type: string; data: string }>('select type, data from events where account_id = ?', [
      poor.accountId,
    ]);
    expect(events.map(({ type, data }) => [type, JSON.parse(data)])).toEqual([
      ['billing.credited', { amountNanoUsd: '12500000000', reason: 'sorry' }],
    ]);
  });
});
