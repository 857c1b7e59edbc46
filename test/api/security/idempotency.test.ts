import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineOperation } from '../../../api/contract/define-operation.ts';
import { operations } from '../../../api/operations/index.ts';
import { removeOldCalls } from '../../../database/accounts/idempotency.ts';
import type { TurnEnd } from '../../../domain/turn.ts';
import { eventually } from '../../support/eventually.ts';
import { createApiClient } from '../../support/api-client.ts';
import { readStream } from '../../support/stream-reader.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { endTurn, makeRunning, newAgent, newInstance } from '../rows.ts';

/** Works until it is let go, and fails when it is told to. */
const gate = { isOpen: Promise.resolve(), begun: () => {}, runs: 0 };
const gated = defineOperation({
  method: 'POST',
  path: '/gated',
  operationId: 'test.gated',
  summary: 'x',
  tag: 'meta',
  auth: 'account',
  scope: 'write',
  audit: 'test.gated',
  rateLimit: 'account',
  idempotent: true,
  body: z.object({ fail: z.boolean().optional() }),
  success: { status: 200, schema: z.object({ runs: z.int() }) },
  errors: ['conflict'],
  async handle({ body }) {
    gate.runs += 1;
    const { runs } = gate;
    gate.begun();
    await gate.isOpen;
    if (body.fail) throw new Error('told to');
    return { runs };
  },
});

/** Waits until nobody waits for it any longer; from the second time on it knows its answer at once. */
const wait = { tries: 0, cutShort: Promise.withResolvers<void>() };
const waiting = defineOperation({
  method: 'POST',
  path: '/waiting',
  operationId: 'test.waiting',
  summary: 'x',
  tag: 'meta',
  auth: 'account',
  scope: 'write',
  audit: 'none',
  rateLimit: 'account',
  idempotent: true,
  success: { status: 200, schema: z.object({ tries: z.int() }) },
  errors: [],
  async handle() {
    return {};
  },
  async after(_handled, { signal }) {
    wait.tries += 1;
    const { tries } = wait;
    if (tries === 1) await once(signal, 'abort');
    wait.cutShort.resolve();
    return { tries };
  },
});

let api: ApiUnderTest;
let account: AccountClient;

beforeAll(async () => {
  api = await startApi({ operations: [...operations, gated, waiting], env: { MAX_INSTANCES_PER_ACCOUNT: '100' } });
});

beforeEach(async () => {
  account = await api.newAccount();
  Object.assign(gate, { isOpen: Promise.resolve(), begun: () => {}, runs: 0 });
});

afterAll(() => api.close());

const keyed = (key: string) => ({ headers: { 'idempotency-key': key } });
const post = (path: string, body: object | undefined, key: string, client = account) =>
  client.call('POST', path, body, keyed(key));

test('every authenticated call that changes something takes a key, and no other does', () => {
  const changing = operations.filter(({ method, auth }) => method !== 'GET' && auth !== 'public');
  expect(operations.filter(({ idempotent }) => idempotent)).toEqual(changing);
});

test('a repeated call answers what the first one answered, and does nothing', async () => {
  const first = await post('/auth/keys', { name: 'mine' }, 'a key with blanks');
  const second = await post('/auth/keys', { name: 'mine' }, 'a key with blanks');
  expect([first.status, first.headers.get('idempotent-replayed')]).toEqual([201, null]);
  expect([second.status, second.headers.get('idempotent-replayed'), second.body]).toEqual([201, 'true', first.body]);
  expect(second.headers.get('cache-control')).toBe('no-store');
  expect((await account.ok('GET', '/auth/keys')).keys).toHaveLength(1);
  const lines = await api.sql(`select id from audit_entries where account_id = ? and action = 'keys.create'`, [
    account.accountId,
  ]);
  expect(lines).toHaveLength(1);
});

test('the stored answer is unreadable in the database, and so is the body', async () => {
  const { body } = await post('/auth/keys', { name: 'a-telling-name' }, 'k');
  const rows = await api.sql('select * from idempotency_records where caller = ?', [account.accountId]);
  expect(rows).toHaveLength(1);
  const text = JSON.stringify(rows, (_name, value) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value,
  );
  expect(text).not.toContain(body.apiKey);
  expect(text).not.toContain('a-telling-name');
});

test('the same key with another body is 409', async () => {
  await post('/auth/keys', { name: 'mine' }, 'k');
  const { status, body } = await post('/auth/keys', { name: 'other' }, 'k');
  expect([status, body.error.code]).toEqual([409, 'conflict']);
});

test('a key belongs to its account, its method and its concrete path', async () => {
  const other = await api.newAccount();
  const one = await newInstance(account);
  const two = await newInstance(account);
  const answers = [
    await post('/auth/keys', { name: 'mine' }, 'k'),
    await post('/auth/keys', { name: 'mine' }, 'k', other),
    await post('/instances', { name: 'mine' }, 'k'),
    await post(`/instances/${one}/stop`, undefined, 'k'),
    await post(`/instances/${two}/stop`, undefined, 'k'),
    await account.call('DELETE', `/instances/${two}`, undefined, keyed('k')),
  ];
  expect(answers.map(({ status, headers }) => [status, headers.get('idempotent-replayed')])).toEqual(
    [201, 201, 201, 200, 200, 200].map((status) => [status, null]),
  );
});

test('a key is the same in every spelling of a path', async () => {
  const { instanceId } = await account.ok('POST', '/instances', { name: 'spelled' });
  const options = { headers: { 'idempotency-key': 'spelled' } };
  const stop = (id: string, end = '') => account.call('POST', `/instances/${id}/stop${end}`, undefined, options);
  const [first, second, third] = [
    await stop(instanceId),
    await stop(instanceId.replace('_', '%5F')),
    await stop(instanceId, '/'),
  ];
  expect(first.headers.get('idempotent-replayed')).toBeNull();
  for (const { status, headers } of [second, third]) expect([status, headers.get('idempotent-replayed')]).toEqual([200, 'true']);
});

test('all keys and tokens of an account share its idempotency keys', async () => {
  const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'mine' });
  const first = await post('/instances', { name: 'x' }, 'k');
  const second = await account.call(
    'POST',
    '/instances',
    { name: 'x' },
    { headers: { 'idempotency-key': 'k', 'x-api-key': apiKey } },
  );
  expect(second.body.instanceId).toBe(first.body.instanceId);
});

test('while the first call runs, the same key is 409 with Retry-After, at once', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  Object.assign(gate, { isOpen: promise, begun: begun.resolve });
  const first = post('/gated', {}, 'k');
  await begun.promise;
  const second = await post('/gated', {}, 'k');
  expect([second.status, second.body.error.retryable, second.headers.get('retry-after')]).toEqual([409, true, '1']);
  resolve();
  expect((await first).body).toEqual({ runs: 1 });
  expect((await post('/gated', {}, 'k')).body).toEqual({ runs: 1 });
  expect(gate.runs).toBe(1);
});

test('of many at once exactly one does the work, and the others answer the same or 409', async () => {
  const answers = await Promise.all(Array.from({ length: 12 }, () => post('/instances', { name: 'x' }, 'k')));
  const made = answers.filter(({ status }) => status === 201);
  expect(made.length).toBeGreaterThan(0);
  expect(new Set(made.map(({ body }) => body.instanceId)).size).toBe(1);
  expect(answers.every(({ status }) => status === 201 || status === 409)).toBe(true);
  expect((await account.ok('GET', '/instances')).instances).toHaveLength(1);
});

test('a call that failed is not kept: the same key tries again', async () => {
  const failed = await post('/instances', { name: '' }, 'k');
  expect(failed.status).toBe(400);
  expect((await post('/gated', { fail: true }, 'k')).status).toBe(500);
  expect((await post('/gated', { fail: true }, 'k')).status).toBe(500);
  expect(gate.runs).toBe(2);
  expect((await post('/instances', { name: 'x' }, 'k')).status).toBe(201);
});

test('a key that is none is 400, after 404', async () => {
  for (const bad of ['', 'x'.repeat(256), 'caf\u00e9']) {
    const { status, body } = await post('/instances', { name: 'x' }, bad);
    expect([status, body.error.details?.[0].path]).toEqual([400, 'Idempotency-Key']);
    expect((await post('/instances/inst_nothingnothing00/stop', undefined, bad)).status).toBe(404);
  }
  expect((await post('/instances', { name: 'x' }, 'x'.repeat(255))).status).toBe(201);
});

test('it answers although what it was about is gone', async () => {
  const instanceId = await newInstance(account);
  const first = await account.call('DELETE', `/instances/${instanceId}`, undefined, keyed('k'));
  await api.sql('update instances set deleted_at = now() where id = ? returning id', [instanceId]);
  expect((await account.call('DELETE', `/instances/${instanceId}`)).status).toBe(404);
  const second = await account.call('DELETE', `/instances/${instanceId}`, undefined, keyed('k'));
  expect([second.status, second.body]).toEqual([200, first.body]);
});

test('after 24 hours a key is new', async () => {
  const first = await post('/instances', { name: 'x' }, 'k');
  api.advance(24 * 60 * 60_000 - 60_000);
  expect((await post('/instances', { name: 'x' }, 'k', relogged())).body.instanceId).toBe(first.body.instanceId);
  api.advance(60_001);
  const third = await post('/instances', { name: 'y' }, 'k', relogged());
  expect([third.status, third.body.name]).toEqual([201, 'y']);
});

test('what is over 24 hours old is removed, and nothing else', async () => {
  const before = api.deps.clock();
  await post('/instances', { name: 'x' }, 'k', relogged());
  const at = (hours: number) => new Date(before.getTime() + hours * 60 * 60_000);
  const kept = () => api.sql('select key from idempotency_records where caller = ?', [account.accountId]);
  await removeOldCalls(api.orm.em.fork(), { now: at(23.9), limit: 1_000 });
  expect(await kept()).toHaveLength(1);
  await removeOldCalls(api.orm.em.fork(), { now: at(24.1), limit: 1_000 });
  expect(await kept()).toHaveLength(0);
});

/** The same account with a token of the clock's present. */
function relogged(): AccountClient {
  const { token } = api.deps.tokens.issue({ accountId: account.accountId, tokenVersion: 0 });
  return { ...account, ...createApiClient(api.url, { authorization: `Bearer ${token}` }), token };
}

test('an operator has keys of its own: a grant is made once', async () => {
  const grant = () =>
    post(`/admin/accounts/${account.accountId}/grants`, { amountUsd: '5', reason: 'sorry' }, 'k', api.operator as AccountClient);
  const [first, second] = [await grant(), await grant()];
  expect([second.headers.get('idempotent-replayed'), second.body]).toEqual(['true', first.body]);
  expect((await account.ok('GET', '/auth/me')).balanceUsd).toBe(55);
});

test('a call that waits stores its answer when it has one', async () => {
  const first = await post('/instances?wait=0', { name: 'x' }, 'k');
  await api.sql(`update instances set name = 'changed' where id = ? returning id`, [first.body.instanceId]);
  expect((await post('/instances?wait=0', { name: 'x' }, 'k')).body).toEqual(first.body);
});

test('an answer that was cut short because its client went away is not kept: the same key waits again', async () => {
  const gone = new AbortController();
  const first = account.call('POST', '/waiting', undefined, { ...keyed('k'), signal: gone.signal });
  await eventually(() => expect(wait.tries).toBe(1));
  gone.abort();
  await expect(first).rejects.toThrow('aborted');
  await wait.cutShort.promise;
  const answers = [await post('/waiting', undefined, 'k'), await post('/waiting', undefined, 'k')];
  expect(answers.map(({ body }) => body)).toEqual([{ tries: 2 }, { tries: 2 }]);
});

const completed = (content: string): TurnEnd => ({ status: 'completed', content, finishReason: 'stop' });
const failed: TurnEnd = { status: 'failed', reason: 'model_error', message: 'The model did not answer.' };

async function pendingReply(): Promise<string> {
  return eventually(async () => {
    const [row] = await api.sql<{ id: string }>(`select id from messages where account_id = ? and status = 'pending'`, [
      account.accountId,
    ]);
    if (!row) throw new Error('no turn is pending');
    return row.id;
  });
}

async function conversation(): Promise<{ instanceId: string; agentId: string; path: string }> {
  const instanceId = await newInstance(account);
  const agentId = await newAgent(account, instanceId);
  await makeRunning(api, instanceId);
  return { instanceId, agentId, path: `/instances/${instanceId}/agents/${agentId}/messages` };
}

test('a message is sent once: 409 while its turn runs, then its reply, also after a 504', async () => {
  const { path } = await conversation();
  const message = { message: 'Hello', timeoutMs: 1 };
  expect((await post(path, message, 'k')).status).toBe(504);
  const messageId = await pendingReply();
  const early = await post(path, message, 'k');
  expect([early.status, early.body.error.messageId, Number(early.headers.get('retry-after')) > 0]).toEqual([
    409,
    messageId,
    true,
  ]);
  expect(early.headers.get('idempotent-replayed')).toBeNull();
  await endTurn(api, messageId, completed('Hi.'));
  const replayed = await post(path, message, 'k');
  expect([replayed.status, replayed.headers.get('idempotent-replayed')]).toEqual([200, 'true']);
  expect(replayed.body).toEqual(await account.ok('GET', `${path}/${messageId}`));
  expect((await account.ok('GET', path)).messages).toHaveLength(2);
});

test('a streamed message answers again as a stream of the same reply', async () => {
  const { path } = await conversation();
  const message = { message: 'Hello', stream: true };
  const send = () =>
    fetch(`${api.url}/v1${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${account.token}`, 'content-type': 'application/json', 'idempotency-key': 'k' },
      body: JSON.stringify(message),
    });
  const sending = send();
  const messageId = await pendingReply();
  await endTurn(api, messageId, completed('One two'));
  const [first, response] = [await readStream(await sending), await send()];
  expect([response.headers.get('content-type'), response.headers.get('idempotent-replayed')]).toEqual([
    'text/event-stream; charset=utf-8',
    'true',
  ]);
  const second = await readStream(response);
  expect([second.text, second.isDone]).toEqual(['One two', true]);
  expect(second.chunks).toEqual(first.chunks);
});

test('a message whose turn failed answers the same 502 again, as JSON and for a stream', async () => {
  for (const stream of [false, true]) {
    const { path } = await conversation();
    const sending = post(path, { message: 'Hello', stream }, 'k');
    await endTurn(api, await pendingReply(), failed);
    const first = await sending;
    const second = await post(path, { message: 'Hello', stream }, 'k');
    expect([second.status, second.headers.get('idempotent-replayed')]).toEqual([502, 'true']);
    const { requestId: _first, ...error } = first.body.error;
    expect(second.body.error).toMatchObject(error);
  }
});

test('a message that was deleted with its agent or its instance is 404', async () => {
  for (const remove of ['agent', 'instance']) {
    const { path, instanceId, agentId } = await conversation();
    const sending = post(path, { message: 'Hello' }, 'k');
    await endTurn(api, await pendingReply(), completed('Hi.'));
    await sending;
    if (remove === 'agent') await api.sql('update agents set deleted_at = now() where id = ? returning id', [agentId]);
    else await api.sql('delete from messages where instance_id = ? returning id', [instanceId]);
    expect((await post(path, { message: 'Hello' }, 'k')).status).toBe(404);
  }
});
