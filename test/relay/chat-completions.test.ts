import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { Client } from 'pg';
import { createOrm } from '../../database/orm.ts';
import { relayToken } from '../../runtime/openclaw/install/tokens.ts';
import { newInstance, newTurn } from '../factories.ts';
import { eventually } from '../support/eventually.ts';
import { startFakeModel } from '../support/fake-model.ts';
import type { FakeModel } from '../support/fake-model.ts';
import { createTestDatabase } from '../support/test-database.ts';
import {
  addAgent,
  ask,
  callsOf,
  contentOf,
  estimateOf,
  MASTER_KEYS,
  MODEL,
  readerOf,
  readUntil,
  startRelay,
  UPSTREAM_KEY,
  UPSTREAM_MODEL,
} from './relay-under-test.ts';
import type { RelayUnderTest, TestAgent } from './relay-under-test.ts';
import { startScriptedUpstream } from './scripted-upstream.ts';
import { startSeverableProxy } from './severable-proxy.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let orm: MikroORM;
let model: FakeModel;
let relay: RelayUnderTest;
let agent: TestAgent;

beforeAll(async () => {
  database = await createTestDatabase();
  orm = await createOrm(database.url);
  model = await startFakeModel();
  relay = await startRelay(database.url, model.url);
  agent = await addAgent(orm);
});

afterAll(async () => {
  await relay.close();
  await model.close();
  await orm.close();
  await database.drop();
});

/** A text that names one call of this test and no other. */
function unique(text: string): string {
  return `${text} ${randomBytes(6).toString('hex')}`;
}

function callTo(fake: FakeModel, text: string) {
  return fake.waitForCall((call) => call.lastUserText === text);
}

/** What the caller gets of an error of the provider. */
async function refusedWith(status: number, error: object, caller = agent): Promise<{ status: number; error: unknown }> {
  const upstream = await startScriptedUpstream((request, response) => {
    request.resume();
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error }));
  });
  const through = await startRelay(database.url, upstream.url);
  const response = await ask(through, { token: caller.token });
  // The relay's own error.
  const body = (await response.json()) as { error: unknown };
  await through.close();
  await upstream.close();
  return { status: response.status, error: body.error };
}

describe('what the provider sees', () => {
  test('its own name of the model, its own key, the trace, what shapes the answer, and no field beside it', async () => {
    const text = unique('hi');
    const traceId = randomBytes(16).toString('hex');
    const fields = { max_completion_tokens: 77, tools: [{ type: 'function', function: { name: 'exec' } }] };
    const kept = await ask(relay, { token: agent.token, text, traceId, fields: { ...fields, n: 64, api_base: 'http://x' } });
    await kept.text();

    const call = await callTo(model, text);
    expect(call).toMatchObject({ model: UPSTREAM_MODEL, authorization: `Bearer ${UPSTREAM_KEY}` });
    expect(call.traceparent).toContain(traceId);
    expect(call.body).toMatchObject(fields);
    for (const name of ['n', 'api_base']) expect(call.body).not.toHaveProperty(name);
    expect(call.messages).toHaveLength(2);
  });

  test('it is asked for the usage though the caller did not ask', async () => {
    const text = unique('hi');
    await (await ask(relay, { token: agent.token, text, fields: { stream_options: undefined } })).text();
    expect((await callTo(model, text)).body.stream_options).toEqual({ include_usage: true });
  });
});

describe('what the caller gets', () => {
  test.each([
    [
      'line ends of both kinds, comments and an unfinished last line',
      [': ping\r\n\r\ndata: {"a":1}\r\n\r\n', 'data: {"b":"\u00e9\u{1f642}"}\n\ndata: tail'],
    ],
    ['a [DONE] cut into three, and bytes after it', ['data: {"a":1}\n\ndata: [D', 'ON', 'E]\n\n', ': after\n\n']],
  ])('the same bytes as the provider sent: %s', async (_, parts) => {
    const bytes = Buffer.from(parts.join(''));
    const upstream = await startScriptedUpstream((request, response) => {
      request.resume();
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      // Byte by byte, so that characters and lines are cut everywhere.
      for (const byte of bytes) response.write(Buffer.of(byte));
      response.end();
    });
    const through = await startRelay(database.url, upstream.url);
    const response = await ask(through, { token: agent.token });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(Buffer.from(await response.arrayBuffer()).equals(bytes)).toBe(true);
    await through.close();
    await upstream.close();
  });

  test('each word at once: the first one while the provider still holds the second', async () => {
    const text = unique('[[WORDS 3]] [[HOLD second 1]]');
    const reader = readerOf(await ask(relay, { token: agent.token, text }));
    await readUntil(reader, '"w1"');
    expect((await callTo(model, text)).finished).toBe(false);
    model.release('second');
    await readUntil(reader, '[DONE]');
  });

  test('one object when no stream was asked for', async () => {
    const own = await addAgent(orm);
    const response = await ask(relay, {
      token: own.token,
      text: '[[SAY fine]]',
      fields: { stream: false, stream_options: undefined },
    });
    expect(await response.json()).toMatchObject({ choices: [{ message: { content: 'fine' } }] });
    expect(await callsOf(orm, own)).toMatchObject([{ input_tokens: 2, output_tokens: 1 }]);
  });

  test.each([429, 500, 503])(
    '400, which no gateway tries again, for the status %s of a provider that cannot answer now',
    async (status) => {
      const response = await ask(relay, { token: agent.token, text: `[[FAIL ${status}]]` });
      expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('could not answer now')]);
    },
  );

  test('the words of a provider that finds fault with the request, which a gateway acts on', async () => {
    const error = {
      message: 'The maximum context length is 8192 tokens',
      type: 'invalid_request_error',
      code: 'context_length_exceeded',
    };
    expect(await refusedWith(400, error)).toEqual({ status: 400, error });
  });

  test.each([
    [401, 'Incorrect key'],
    [402, 'Pay first'],
    [403, 'Not you'],
    [400, 'API key not valid. Please pass a valid one.'],
    [400, 'Your credit balance is too low'],
    [429, 'You exceeded your current quota'],
  ])('400 and none of the words of a %s that is about our own account: %s', async (status, message) => {
    expect(await refusedWith(status, { message })).toEqual({
      status: 400,
      error: {
        message:
          'The model provider does not accept requests of this platform at the moment. Only the operator of the platform can change that.',
        type: 'invalid_request_error',
      },
    });
  });

  test('404 where the provider does not know the model, in words that name none of ours', async () => {
    expect(await refusedWith(404, { message: 'The model upstream-model does not exist' })).toEqual({
      status: 404,
      error: {
        message: 'The model cannot be called at the moment. Only the operator of the platform can change that.',
        type: 'invalid_request_error',
      },
    });
  });

  test('400 when there is no provider at the address', async () => {
    const nowhere = await startRelay(database.url, 'http://127.0.0.1:9/v1');
    const response = await ask(nowhere, { token: agent.token });
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('could not answer now')]);
    await nowhere.close();
  });

  test('a cut stream when the provider cuts its own, and the call counts', async () => {
    const own = await addAgent(orm);
    const text = '[[WORDS 3]] [[BREAK]]';
    const response = await ask(relay, { token: own.token, text });
    await expect(response.text()).rejects.toThrow();
    const counted = { input_tokens: estimateOf({ text }), output_tokens: 1 };
    await eventually(async () => expect(await callsOf(orm, own)).toMatchObject([counted]));
  });
});

describe('a caller that leaves', () => {
  test('ends the call at the provider in the middle of the answer, and the call counts', async () => {
    const own = await addAgent(orm);
    const text = unique('[[WORDS 3]] [[HOLD forever 1]]');
    const leave = new AbortController();
    const reader = readerOf(await ask(relay, { token: own.token, text, signal: leave.signal }));
    await readUntil(reader, '"w1"');
    leave.abort();
    await model.waitForCall((call) => call.lastUserText === text && call.aborted);
    await eventually(async () => expect(await callsOf(orm, own)).toHaveLength(1));
    await eventually(async () => expect(await relay.metrics()).toMatch(/calls_total\{outcome="abandoned"[^}]*\} 1/));
  });

  test('ends the call at the provider before the answer has begun', async () => {
    let left: () => void = () => {};
    let arrived: () => void = () => {};
    const hasLeft = new Promise<void>((resolve) => (left = resolve));
    const hasArrived = new Promise<void>((resolve) => (arrived = resolve));
    const upstream = await startScriptedUpstream((_, response) => {
      arrived();
      response.once('close', () => left());
    });
    const through = await startRelay(database.url, upstream.url);
    const leave = new AbortController();
    const answer = ask(through, { token: agent.token, signal: leave.signal });
    await hasArrived;
    leave.abort();
    await expect(answer).rejects.toThrow();
    await hasLeft;
    await through.close();
    await upstream.close();
  });
});

describe('usage', () => {
  test('is in the database before [DONE] leaves, and all before it left already', async () => {
    const own = await addAgent(orm);
    const locker = new Client({ connectionString: database.url });
    await locker.connect();
    await locker.query('begin; lock table model_calls in exclusive mode');

    const reader = readerOf(await ask(relay, { token: own.token, text: '[[WORDS 4]]' }));
    const before = await readUntil(reader, '"usage"');
    await eventually(async () => {
      // Databases beside this one, copied from the same, have the table under the same number.
      const rows = await orm.em.fork().execute(
        `select 1 from pg_locks
          where relation = 'model_calls'::regclass and not granted
            and database = (select oid from pg_database where datname = current_database())`,
      );
      expect(rows).toHaveLength(1);
    });
    expect(contentOf(before)).toBe('w1 w2 w3 w4');
    expect(before).not.toContain('[DONE]');

    await locker.query('commit');
    await readUntil(reader, '[DONE]');
    expect(await callsOf(orm, own)).toEqual([
      {
        account_id: own.accountId,
        instance_id: own.instanceId,
        message_id: null,
        model: MODEL,
        input_tokens: 2,
        output_tokens: 4,
        cache_read_tokens: 0,
        cache_write_tokens: 0,
        thinking_tokens: 0,
        finish_reason: 'stop',
        provider: 'default',
        upstream: UPSTREAM_MODEL,
      },
    ]);
    await locker.end();
  });

  test('belongs to the message whose trace it carries, every call of its turn', async () => {
    const own = await addAgent(orm);
    const messageId = unique('msg');
    const traceId = randomBytes(16).toString('hex');
    await newTurn(orm, own, { id: messageId, traceId });
    for (const text of ['[[SAY one]]', '[[SAY two]]']) await (await ask(relay, { token: own.token, text, traceId })).text();
    expect(await callsOf(orm, own)).toMatchObject([{ message_id: messageId }, { message_id: messageId }]);
  });

  test('belongs to no message of another agent, though it carries the trace of one', async () => {
    const [own, other] = [await addAgent(orm), await addAgent(orm)];
    const traceId = randomBytes(16).toString('hex');
    await newTurn(orm, other, { traceId });
    await (await ask(relay, { token: own.token, traceId })).text();
    expect(await callsOf(orm, own)).toMatchObject([{ message_id: null }]);
  });

  test('belongs to no message when the trace is unknown: a scheduled job, a repeated turn', async () => {
    const own = await addAgent(orm);
    await (await ask(relay, { token: own.token, traceId: randomBytes(16).toString('hex') })).text();
    expect(await callsOf(orm, own)).toMatchObject([{ message_id: null }]);
  });

  test('says why the provider ended its answer, or refused a prompt', async () => {
    const own = await addAgent(orm);
    for (const reason of ['length', 'content_filter'])
      await (await ask(relay, { token: own.token, text: `[[SAY Some text]] [[FINISH ${reason}]]` })).text();
    await refusedWith(400, { message: 'The prompt was filtered', code: 'content_filter' }, own);

    expect(await callsOf(orm, own)).toMatchObject([
      { finish_reason: 'length', output_tokens: 2 },
      { finish_reason: 'content_filter', output_tokens: 2 },
      { finish_reason: 'content_filter', input_tokens: 0, output_tokens: 0 },
    ]);
  });

  test('of a refused call is not counted', async () => {
    const own = await addAgent(orm);
    await (await ask(relay, { token: own.token, text: '[[FAIL 500]]' })).text();
    expect(await callsOf(orm, own)).toEqual([]);
  });

  test('that the database cannot take does not spoil the answer, and is metered', async () => {
    const proxy = await startSeverableProxy(database.url);
    const through = await startRelay(proxy.url, model.url);
    const text = unique('[[WORDS 2]] [[HOLD severed 1]]');
    const reader = readerOf(await ask(through, { token: agent.token, text }));
    await readUntil(reader, '"w1"');
    await proxy.sever();
    model.release('severed');
    await readUntil(reader, '[DONE]');
    expect((await reader.read()).done).toBe(true);
    expect(await through.metrics()).toMatch(/usage_lost_total\{[^}]*\} 1/);
    await through.close();
  });
});

describe('who may call', () => {
  test.each([
    ['no token', ''],
    ['a token that is none', 'nonsense'],
    ['a signature of another agent', () => `agt_other.${agent.token.split('.')[1]}`],
    [
      'a token made with another key',
      () => relayToken([{ id: 'x', key: randomBytes(32) }], { agentId: agent.agentId, epoch: null }),
    ],
  ])('401 for %s', async (_, token) => {
    const response = await ask(relay, { token: typeof token === 'string' ? token : token() });
    expect(response.status).toBe(401);
  });

  test('400 for an agent that has been deleted, so that its gateway gives up at once', async () => {
    const gone = await addAgent(orm, { deleted: true });
    const response = await ask(relay, { token: gone.token });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain('deleted');
  });

  test.each(['stopped', 'error'] as const)('400 for an agent whose instance is %s', async (status) => {
    const instance = await newInstance(orm, { status, desiredStatus: 'stopped' });
    const idle = await addAgent(orm, { instance });
    const response = await ask(relay, { token: idle.token });
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('stopped')]);
    expect(await callsOf(orm, idle)).toEqual([]);
  });

  test('400 for a token of another gateway process than the one that runs, and the newest is good at once', async () => {
    const own = await addAgent(orm, { epoch: 4 });
    const statusOf = async (epoch: number | null): Promise<number> => {
      const response = await ask(relay, { token: relayToken(MASTER_KEYS, { ...own, epoch }) });
      await response.text();
      return response.status;
    };
    expect([await statusOf(4), await statusOf(3), await statusOf(null), await statusOf(5)]).toEqual([200, 400, 400, 400]);
    await orm.em.fork().execute('update instances set gateway_epoch = 6 where id = ?', [own.instanceId]);
    expect([await statusOf(6), await statusOf(4)]).toEqual([200, 400]);
  });

  test("400 for a model that is not the agent's, named in the sentence", async () => {
    const response = await ask(relay, { token: agent.token, fields: { model: 'another-model' } });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain(MODEL);
  });

  test('503 while the database cannot say whether the agent exists', async () => {
    const proxy = await startSeverableProxy(database.url);
    const through = await startRelay(proxy.url, model.url);
    await proxy.sever();
    const response = await ask(through, { token: agent.token });
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('1');
    const ready = await fetch(new URL('/readyz', through.url));
    expect([ready.status, await ready.json()]).toEqual([503, { status: 'unavailable', database: 'down', draining: false }]);
    await through.close();
  });
});
