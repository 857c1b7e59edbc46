import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import Router from '@koa/router';
import Koa from 'koa';
import { z } from 'zod';
import type { ApiState } from '../../../api/api-context.ts';
import { defineOperation } from '../../../api/contract/define-operation.ts';
import { createAdmission } from '../../../api/http/admission.ts';
import { answerErrors } from '../../../api/http/answer-errors.ts';
import { bearerToken, REST_DOOR } from '../../../api/http/door.ts';
import type { Door } from '../../../api/http/door.ts';
import { mount } from '../../../api/http/mount.ts';
import { createAuthentication } from '../../../api/security/authenticate.ts';
import { createIdempotency } from '../../../api/security/idempotency.ts';
import { createLimitRequests } from '../../../api/security/limit-requests.ts';
import { createClientAddress } from '../../../lib/net/client-address.ts';
import { startHttpServer } from '../../../lib/net/http-server.ts';
import type { HttpServer } from '../../../lib/net/http-server.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';

/** It takes API keys as bearer tokens, and says less of an error. */
const otherDoor: Door = {
  basePath: '/other',
  credentialOf(headers) {
    const key = bearerToken(headers);
    return key === undefined ? null : { kind: 'api-key', key };
  },
  answerError: ({ status, code, message }) => ({ status, body: { type: code, message } }),
};

const whoAmI = defineOperation({
  method: 'GET',
  path: '/me',
  operationId: 'other.me',
  summary: 'Who calls',
  tag: 'meta',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  success: { status: 200, schema: z.object({ accountId: z.string() }) },
  errors: [],
  handle: ({ actor }) => Promise.resolve({ accountId: actor.accountId }),
});

let api: ApiUnderTest;
let account: AccountClient;
let server: HttpServer;

beforeAll(async () => {
  api = await startApi();
  account = await api.newAccount();
  const { deps } = api;
  const router = new Router<ApiState>({ prefix: otherDoor.basePath });
  mount(router, whoAmI, {
    deps,
    door: otherDoor,
    authentication: createAuthentication(deps),
    clientAddress: createClientAddress([]),
    limitRequests: createLimitRequests(deps),
    admit: createAdmission(deps.config),
    idempotency: createIdempotency(deps),
    reportUndeclared: () => undefined,
  });
  const app = new Koa<ApiState>();
  app.use(answerErrors(deps, () => undefined));
  app.use(router.routes());
  const listener = app.callback();
  server = await startHttpServer((request, response) => void listener(request, response), { host: '127.0.0.1', port: 0 });
});
afterAll(async () => {
  await server.drain(0);
  await api.close();
});

const ask = async (headers: Record<string, string>) => {
  const response = await fetch(`http://127.0.0.1:${server.port}/other/me`, { headers });
  return { status: response.status, body: await response.json() };
};

describe('another door', () => {
  test('decides which credential counts', async () => {
    const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'other' });
    expect(await ask({ authorization: `Bearer ${apiKey}` })).toEqual({ status: 200, body: { accountId: account.accountId } });
    expect(await ask({ 'x-api-key': apiKey })).toMatchObject({ status: 401 });
    expect(await ask({ authorization: `Bearer ${account.token}` })).toMatchObject({ status: 401 });
  });

  test('words its errors', async () => {
    expect(await ask({})).toEqual({ status: 401, body: { type: 'unauthorized', message: expect.any(String) } });
  });
});

test('a credential is read once, and confirmed each time that it is asked', async () => {
  const { deps } = api;
  let verified = 0;
  const verify = (token: string) => {
    verified += 1;
    return deps.tokens.verify(token);
  };
  const { readClaim } = createAuthentication({ ...deps, tokens: { ...deps.tokens, verify } });
  const first = readClaim(REST_DOOR, 'account', { authorization: `Bearer ${account.token}` });
  expect(first.accountId).toBeNull();
  await expect(first.confirm('192.0.2.1')).resolves.toMatchObject({ accountId: account.accountId });
  // Now the process knows whose it is before it asks the database, which still decides.
  const next = readClaim(REST_DOOR, 'account', { authorization: `Bearer ${account.token}` });
  expect(next.accountId).toBe(account.accountId);
  await account.ok('POST', '/auth/logout');
  await expect(next.confirm('192.0.2.1')).rejects.toMatchObject({ code: 'unauthorized' });
  expect(verified).toBe(2);
});
