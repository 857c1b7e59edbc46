import { expect, test } from '@jest/globals';
import type { ErrorCode } from '../../domain/errors.ts';
import type { Answer, ApiClient } from './api-client.ts';
import { insist, say, untilStatus } from './patient-client.ts';

interface Seen {
  method: string;
  path: string;
  key: string | undefined;
}

const ok = (body: object): Answer => ({ status: 200, headers: new Headers(), body });
const failed = (status: number, code: ErrorCode): Answer => ({ status, headers: new Headers(), body: { error: { code } } });

/** A client whose calls are answered like this, one after the other, and what it was asked. */
function scripted(answers: (Answer | Error)[]): { account: ApiClient; seen: Seen[] } {
  const seen: Seen[] = [];
  const account: ApiClient = {
    async call(method, path, _body, options) {
      seen.push({ method, path, key: options?.headers?.['idempotency-key'] });
      const next = answers.shift();
      if (next === undefined || next instanceof Error) throw next ?? new Error('nothing more was expected');
      return next;
    },
    ok: async (method, path, body) => (await account.call(method, path, body)).body,
    raw: () => Promise.reject(new Error('not in this test')),
  };
  return { account, seen };
}

test('a call is repeated under its key while what answers is away or not ready, and its lasting answer is the result', async () => {
  const { account, seen } = scripted([
    new Error('ECONNREFUSED'),
    failed(503, 'unavailable'),
    failed(504, 'timeout'),
    failed(402, 'payment_required'),
  ]);
  const answer = await insist(account, { method: 'POST', path: '/webhooks', body: {}, key: 'one' });
  expect(answer.status).toBe(402);
  expect(seen).toEqual(Array.from({ length: 4 }, () => ({ method: 'POST', path: '/webhooks', key: 'one' })));
});

test('an instance that has given up is started again, and the message to it is sent under the same key', async () => {
  const path = '/instances/inst_1/agents/agt_1/messages';
  const { account, seen } = scripted([
    failed(503, 'instance_not_ready'),
    ok({ status: 'error' }),
    ok({ status: 'provisioning' }),
    ok({ content: 'Hello' }),
  ]);
  expect(await say(account, path, { message: 'Hello' })).toEqual({ content: 'Hello' });
  expect(seen.map(({ method, path: where }) => `${method} ${where}`)).toEqual([
    `POST ${path}`,
    'GET /instances/inst_1',
    'POST /instances/inst_1/start',
    `POST ${path}`,
  ]);
  expect(seen[3]?.key).toBe(seen[0]?.key);
});

test('a message whose turn failed is said so', async () => {
  const { account } = scripted([failed(502, 'agent_error')]);
  await expect(say(account, '/instances/inst_1/agents/agt_1/messages', { message: 'Hello' })).rejects.toThrow('agent_error');
});

test('an instance is waited for until nothing is under way, and one that is to stop is not started', async () => {
  const { account, seen } = scripted([
    ok({ status: 'error', transition: { kind: 'stopping' } }),
    ok({ status: 'error', transition: { kind: 'stopping' } }),
    ok({ status: 'stopped', transition: { kind: 'stopping' } }),
    ok({ status: 'stopped', transition: null }),
  ]);
  await untilStatus(account, 'inst_1', 'stopped');
  expect(seen.map(({ method }) => method)).toEqual(['GET', 'GET', 'GET', 'GET']);
});
