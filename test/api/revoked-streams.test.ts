import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineOperation } from '../../api/contract/define-operation.ts';
import { EventStream } from '../../api/http/event-stream.ts';
import { operations } from '../../api/operations/index.ts';
import { createApiClient } from '../support/api-client.ts';
import { startApi } from './api-under-test.ts';
import type { ApiUnderTest } from './api-under-test.ts';
import { TEST_LIMIT_MS } from '../support/eventually.ts';

const ended = Promise.withResolvers<string>();

/** Says one thing, and then nothing until the tests are over. */
const endless = defineOperation({
  method: 'POST',
  path: '/endless',
  operationId: 'test.endless',
  summary: 'Stream without an end',
  tag: 'meta',
  auth: 'account',
  scope: 'write',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  success: { status: 200, schema: z.object({}), stream: true },
  errors: [],
  async handle() {
    return null;
  },
  async after() {
    return new EventStream(
      (async function* () {
        yield 'first';
        yield await ended.promise;
      })(),
    );
  },
});

let api: ApiUnderTest;

beforeAll(async () => {
  api = await startApi({ operations: [...operations, endless] });
});

afterAll(async () => {
  ended.resolve('last');
  await api.close();
});

test(
  'a stream ends with an error once its key was revoked, and one of another key goes on',
  async () => {
    const account = await api.newAccount();
    const [revoked, other] = [
      await account.ok('POST', '/auth/keys', { name: 'a' }),
      await account.ok('POST', '/auth/keys', { name: 'b' }),
    ];
    const open = ({ apiKey }: { apiKey: string }) => createApiClient(api.url, { 'x-api-key': apiKey }).raw('POST', '/endless');
    const [ending, going] = await Promise.all([open(revoked), open(other)]);
    await account.ok('DELETE', `/auth/keys/${revoked.keyId}`);
    const events = (await text(ending.body!)).split('\n\n').filter((event) => event.startsWith('data: '));
    expect(events[0]).toBe('data: first');
    expect(JSON.parse((events[1] ?? '').slice('data: '.length)).error).toMatchObject({ code: 'unauthorized', status: 401 });
    ended.resolve('last');
    expect(await text(going.body!)).toMatch(/data: first\n\n(: ping\n\n)*data: last\n\n$/);
  },
  TEST_LIMIT_MS,
);
