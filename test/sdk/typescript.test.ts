import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import {
  AgentError,
  ApiError,
  ConflictError,
  ApiConnectionError,
  InvalidRequestError,
  NotFoundError,
  RateLimitedError,
  Thermidora,
  ThermidoraError,
  UnauthorizedError,
} from '../../sdk/typescript/src/index.ts';
import type { AccountEvent, CallOptions, DeletedEvent } from '../../sdk/typescript/src/index.ts';
import { newCron } from '../api/rows.ts';
import { eventually } from '../support/eventually.ts';
import { startSdk } from './sdk-under-test.ts';
import type { SdkUnderTest } from './sdk-under-test.ts';

let sdk: SdkUnderTest;
let client: Thermidora;
let session = 0;
let sessionId: string;
beforeAll(async () => {
  sdk = await startSdk();
  client = new Thermidora({ apiKey: sdk.apiKey, baseUrl: sdk.baseUrl });
});
beforeEach(() => {
  session += 1;
  sessionId = `session-${session}`;
  sdk.proxy.expect();
});
afterAll(() => sdk?.close());

/** What this rejects with. */
async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => null,
    (error: unknown) => error,
  );
}

const history = async () => (await client.messages.list(sdk.instanceId, sdk.agentId, { sessionId }).page()).messages;

test('a call answers the typed JSON of the API, with its path, query and body', async () => {
  const created = await client.instances.create({ name: 'typed', metadata: { tier: 'a b&c' } }, { wait: 0 });
  expect(created).toMatchObject({ name: 'typed', status: 'provisioning' });
  const found = await client.instances.list({ metadata: { tier: 'a b&c' } }).page();
  expect(found.instances.map(({ instanceId }) => instanceId)).toEqual([created.instanceId]);
  expect(await client.instances.delete(created.instanceId)).toEqual({ instanceId: created.instanceId, status: 'destroying' });
});

test('a call whose request or answer is lost, or which a proxy or the rate limit refuses, is done once and answered', async () => {
  const passing = { kind: 'answer', status: 429, headers: { 'retry-after': '0' }, body: '{}' } as const;
  const gone = { kind: 'answer', status: 502, body: '<html>Bad gateway</html>' } as const;
  sdk.proxy.expect({ kind: 'lose-request' }, { kind: 'lose-answer' }, gone, passing);
  const key = await client.keys.create({ name: 'once' });
  const sent = sdk.proxy.seen();
  expect(sent).toHaveLength(5);
  expect(new Set(sent.map((one) => one.key)).size).toBe(1);
  const { keys } = await client.keys.list().page();
  expect(keys.filter(({ name }) => name === 'once').map(({ keyId }) => keyId)).toEqual([key.keyId]);
});

test('calls that change something have a key each, or the one that they are given; others have none', async () => {
  await client.keys.create({ name: 'one' });
  await client.keys.create({ name: 'two' });
  await client.keys.create({ name: 'three' }, { idempotencyKey: 'mine' });
  await client.auth.me();
  const [first, second, third, fourth] = sdk.proxy.seen().map(({ key }) => key);
  expect([first, second]).toEqual([expect.stringMatching(/^[\da-f-]{36}$/), expect.stringMatching(/^[\da-f-]{36}$/)]);
  expect(first).not.toBe(second);
  expect([third, fourth]).toEqual(['mine', null]);
});

test('a call without a key is sent once, and gives up after its retries otherwise', async () => {
  const lost = { kind: 'lose-request' } as const;
  sdk.proxy.expect(lost);
  expect(await rejection(client.auth.login({ email: 'ada@example.com' }))).toBeInstanceOf(ApiConnectionError);
  expect(sdk.proxy.seen()).toHaveLength(1);
  sdk.proxy.expect(lost, lost, lost);
  expect(await rejection(client.auth.me({ maxRetries: 2 }))).toBeInstanceOf(ApiConnectionError);
  expect(sdk.proxy.seen()).toHaveLength(3);
  const limited = { kind: 'answer', status: 429, headers: { 'retry-after': '61' }, body: '{}' } as const;
  sdk.proxy.expect(limited);
  expect(await rejection(client.auth.me())).toMatchObject({ status: 429 });
  expect(sdk.proxy.seen()).toHaveLength(1);
});

test('a refusal is an error of its code, with the request id, the fields to change and no second attempt', async () => {
  const refused = await rejection(client.instances.create({ name: '' }));
  expect(refused).toBeInstanceOf(InvalidRequestError);
  expect(refused).toBeInstanceOf(ThermidoraError);
  expect(refused).toMatchObject({
    code: 'invalid_request',
    status: 400,
    requestId: expect.stringMatching(/^req_/),
    details: [{ path: 'name', message: expect.any(String) }],
    retryable: false,
  });
  expect(await rejection(client.instances.get('inst_nothingnothing00'))).toBeInstanceOf(NotFoundError);
  await client.keys.create({ name: 'a' }, { idempotencyKey: 'same' });
  expect(await rejection(client.keys.create({ name: 'b' }, { idempotencyKey: 'same' }))).toBeInstanceOf(ConflictError);
  const nobody = new Thermidora({ apiKey: 'tc_live_nothing', baseUrl: sdk.baseUrl });
  expect(await rejection(nobody.auth.me())).toBeInstanceOf(UnauthorizedError);
  expect(sdk.proxy.seen()).toHaveLength(5);
});

test('an error code that only a later version knows is an ApiError', async () => {
  const envelope = (code: string) => JSON.stringify({ error: { code, message: 'No.', status: 429, requestId: 'req_1' } });
  sdk.proxy.expect(
    { kind: 'answer', status: 429, body: envelope('rate_limited') },
    { kind: 'answer', status: 429, body: envelope('a_new_one') },
  );
  expect(await rejection(client.auth.me())).toBeInstanceOf(RateLimitedError);
  const unknown = await rejection(client.auth.me());
  expect(unknown).toBeInstanceOf(ApiError);
  expect(unknown).toMatchObject({ code: 'a_new_one', requestId: 'req_1' });
});

test('an id that would lead to another path is refused before anything is sent', () => {
  for (const name of ['', '.', '..']) expect(() => client.skills.delete(sdk.instanceId, name)).toThrow(ThermidoraError);
  expect(sdk.proxy.seen()).toEqual([]);
});

test('a list goes through all its pages', async () => {
  for (const name of ['p1', 'p2', 'p3']) await newCron(sdk.api, sdk, name);
  sdk.proxy.expect();
  const names: string[] = [];
  for await (const { name } of client.crons.list(sdk.instanceId, sdk.agentId, { limit: 2 })) names.push(name);
  expect(names.toSorted()).toEqual(['p1', 'p2', 'p3']);
  expect(sdk.proxy.seen()).toHaveLength(2);
});

test('waitUntilRunning answers an instance that runs, and throws for one that will not or not in time', async () => {
  expect(await client.instances.waitUntilRunning(sdk.instanceId)).toMatchObject({ status: 'running' });
  const { instanceId } = await client.instances.create({ name: 'never' });
  expect(await rejection(client.instances.waitUntilRunning(instanceId, { timeoutMs: 1 }))).toMatchObject({
    message: expect.stringMatching(/does not run yet: its status is provisioning/),
  });
  await client.instances.delete(instanceId);
  expect(await rejection(client.instances.waitUntilRunning(instanceId))).toMatchObject({
    message: expect.stringMatching(/will not run: its status is destroying/),
  });
});

test('a message is answered once, whatever is lost on its way', async () => {
  sdk.proxy.expect({ kind: 'lose-answer' }, { kind: 'lose-request' });
  const reply = await client.messages.send(sdk.instanceId, sdk.agentId, { message: '[[SAY The answer.]]', sessionId });
  expect(reply).toMatchObject({ content: 'The answer.', status: 'completed' });
  expect(await history()).toHaveLength(2);
});

test('a message whose turn fails is an AgentError that names the reply', async () => {
  sdk.control.misbehave({ kind: 'fail', message: 'no' }, { times: 1 });
  const failed = await rejection(client.messages.send(sdk.instanceId, sdk.agentId, { message: 'Fail', sessionId }));
  sdk.control.behave();
  expect(failed).toBeInstanceOf(AgentError);
  expect(failed).toMatchObject({ messageId: expect.stringMatching(/^msg_/), reason: expect.any(String) });
});

test('a streamed reply comes in words, ends with its usage, and is then what the API has stored', async () => {
  const reply = client.messages.sendAndStream(sdk.instanceId, sdk.agentId, { message: '[[WORDS 5]]', sessionId });
  const parts = [];
  for await (const part of reply) parts.push(part);
  const texts = parts.flatMap((part) => (part.type === 'text' ? [part.text] : []));
  expect(texts.join('')).toBe('w1 w2 w3 w4 w5');
  expect(parts.at(-1)).toMatchObject({ type: 'end', finishReason: 'stop' });
  expect(await reply.message()).toMatchObject({ messageId: reply.messageId, content: 'w1 w2 w3 w4 w5' });
});

test('a streamed reply whose connection is lost in the middle goes on with the next word, and is one message', async () => {
  const name = `cut-${session}`;
  sdk.proxy.expect({ kind: 'cut-after', text: 'w2' });
  const reply = client.messages.sendAndStream(sdk.instanceId, sdk.agentId, {
    message: `[[WORDS 5]] [[HOLD ${name} 2]]`,
    sessionId,
  });
  let said = '';
  for await (const word of reply.text()) {
    said += word;
    // The rest is said only after the connection was lost.
    if (said.includes('w2')) sdk.control.release(name);
  }
  expect(said).toBe('w1 w2 w3 w4 w5');
  expect(sdk.proxy.seen().length).toBeGreaterThan(1);
  expect(await history()).toHaveLength(2);
});

test('the stream of events goes on over lost connections, each once and without a gap', async () => {
  const abort = new AbortController();
  const options: CallOptions = { signal: abort.signal };
  const before = (await client.events.list({ limit: 1 }).page()).latestSeq ?? 0;
  const ask = (text: string) =>
    sdk.account.ok('POST', `/instances/${sdk.instanceId}/agents/${sdk.agentId}/messages`, {
      message: `[[SAY ${text}]]`,
      sessionId,
    });
  const first = await ask('one');
  sdk.proxy.expect({ kind: 'lose-request' }, { kind: 'cut-after', text: first.messageId }, { kind: 'none' });
  const seen: (AccountEvent | DeletedEvent)[] = [];
  for await (const event of client.events.stream({ after: before }, options)) {
    seen.push(event);
    if (seen.length < 3) await ask(`more ${seen.length}`);
    else break;
  }
  expect(seen.map(({ seq }) => seq)).toEqual([before + 1, before + 2, before + 3]);
  abort.abort();
});

test('a stream ends with the error of the API when its key is revoked', async () => {
  const { keyId, apiKey } = await client.keys.create({ name: 'short' });
  const other = new Thermidora({ apiKey, baseUrl: sdk.baseUrl });
  await client.keys.revoke(keyId);
  expect(await rejection(other.events.stream().next())).toBeInstanceOf(UnauthorizedError);
});

test('the stream of instances tells each change, and ends when the one that it follows is gone', async () => {
  const { instanceId } = await client.instances.create({ name: 'followed' });
  const states: string[] = [];
  for await (const change of client.instances.stream({ instanceId })) {
    states.push('deleted' in change ? 'deleted' : change.name);
    if (states.length === 1) await client.instances.update(instanceId, { name: 'renamed' });
    if (states.length === 2)
      await sdk.api.sql(
        `update instances set status = 'destroying', desired_status = 'destroyed', deleted_at = now() where id = ? returning id`,
        [instanceId],
      );
  }
  expect(states).toEqual(['followed', 'renamed', 'deleted']);
});

test('a call ends when it is aborted, with what it was aborted with, while it waits for a retry as well', async () => {
  const reason = new Error('enough');
  sdk.proxy.expect({ kind: 'answer', status: 429, headers: { 'retry-after': '60' }, body: '{}' });
  const abort = new AbortController();
  const call = rejection(client.auth.me({ signal: abort.signal }));
  await eventually(() => expect(sdk.proxy.seen()).toHaveLength(1));
  abort.abort(reason);
  expect(await call).toBe(reason);
});
