import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { operations } from '../../../api/operations/index.ts';
import { recordCronRun } from '../../../database/crons/record-cron-run.ts';
import { recordUnprompted } from '../../../database/messages/record-unprompted.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { turnSettings } from '../../../turns/turn-deps.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { endTurn, makeRunning, newAgent, newInstance, newTurn } from '../rows.ts';

const MEBIBYTE = 1024 ** 2;

let api: ApiUnderTest;
let account: AccountClient;
let other: AccountClient;
let of: { instanceId: string; agentId: string };
let path: string;

beforeAll(async () => {
  api = await startApi({ env: { MAX_STORED_MB_PER_ACCOUNT: '1' } });
  [account, other] = [await api.newAccount(), await api.newAccount()];
  const instanceId = await newInstance(account);
  of = { instanceId, agentId: await newAgent(account, instanceId) };
  path = `/instances/${instanceId}`;
  await makeRunning(api, instanceId);
});
afterAll(() => api.close());

const said = async () => account.ok('GET', '/auth/me');

test('GET /auth/me says what is stored and what may be', async () => {
  const before = await said();
  expect(before).toMatchObject({ storedBytes: expect.any(Number), maxStoredBytes: MEBIBYTE });
  await account.ok('POST', '/auth/keys', { name: 'k' });
  expect((await said()).storedBytes).toBe(before.storedBytes + 256);
});

describe('an account that stores all that it may', () => {
  let waiting: string;
  beforeAll(async () => {
    waiting = (await newTurn(api, of)).messageId;
    await endTurn(api, (await newTurn(api, { ...of }, { sessionId: 'full' })).messageId, {
      status: 'completed',
      content: 'x'.repeat(MEBIBYTE),
      finishReason: 'stop',
    });
  });

  test.each<[string, string, object]>([
    ['POST', '/auth/keys', { name: 'k' }],
    ['POST', '/instances', { name: 'i' }],
    ['POST', '/instances/:instanceId/agents', { name: 'n', slug: 'another', displayName: 'N' }],
    ['PATCH', '/instances/:instanceId/agents/:agentId', { files: { 'notes.md': 'x' } }],
    ['POST', '/instances/:instanceId/agents/:agentId/messages', { message: 'Hello' }],
    ['POST', '/instances/:instanceId/secrets', { secrets: { KEY: 'value' } }],
    ['POST', '/instances/:instanceId/skills', { name: 's', files: { 'SKILL.md': '# S' } }],
    ['POST', '/webhooks', { url: 'https://example.com/hook', events: ['*'] }],
  ])('%s %s is 413 with a sentence and stores nothing', async (method, template, body) => {
    const before = await said();
    const concrete = template.replace(':instanceId', of.instanceId).replace(':agentId', of.agentId);
    const { status, body: answer } = await account.call(method, concrete, body);
    expect([status, answer.error]).toMatchObject([
      413,
      { code: 'payload_too_large', reason: 'storage_full', message: expect.stringMatching(/stores \d MiB and may store 1 MiB/) },
    ]);
    expect(await said()).toEqual(before);
  });

  test.each<[string, object]>([
    ['/chat/completions', { messages: [{ role: 'user', content: 'Hello' }] }],
    ['/responses', { input: 'Hello' }],
  ])('POST %s of OpenAI is 413 and stores nothing', async (route, body) => {
    const before = await said();
    const response = await fetch(`${api.url}/openai/v1${route}`, {
      method: 'POST',
      body: JSON.stringify({ model: of.agentId, ...body }),
      headers: { authorization: `Bearer ${account.token}`, 'content-type': 'application/json' },
    });
    expect([response.status, await response.text()]).toEqual([413, expect.stringMatching(/stores \d MiB and may store 1 MiB/)]);
    expect(await said()).toEqual(before);
  });

  test('PUT of a file is 413 before its body is read', async () => {
    const response = await fetch(`${api.url}/v1${path}/agents/${of.agentId}/files/a`, {
      method: 'PUT',
      body: 'x',
      headers: { authorization: `Bearer ${account.token}` },
    });
    expect([response.status, await response.json()]).toMatchObject([413, { error: { reason: 'storage_full' } }]);
  });

  test('reads, stops and deletes, and others store as before', async () => {
    await account.ok('GET', `${path}/agents/${of.agentId}/messages`);
    await account.ok('POST', `/instances/${of.instanceId}/stop`);
    await account.ok('POST', `/instances/${of.instanceId}/start`);
    await makeRunning(api, of.instanceId);
    await other.ok('POST', '/auth/keys', { name: 'k' });
  });

  test('keeps 1 KiB of a reply that was under way, marked, and nothing of what its agents send by themselves', async () => {
    await endTurn(api, waiting, { status: 'completed', content: 'y'.repeat(5_000), finishReason: 'stop' });
    expect(await account.ok('GET', `${path}/agents/${of.agentId}/messages/${waiting}`)).toMatchObject({
      content: 'y'.repeat(1024),
      contentTruncated: true,
    });
    const [agent] = await api.sql<{ name: string }>('select gateway_agent_id as name from agents where id = ?', [of.agentId]);
    const options = { makeId: api.deps.makeId, now: api.deps.clock(), ...turnSettings(api.deps.config) };
    const place = { instanceId: of.instanceId, gatewayAgentId: agent?.name ?? '', conversationId: null, saidAt: new Date() };
    const before = await said();
    const unprompted = { ...place, runId: 'r', content: 'By the way', finishReason: 'stop' } as const;
    expect(await runTransaction(api.orm.em, (em) => recordUnprompted(em, unprompted, options))).toBe(false);
    const run = { ...place, gatewayJobId: 'j', jobName: 'J', runAt: new Date(), isDelivered: false, contentTruncated: false };
    const job = { ...run, content: 'Done', error: null };
    expect(await runTransaction(api.orm.em, (em) => recordCronRun(em, job, options))).toBe(false);
    expect(await said()).toEqual(before);
    await api.sql('delete from events where content is not null and length(content) > 10000 returning id');
    await api.sql('delete from messages where length(content) > 10000 returning id');
    expect(await runTransaction(api.orm.em, (em) => recordUnprompted(em, unprompted, options))).toBe(true);
    await account.ok('POST', '/auth/keys', { name: 'k' });
  });
});

test('every operation that adds rows with texts of its caller has a limit of what is stored', () => {
  const exempt = new Set([
    'instances.start',
    'instances.stop',
    'auth.logout',
    'auth.createLink',
    'messages.cancel',
    'budgets.update',
    'webhooks.update',
    'webhooks.rotateSecret',
  ]);
  const writes = operations.filter(({ auth, method }) => auth === 'account' && ['POST', 'PUT', 'PATCH'].includes(method));
  expect(
    writes.filter(({ stores, operationId }) => !stores && !exempt.has(operationId)).map(({ operationId }) => operationId),
  ).toEqual([]);
});
