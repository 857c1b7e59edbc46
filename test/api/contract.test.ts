import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import type { Operation } from '../../api/contract/define-operation.ts';
import { operations } from '../../api/operations/index.ts';
import { createApiClient } from '../support/api-client.ts';
import type { ApiClient } from '../support/api-client.ts';
import { startApi } from './api-under-test.ts';
import type { AccountClient, ApiUnderTest } from './api-under-test.ts';
import { makeRunning, newAgent, newCron, newInstance, newTurn } from './rows.ts';

let api: ApiUnderTest;
let owner: AccountClient;
let stranger: AccountClient;
/** Ids that are the owner's, by the name of the parameter. */
let owned: Record<string, string>;

beforeAll(async () => {
  api = await startApi();
  [owner, stranger] = [await api.newAccount(), await api.newAccount()];
  const instanceId = await newInstance(owner);
  const agentId = await newAgent(owner, instanceId);
  await makeRunning(api, instanceId);
  const { messageId, conversationId } = await newTurn(api, { instanceId, agentId });
  const { keyId } = await owner.ok('POST', '/auth/keys', { name: 'mine' });
  const { webhookId } = await owner.ok('POST', '/webhooks', { url: 'https://203.0.112.1/', events: ['*'] });
  const { deliveryId } = await owner.ok('POST', `/webhooks/${webhookId}/test`);
  const budget = { name: 'mine', scope: {}, period: 'day', limitUsd: '1' };
  const { budgetId } = await owner.ok('POST', '/budgets', budget);
  const cronId = await newCron(api, { instanceId, agentId });
  const runtimeId = 'run_thatnoinstanceowns';
  await api.orm.em.fork().execute('insert into unowned_runtimes (runtime_id, found_at) values (?, now())', [runtimeId]);
  owned = {
    instanceId,
    agentId,
    messageId,
    conversationId,
    keyId,
    webhookId,
    deliveryId,
    budgetId,
    cronId,
    accountId: owner.accountId,
    runtimeId,
  };
});

afterAll(() => api.close());

const MISSING: Record<string, string> = Object.fromEntries(
  Object.entries({
    instanceId: 'inst',
    agentId: 'agt',
    messageId: 'msg',
    conversationId: 'conv',
    keyId: 'key',
    webhookId: 'wh',
    deliveryId: 'dlv',
    budgetId: 'bud',
    cronId: 'cron',
    accountId: 'acc',
    runtimeId: 'run',
  }).map(([name, prefix]) => [name, `${prefix}_nothingnothing00`]),
);

function pathOf({ path }: Operation, ids: Record<string, string>): string {
  return path.replaceAll(/:(\w+)/g, (_match, name: string) => ids[name] ?? `no-${name}`);
}

function callerOf({ auth }: Operation): ApiClient {
  if (auth === 'operator') return api.operator;
  return auth === 'account' ? owner : api.nobody;
}

/** Every field of the body, each of a type that no field has. */
function wrongBody({ body }: Operation): object {
  const shape = body instanceof z.ZodObject ? body.shape : {};
  return Object.fromEntries(Object.keys(shape).map((name) => [name, [{ wrong: true }]]));
}

/** Sends bytes as they are. */
async function sendRaw(operation: Operation, bytes: string, headers: Record<string, string> = {}) {
  const credentials: Record<string, string> =
    operation.auth === 'operator'
      ? { authorization: `Bearer ${api.deps.config.OPERATOR_TOKEN}` }
      : { authorization: `Bearer ${owner.token}` };
  const response = await fetch(`${api.url}/v1${pathOf(operation, owned)}`, {
    method: operation.method,
    headers: { 'content-type': 'application/json', ...(operation.auth === 'public' ? {} : credentials), ...headers },
    body: bytes,
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

function expectEnvelope(body: unknown, status: number): void {
  expect(body).toMatchObject({
    error: { code: expect.any(String), message: expect.any(String), status, requestId: expect.any(String) },
  });
}

const withBody = operations.filter(({ body }) => body);
const named = (list: readonly Operation[]) => list.map((operation) => [operation.operationId, operation] as const);

describe('every operation', () => {
  test.each(named(operations.filter(({ auth }) => auth !== 'public')))(
    '%s without credentials is 401',
    async (_id, operation) => {
      const { status, body, headers } = await api.nobody.call(operation.method, pathOf(operation, owned));
      expect(status).toBe(401);
      expectEnvelope(body, 401);
      expect(headers.get('www-authenticate')).toContain('Bearer');
    },
  );

  test.each(named(operations.filter(({ auth, params }) => auth === 'account' && params)))(
    "%s of somebody else's resource is 404, whatever the body",
    async (_id, operation) => {
      const { status, body } = await stranger.call(
        operation.method,
        pathOf(operation, owned),
        operation.body ? wrongBody(operation) : undefined,
      );
      expect(status).toBe(404);
      expectEnvelope(body, 404);
    },
  );

  test.each(named(operations.filter(({ params }) => params)))('%s of nothing is 404', async (_id, operation) => {
    for (const ids of [MISSING, {}]) {
      const { status, body } = await callerOf(operation).call(
        operation.method,
        pathOf(operation, ids),
        operation.body ? wrongBody(operation) : undefined,
      );
      expect(status).toBe(404);
      expectEnvelope(body, 404);
    }
  });

  test.each(named(withBody))('%s refuses fields of the wrong type with 400 and names each', async (_id, operation) => {
    const wrong = wrongBody(operation);
    const { status, body } = await callerOf(operation).call(operation.method, pathOf(operation, owned), wrong);
    expect(status).toBe(400);
    expectEnvelope(body, 400);
    const names = new Set(body.error.details.map(({ path }: { path: string }) => path.split('.')[0]));
    expect(names).toEqual(new Set(Object.keys(wrong)));
  });

  test.each(named(withBody))('%s refuses a body that is no object, no JSON, or holds NUL', async (_id, operation) => {
    for (const bytes of ['[]', '42', '"text"', '{"name":', '{"name":"a\\u0000b","message":"\\u0000"}', '\uFEFF{']) {
      const { status, body } = await sendRaw(operation, bytes);
      expect(status).toBe(400);
      expectEnvelope(body, 400);
    }
  });

  test.each(named(withBody))('%s takes JSON only (415) and no more than it can use (413)', async (_id, operation) => {
    for (const type of ['text/plain', 'application/json; charset=latin1']) {
      const { status, body } = await sendRaw(operation, '{}', { 'content-type': type });
      expect(status).toBe(415);
      expectEnvelope(body, 415);
    }
    const tooLarge = `{"name":"${'x'.repeat((operation.bodyLimitBytes ?? 1024 * 1024) + 1)}"}`;
    const { status, body } = await sendRaw(operation, tooLarge);
    expect(status).toBe(413);
    expectEnvelope(body, 413);
  });

  test.each(named(operations))('%s says with 405 which methods its path takes', async (_id, operation) => {
    const { status, headers, body } = await owner.call('SEARCH', pathOf(operation, owned));
    expect(status).toBe(405);
    expectEnvelope(body, 405);
    expect(headers.get('allow')?.split(', ')).toContain(operation.method);
  });

  test('has a test of its own', () => {
    const folder = join(import.meta.dirname, 'operations');
    const tests = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
    const untested = operations.filter(({ operationId }) => !tests.some((text) => text.includes(`describe('${operationId}'`)));
    expect(untested.map(({ operationId }) => operationId)).toEqual([]);
  });

  test('has a name and a path of its own', () => {
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
    expect(new Set(operations.map(({ method, path }) => `${method} ${path}`)).size).toBe(operations.length);
  });

  test.each(named(operations.filter(({ query }) => query)))('%s refuses a query that it cannot read', async (_id, operation) => {
    const names = Object.keys(operation.query?.shape ?? {});
    for (const name of ['limit', 'cursor', 'wait', 'timeout', 'status'].filter((one) => names.includes(one))) {
      const path = `${pathOf(operation, owned)}?${name}=wrong%21`;
      const { status, body } = await callerOf(operation).call(operation.method, path, operation.body ? { name: 'x' } : undefined);
      expect([name, status]).toEqual([name, 400]);
      expect(body.error.details[0].path).toBe(name);
    }
  });
});

describe('the API', () => {
  test('answers a path that it does not have with 404', async () => {
    for (const path of ['/nothing', '/Instances', `/instances/${MISSING['instanceId']}/nothing`]) {
      const { status, body } = await owner.call('GET', path);
      expect(status).toBe(404);
      expectEnvelope(body, 404);
    }
  });

  test('takes a sane request id, makes one otherwise, and answers it in header and error', async () => {
    const given = await owner.call('GET', '/nothing', undefined, { headers: { 'x-request-id': 'abc-1' } });
    expect(given.headers.get('x-request-id')).toBe('abc-1');
    expect(given.body.error.requestId).toBe('abc-1');
    const insane = await owner.call('GET', '/nothing', undefined, { headers: { 'x-request-id': 'a b"c' } });
    expect(insane.headers.get('x-request-id')).toMatch(/^req_/);
  });

  test('lets a key decide when both credentials are sent, and never falls back', async () => {
    const client = createApiClient(api.url, { authorization: `Bearer ${owner.token}`, 'x-api-key': 'tc_live_wrong' });
    expect((await client.call('GET', '/auth/me')).status).toBe(401);
  });

  test('ignores body fields that it does not know', async () => {
    const { status } = await owner.call('POST', '/auth/keys', { name: 'x', unknown: { deep: 1 } });
    expect(status).toBe(201);
  });

  test('is alive, and ready while its database is there, whatever Temporal does', async () => {
    expect(await (await fetch(`${api.url}/livez`)).json()).toEqual({ status: 'ok' });
    const ready = await fetch(`${api.url}/readyz`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({ status: 'ready', database: 'up', temporal: 'unknown' });
  });
});
