import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { makeRunning, newAgent, newInstance } from '../rows.ts';

const offered = { contextWindow: 200_000, maxTokens: 8_192 };

let api: ApiUnderTest;
let account: AccountClient;
let other: AccountClient;

beforeAll(async () => {
  const PROVIDERS = { claude: { kind: 'anthropic', key: 'the-key' }, aws: { kind: 'bedrock', region: 'us-east-1' } };
  const MODELS = {
    plain: { ...offered, upstream: 'm' },
    claude: {
      ...offered,
      ...{ provider: 'claude', upstream: 'claude-x', aliases: ['best'], input: ['text', 'image'] },
      ...{ priceUsdPerMillion: { input: '3', output: 15 }, fallbacks: [{ provider: 'aws', upstream: 'us.anthropic.claude-x' }] },
    },
    // Its account is made below.
    own: { ...offered, upstream: 'm', accounts: ['acc_none'] },
  };
  const MODEL_UPSTREAM_URL = 'http://127.0.0.1:9/v1';
  api = await startApi({ env: { MODEL_UPSTREAM_URL, PROVIDERS: JSON.stringify(PROVIDERS), MODELS: JSON.stringify(MODELS) } });
  [account, other] = [await api.newAccount(), await api.newAccount()];
  api.deps.config.MODELS['own']!.accounts = [account.accountId];
});

afterAll(() => api.close());

const fail = (provider: string, upstream: string, until: string) =>
  api.sql(
    `insert into model_troubles (provider, upstream, reason, since, until) values (?, ?, 'slow', now(), now() + ?::interval)
     returning provider`,
    [provider, upstream, until],
  );

describe('models.list', () => {
  test('tells what models read, cost and are called, and which fail now', async () => {
    await fail('claude', 'claude-x', '1 minute');
    await fail('default', 'm', '-1 second');
    const { models } = await account.ok('GET', '/models');
    expect(models).toMatchObject([
      { id: 'plain', aliases: [], input: ['text'], priceUsdPerMillion: null, state: 'available', isDefault: true },
      {
        ...{ id: 'claude', aliases: ['best'], input: ['text', 'image'], state: 'degraded', isDefault: false },
        priceUsdPerMillion: { input: '3', output: '15', cacheRead: null, cacheWrite: null },
      },
      { id: 'own' },
    ]);
    expect(JSON.stringify(models)).not.toMatch(/the-key|claude-x|aws/);
    await api.sql('delete from model_troubles returning provider');
  });

  test('tells an account the models that it may use, and no agent can have or use another one', async () => {
    const ids = async (of: AccountClient) => (await of.ok('GET', '/models')).models.map(({ id }: { id: string }) => id);
    expect([await ids(account), await ids(other)]).toEqual([
      ['plain', 'claude', 'own'],
      ['plain', 'claude'],
    ]);
    const create = (of: AccountClient, instanceId: string, model: string) =>
      of.call('POST', `/instances/${instanceId}/agents`, { name: 'A', slug: `a${model}`, displayName: 'A', model });
    const [mine, theirs] = [await newInstance(account), await newInstance(other)];
    expect(await create(account, mine, 'own')).toMatchObject({ status: 201, body: { model: 'own' } });
    expect(await create(account, mine, 'best')).toMatchObject({ status: 201, body: { model: 'claude' } });
    const refused = await create(other, theirs, 'own');
    expect([refused.status, JSON.stringify(refused.body)]).toEqual([400, expect.stringContaining('plain, claude.')]);

    const agentId = await newAgent(other, theirs);
    await makeRunning(api, theirs);
    await api.sql("update agents set model = 'own', status = 'active' where id = ? returning id", [agentId]);
    const sent = await other.call('POST', `/instances/${theirs}/agents/${agentId}/messages`, { message: 'Hi' });
    expect(sent).toMatchObject({ status: 502, body: { error: { message: expect.stringContaining('no longer available') } } });
  });
});

describe('models.listAll', () => {
  test('tells the operator the providers behind each model, what fails there and why, and no key', async () => {
    await fail('claude', 'claude-x', '1 minute');
    const { models } = await api.operator.ok('GET', '/admin/models');
    expect(models).toMatchObject([
      {
        id: 'plain',
        wire: 'openai-completions',
        accounts: null,
        providers: [{ provider: 'default', kind: null, upstream: 'm' }],
      },
      {
        ...{ id: 'claude', wire: 'anthropic-messages' },
        providers: [
          { provider: 'claude', kind: 'anthropic', state: 'degraded', reason: 'slow', retryAt: expect.any(String) },
          { provider: 'aws', kind: 'bedrock', upstream: 'us.anthropic.claude-x', state: 'available', reason: null, since: null },
        ],
      },
      { id: 'own', accounts: [account.accountId] },
    ]);
    expect(JSON.stringify(models)).not.toContain('the-key');
    expect((await account.call('GET', '/admin/models')).status).toBe(401);
  });
});
