import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import type { Operation } from '../../../api/contract/define-operation.ts';
import { operations } from '../../../api/operations/index.ts';
import { KEY_SCOPES } from '../../../domain/access/key-scopes.ts';
import type { KeyScope } from '../../../domain/access/key-scopes.ts';
import { createApiClient } from '../../support/api-client.ts';
import type { ApiClient } from '../../support/api-client.ts';
import { startApi } from '../api-under-test.ts';
import type { ApiUnderTest } from '../api-under-test.ts';
import { newInstance } from '../rows.ts';

const ofAccounts = operations.filter(({ auth }) => auth === 'account');
const named = (list: readonly Operation[]) => list.map((operation) => [operation.operationId, operation] as const);

let api: ApiUnderTest;
/** Calls with a key without limits: its token ends with `auth.logout`, which is tried out too. */
let account: ApiClient;
let mine: string;
let other: string;
/** A key of exactly this scope, and one of all others. */
const withOnly = new Map<KeyScope, ApiClient>();
const withoutIt = new Map<KeyScope, ApiClient>();

beforeAll(async () => {
  api = await startApi();
  account = await newKey({}, await api.newAccount());
  [mine, other] = [await newInstance(account, 'mine'), await newInstance(account, 'other')];
  for (const scope of KEY_SCOPES) {
    withOnly.set(scope, await newKey({ scopes: [scope] }));
    withoutIt.set(scope, await newKey({ scopes: KEY_SCOPES.filter((one) => one !== scope) }));
  }
});

afterAll(() => api.close());

const clientOf = (apiKey: string) => createApiClient(api.url, { 'x-api-key': apiKey });

async function newKey(limits: object, maker: ApiClient = account): Promise<ApiClient> {
  const { apiKey } = await maker.ok('POST', '/auth/keys', { name: 'limited', ...limits });
  return clientOf(apiKey);
}

/** Calls the operation without changing anything: nothing has these ids, and no field this type. */
function tryOut(client: ApiClient, operation: Operation, instanceId = 'inst_nothingnothing00') {
  const path = operation.path.replace(':instanceId', instanceId).replaceAll(/:(\w+)/g, 'no-$1');
  const shape = operation.body instanceof z.ZodObject ? operation.body.shape : {};
  const body = operation.body ? Object.fromEntries(Object.keys(shape).map((name) => [name, [{ wrong: true }]])) : undefined;
  // A stream without end is asked for in a way that it refuses.
  return client.call(operation.method, operation.success.stream === 'only' ? `${path}?after=x&instanceId=x` : path, body);
}

function clientFor(clients: Map<KeyScope, ApiClient>, { scope }: Operation): ApiClient {
  const client = scope && clients.get(scope);
  if (!client) throw new Error('The operation states no scope');
  return client;
}

describe('a key with scopes', () => {
  const ofLimited = ofAccounts.filter(({ wholeAccount }) => !wholeAccount);

  test.each(named(ofLimited))('may call %s with its scope alone, and not with all others', async (_id, operation) => {
    const refused = await tryOut(clientFor(withoutIt, operation), operation);
    expect([refused.status, refused.body.error.code]).toEqual([403, 'forbidden']);
    expect(refused.body.error.message).toContain(`'${operation.scope}'`);
    expect((await tryOut(clientFor(withOnly, operation), operation)).status).not.toBe(403);
  });

  test.each(named(ofAccounts.filter(({ wholeAccount }) => wholeAccount)))('may not call %s', async (_id, operation) => {
    const { status, body } = await tryOut(await newKey({ scopes: [...KEY_SCOPES] }), operation);
    expect([status, body.error.code]).toEqual([403, 'forbidden']);
  });

  test('reads with every GET and changes with none', () => {
    for (const { method, scope } of ofAccounts) expect(scope === 'read').toBe(method === 'GET');
  });

  test('makes no key that may do more, and one that may do as much when nothing is said', async () => {
    const maker = await newKey({ scopes: ['keys', 'read'] });
    const { status, body } = await maker.call('POST', '/auth/keys', { name: 'x', scopes: ['read', 'write', 'secrets'] });
    expect([status, body.error.code]).toEqual([403, 'forbidden']);
    expect(body.error.message).toContain('write, secrets');
    expect(await maker.ok('POST', '/auth/keys', { name: 'x', scopes: ['read'] })).toMatchObject({ scopes: ['read'] });
    expect(await maker.ok('POST', '/auth/keys', { name: 'x' })).toMatchObject({ scopes: ['read', 'keys'], instanceId: null });
  });

  test('is not given the answer of another key by its Idempotency-Key', async () => {
    const headers = { 'idempotency-key': 'same' };
    const wanted = { name: 'same', scopes: ['read', 'keys'] };
    const { apiKey } = (await account.call('POST', '/auth/keys', wanted, { headers })).body;
    const limited = await newKey({ scopes: ['keys', 'read'] });
    const own = await limited.call('POST', '/auth/keys', wanted, { headers });
    expect([own.status, own.headers.get('idempotent-replayed')]).toEqual([201, null]);
    expect(own.body.apiKey).not.toBe(apiKey);
    expect((await limited.call('POST', '/auth/keys', wanted, { headers })).body).toEqual(own.body);
  });

  test('with scopes that do not exist, or with none, is refused', async () => {
    for (const scopes of [[], ['admin'], 'read'])
      expect((await account.call('POST', '/auth/keys', { name: 'x', scopes })).status).toBe(400);
  });
});

describe('a key of one instance', () => {
  let key: ApiClient;
  beforeAll(async () => {
    key = await newKey({ instanceId: mine });
  });

  const ofInstances = ofAccounts.filter(({ path }) => path.includes(':instanceId'));
  const answering = ofAccounts.filter(({ keyOfInstance }) => keyOfInstance);
  const ofWhole = ofAccounts.filter((operation) => !ofInstances.includes(operation) && !answering.includes(operation));

  test.each(named(ofInstances))('with %s finds no other instance of the account', async (_id, operation) => {
    const { status, body } = await tryOut(key, operation, other);
    expect([status, body.error.message]).toEqual([404, 'Instance not found']);
  });

  test.each(named(ofWhole))('is refused %s, which concerns the whole account', async (_id, operation) => {
    const { status, body } = await tryOut(key, operation);
    expect([status, body.error.code]).toEqual([403, 'forbidden']);
  });

  test.each(named(answering))('may call %s', async (_id, operation) => {
    expect((await tryOut(key, operation)).status).not.toBe(403);
  });

  test('finds its instance alone in the list, on every page', async () => {
    expect((await key.ok('GET', '/instances')).instances.map(({ instanceId }: { instanceId: string }) => instanceId)).toEqual([
      mine,
    ]);
    expect(await key.ok('GET', `/instances/${mine}`)).toMatchObject({ name: 'mine' });
    const { nextCursor } = await account.ok('GET', '/instances?limit=1');
    expect((await key.ok('GET', `/instances?cursor=${nextCursor}`)).instances).toMatchObject([{ instanceId: mine }]);
  });

  test('has the webhooks of its instance only', async () => {
    const webhook = { url: 'https://203.0.112.1/', events: ['*'] };
    const ofAll = await account.ok('POST', '/webhooks', webhook);
    for (const instanceId of [undefined, other]) {
      const { status, body } = await key.call('POST', '/webhooks', { ...webhook, instanceId });
      expect([status, body.error.code]).toEqual([403, 'forbidden']);
    }
    const { webhookId } = await key.ok('POST', '/webhooks', { ...webhook, instanceId: mine });
    expect((await key.ok('GET', '/webhooks')).webhooks).toMatchObject([{ webhookId }]);
    const calls = [
      ['GET', ''],
      ['PATCH', '', { enabled: false }],
      ['POST', '/test'],
      ['POST', '/rotate-secret'],
      ['GET', '/deliveries'],
      ['DELETE', ''],
    ] as const;
    for (const [method, rest, body] of calls) {
      expect([rest, (await key.call(method, `/webhooks/${ofAll.webhookId}${rest}`, body)).status]).toEqual([rest, 403]);
      expect([rest, (await key.call(method, `/webhooks/${webhookId}${rest}`, body)).status]).toEqual([rest, 200]);
    }
  });

  test('is made for an instance of the account only, and not at all by a key of one instance', async () => {
    const stranger = await api.newAccount();
    expect((await stranger.call('POST', '/auth/keys', { name: 'x', instanceId: mine })).status).toBe(404);
    expect((await key.call('POST', '/auth/keys', { name: 'x' })).status).toBe(403);
  });

  test('is shown with its limits', async () => {
    const client = await api.newAccount();
    const instanceId = await newInstance(client);
    const expiresAt = new Date(api.deps.clock().getTime() + 60_000).toISOString();
    await client.ok('POST', '/auth/keys', { name: 'limited', instanceId, scopes: ['messages', 'read', 'read'], expiresAt });
    await client.ok('POST', '/auth/keys', { name: 'unlimited' });
    expect((await client.ok('GET', '/auth/keys')).keys).toMatchObject([
      { name: 'unlimited', scopes: [...KEY_SCOPES], instanceId: null, expiresAt: null },
      { name: 'limited', scopes: ['read', 'messages'], instanceId, expiresAt },
    ]);
  });
});

test('a key works as Authorization: Bearer as well, beside which X-API-Key decides', async () => {
  const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'bearer' });
  const status = async (headers: Record<string, string>) =>
    (await createApiClient(api.url, headers).call('GET', '/auth/me')).status;
  expect(await status({ authorization: `Bearer ${apiKey}` })).toBe(200);
  expect(await status({ authorization: `Bearer tc_live_${'x'.repeat(43)}` })).toBe(401);
  expect(await status({ authorization: `Bearer ${apiKey}`, 'x-api-key': `tc_live_${'x'.repeat(43)}` })).toBe(401);
});
